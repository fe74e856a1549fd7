"""Numbers that say how good samples are. The losses of a GAN do not: they only measure what D believes of G.

For images the judge is a classifier, made of minigan's own layers and trained on the real images with their labels: it says
which classes the samples show and how sure it is. For points the centres of the modes are known.
"""
import dataclasses
import math

import numpy as np

from minigan.backend import asarray, host_rng, to_numpy, xp
from minigan.layers import Dense, Flatten, ReLU, Sequential
from minigan.optimizers import Adam


class Classifier:
    """A small network that learns the classes of a labelled data set: probabilities(x) is (N, classes) for images x.

    One fifth of the data is held out: `held_out` are those images, `accuracy` is the share of them that it gets right.
    """

    def __init__(self, x, labels, seed=0, epochs=100, batch_size=64):
        rng = host_rng(seed)
        held_out, train = np.split(rng.permutation(len(x)), [len(x) // 5])
        self.classes = int(labels.max()) + 1
        self.network = Sequential(Flatten(), Dense(math.prod(x.shape[1:]), 128, rng=rng), ReLU(),
                                  Dense(128, self.classes, rng=rng), name="classifier")
        optimizer = Adam(lr=2e-3, beta1=0.9)
        optimizer.bind(self.network)
        for _ in range(epochs):
            for batch in np.split(rng.permutation(train), range(batch_size, len(train), batch_size)):
                logits, cache = self.network.forward(asarray(x[batch]))
                _, dlogits = softmax_cross_entropy(logits, asarray(labels[batch]))
                self.network.zero_grad()
                self.network.backward(dlogits, cache, input_grad=False)
                optimizer.step()
        self.held_out = x[held_out]
        self.accuracy = float((self.probabilities(self.held_out).argmax(axis=1) == labels[held_out]).mean())

    def probabilities(self, x):
        return to_numpy(xp.exp(log_softmax(self.network(asarray(x)))))

    def verdict(self, x, confidence=0.9):
        """How many classes the images x show (a class counts if it is the most probable one of some image), and the share
        of images whose class it is sure of, with a probability above `confidence`."""
        p = self.probabilities(x)
        return Verdict(len(np.unique(p.argmax(axis=1))), float((p.max(axis=1) > confidence).mean()))


@dataclasses.dataclass
class Verdict:
    classes: int
    confident: float


def log_softmax(logits):
    """log p_k = l_k - log Σ_j e^(l_j); subtracting the largest logit first changes nothing but the overflow."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(axis=1, keepdims=True))


def softmax_cross_entropy(logits, labels):
    """Value and gradient of the classifier's loss: the mean of -log p_label, with p = softmax(logits).

    ∂(-log p_label)/∂l_k = p_k - [k = label];   logits (N, K), labels (N,) whole numbers
    """
    log_p = log_softmax(logits)
    one_hot = (labels[:, None] == xp.arange(logits.shape[1])).astype(logits.dtype)
    return -(one_hot * log_p).sum() / len(logits), (xp.exp(log_p) - one_hot) / len(logits)


@dataclasses.dataclass
class Modes:
    modes: int
    high_quality: float


def modes(points, centres, sigma):
    """How many modes of a mixture the points (N, 2) find, and the share of them of high quality.

    A point is of high quality within 3 sigma of the nearest centre; a mode is found if it is the nearest one of at least
    one such point. Source: VEEGAN, Srivastava et al. 2017, arXiv:1705.07761, section 5.1
    """
    distance = np.linalg.norm(points[:, None] - centres, axis=2)           # (N, centres)
    good = distance.min(axis=1) < 3 * sigma
    return Modes(len(np.unique(distance.argmin(axis=1)[good])), float(good.mean()))


def psnr(y, target, peak=2.0):
    """Peak signal-to-noise ratio in decibels, 10 log10(peak² / mean squared error), the mean over the images.

    Higher is nearer; 6 dB are half the error. It does not see whether an image looks natural.
    Units     peak is the range of a pixel: 2 for [-1, 1]

    Shapes    y, target (N, ...) -> a float, inf if an image is met exactly
    Errors    ValueError for two shapes
    """
    y, target = to_numpy(y).astype(np.float64), to_numpy(target).astype(np.float64)
    if y.shape != target.shape or y.ndim < 2:
        raise ValueError(f"psnr: expected two batches of images of one shape, got {y.shape} and {target.shape}")
    with np.errstate(divide="ignore"):
        return float((10 * np.log10(peak * peak / ((y - target) ** 2).reshape(len(y), -1).mean(axis=1))).mean())
