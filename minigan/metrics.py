"""Numbers that say how good samples are. The losses of a GAN do not: they only measure what D believes of G.

For images the judge is a classifier, made of minigan's own layers and trained on the real images with their labels: it says
which classes the samples show and how sure it is. For points the centres of the modes are known. Scores depend on the judge,
on the number of samples and on the real data beside them: numbers of two papers, or of two classifiers, do not compare.
"""
import dataclasses
import math

import numpy as np

from minigan.backend import asarray, host_rng, to_numpy, xp
from minigan.checks import brief, check_data, check_finite, check_labels, check_positive, check_whole, one_hot
from minigan.layers import Dense, Flatten, ReLU, Sequential
from minigan.optimizers import Adam


class Classifier:
    """A small network that learns the classes of a labelled data set: probabilities(x) is (N, classes) for images x.

    One fifth of the data is held out: `held_out` are those images, `accuracy` is the share of them that it gets right.
    network: from images to one logit a class, in place of the one with 128 hidden units that is used else. It may know more
    classes than the labels show.

    Errors    ValueError or TypeError for images that are not finite, for fewer than five, for labels (N,) that are no classes
    """

    def __init__(self, x, labels, seed=0, epochs=100, batch_size=64, network=None):
        check_data("Classifier", x)
        labels = to_numpy(labels)
        check_labels("Classifier", labels, len(x))
        check_whole("Classifier", 1, epochs=epochs, batch_size=batch_size)
        if len(x) < 5:
            raise ValueError(f"Classifier: needs at least 5 images, since it holds out one in five, got {len(x)}")
        rng = host_rng(seed)
        held_out, train = np.split(rng.permutation(len(x)), [len(x) // 5])
        self.network = network or Sequential(Flatten(), Dense(math.prod(x.shape[1:]), 128, rng=rng, dtype=x.dtype), ReLU(),
                                             Dense(128, int(labels.max()) + 1, rng=rng, dtype=x.dtype), name="classifier")
        self.classes = count_classes(self.network, x)
        cuts = range(batch_size, len(train) - 1, batch_size)   # a last batch of one sample joins the one before it
        learn_classes(self.network, x, labels,
                      (batch for _ in range(epochs) for batch in np.split(rng.permutation(train), cuts)))
        self.held_out = x[held_out]
        self.accuracy = float((self.probabilities(self.held_out).argmax(axis=1) == labels[held_out]).mean())

    def probabilities(self, x):
        return in_portions(lambda x: xp.exp(log_softmax(self.network(x))), x)

    def features(self, x):
        """What the last layer sees of the images x, (N, features): the judge's idea of what is alike."""
        return in_portions(self.network[:-1], x)

    def verdict(self, x, confidence=0.9):
        """How many classes the images x show (a class counts if it is the most probable one of some image), and the share
        of images whose class it is sure of, with a probability above `confidence`."""
        p = self.probabilities(x)
        return Verdict(len(np.unique(p.argmax(axis=1))), float((p.max(axis=1) > confidence).mean()))


def count_classes(network, x):
    """How many logits the network gives an image of x."""
    if not hasattr(network, "theta"):
        raise TypeError(f"classifier: expected a network, minigan.Sequential(...), got {brief(network)}")
    shape = network(asarray(x[:1])).shape
    if len(shape) != 2:
        raise ValueError(f"classifier {network}: must give logits (N, classes), got {shape} for one image")
    return shape[1]


def learn_classes(network, x, labels, batches):
    """Train a network, from images to one logit a class, on each batch of the images x; a batch are their numbers."""
    check_data("learn_classes", x)
    labels = to_numpy(labels)
    check_labels("learn_classes", labels, len(x), count_classes(network, x))
    optimizer = Adam(lr=2e-3, beta1=0.9)
    optimizer.bind(network)
    for batch in batches:
        logits, cache = network.forward(asarray(x[batch]))
        _, dlogits = softmax_cross_entropy(logits, asarray(labels[batch]))
        network.zero_grad()
        network.backward(dlogits, cache, input_grad=False)
        optimizer.step()


@dataclasses.dataclass
class Verdict:
    classes: int
    confident: float


def in_portions(function, x, size=1000):
    """function(x), on the host; from so many images at a time, to save memory. They must be finite, and at least one."""
    if len(x) == 0:
        raise ValueError("metrics: needs at least one image, got none")
    check_finite("metrics", x, "the images")
    return np.concatenate([to_numpy(function(asarray(x[i:i + size]))) for i in range(0, len(x), size)])


def log_softmax(logits):
    """log p_k = l_k - log Σ_j e^(l_j); subtracting the largest logit first changes nothing but the overflow."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(axis=1, keepdims=True))


def softmax_cross_entropy(logits, labels):
    """Value and gradient of the classifier's loss: the mean of -log p_label, with p = softmax(logits).

    ∂(-log p_label)/∂l_k = p_k - [k = label];   logits (N, K), labels (N,) whole numbers from 0 to K - 1
    """
    if logits.ndim != 2 or logits.size == 0:
        raise ValueError(f"softmax_cross_entropy: expected logits (N, K), got {logits.shape}")
    right = one_hot("softmax_cross_entropy", labels, *logits.shape, logits.dtype)
    log_p = log_softmax(logits)
    of_the_label = right * xp.where(right == 0, 0.0, log_p)            # log_p of another class may be -inf
    return -(of_the_label / len(logits)).sum(), (xp.exp(log_p) - right) / len(logits)


# --- classes: how sure is the judge, and of how many ---

def kl(p, q=None):
    """KL(p || q) = Σ_k p_k log(p_k / q_k) in nats, of two distributions (K,); q is uniform, 1/K, if it is not given.

    p may be a histogram: it is divided by its sum, as q is. Terms with p_k = 0 are 0. NaN for a p or q of zeros (no samples,
    no distribution), infinite where q_k = 0 < p_k. Against uniform it is log K - entropy: 0 if all are equal, log K if p has
    one.
    """
    p = np.asarray(p, np.float64)
    q = np.ones(len(p)) if q is None else np.asarray(q, np.float64)
    if p.ndim != 1 or p.shape != q.shape or p.size == 0 or not all(((0 <= x) & (x < math.inf)).all() for x in (p, q)):
        raise ValueError(f"kl: expected two lists of K numbers, finite and not negative, got shapes {p.shape} and {q.shape}")
    if p.sum() == 0 or q.sum() == 0:
        return math.nan
    p, q, some = p / p.sum(), q / q.sum(), p > 0
    with np.errstate(divide="ignore"):
        return float((p[some] * (np.log(p[some]) - np.log(q[some]))).sum())


def classifier_score(p):
    """exp of the mean over n of KL(p(k | x_n) || p(k)), with p (N, K) the judge's probabilities and p(k) their mean over n.

    Between 1 (the judge says the same of all samples) and K (it is sure of each, and all classes are equally frequent). It
    does not see whether a class is always the same picture.
    Source    the inception score of Salimans et al. 2016, arXiv:1606.03498, section 4, with a classifier of our own: so no
              published inception score compares with it
    """
    p = check_probabilities("classifier_score", p)
    marginal = p.mean(axis=0)
    return math.exp(np.mean([kl(row, marginal) for row in p]))


def check_probabilities(name, p):
    """p as an array (N, K) in float64, after the refusal of what are no probabilities of N samples."""
    p = np.asarray(to_numpy(p), np.float64)
    if p.ndim != 2 or p.size == 0 or not ((0 <= p) & (p < math.inf)).all():
        raise ValueError(f"{name}: expected probabilities (N, K) of N >= 1 samples, finite and not negative, got {p.shape}"
                         + (f" from {p.min()} to {p.max()}" if p.size else ""))
    return p


def class_kl(p, target=None):
    """KL of the histogram of classes, the most probable one of each row of p (N, K), from `target` (K,), else uniform.

    Even of perfect samples it is not 0 but about (K - 1) / 2N: a histogram of N draws is never quite even.
    """
    p = check_probabilities("class_kl", p)
    return kl(np.bincount(p.argmax(axis=1), minlength=p.shape[1]), target)


@dataclasses.dataclass
class StackedModes:
    modes: int
    kl: float


def stacked_modes(images, classifier):
    """How many of the K^C combinations of digits the images (N, H, W, C) show, and the KL of their histogram from uniform.

    The classifier, of single digits (N, H, W, 1), looks at one channel at a time; the most probable class counts, however
    sure, and one image is enough for a mode. Both numbers need many samples: of N perfect ones about 1000 (1 - e^(-N/1000))
    modes show, and the KL is about 999 / 2N. Two protocols are in use, with classifiers that differ from paper to paper:

    VEEGAN's        Srivastava et al. 2017, arXiv:1705.07761; in PacGAN's program (Lin et al. 2018, arXiv:1712.04086): a full
                    DCGAN on a fixed set of 128,000 triples, 100,000 steps of batch 64, then 26,000 samples
    unrolled GAN's  Metz et al. 2017, arXiv:1611.02163; in PacGAN's program: tiny networks, D with 1/4 or 1/2 of the channels,
                    triples drawn anew, 500,000 steps of batch 128, then 25,600 samples
    """
    if images.ndim != 4:
        raise ValueError(f"stacked_modes: expected images (N, H, W, C), got {images.shape}")
    combination = np.zeros(len(images), np.int64)
    for c in range(images.shape[3]):
        combination = classifier.classes * combination + classifier.probabilities(images[..., c:c + 1]).argmax(axis=1)
    counts = np.bincount(combination, minlength=classifier.classes ** images.shape[3])
    return StackedModes(int((counts > 0).sum()), kl(counts))


# --- points ---

@dataclasses.dataclass
class Modes:
    modes: int
    high_quality: float
    reverse_kl: float


def modes(points, centres, sigma, fewest=1):
    """How many modes of a mixture the points (N, d) find, the share of them of high quality, and how evenly these are spread.

    A point is of high quality within 3 sigma of the nearest centre; a mode is found if it is the nearest one of at least
    `fewest` such points (the papers count one, however lucky). reverse_kl is the KL of the points of high quality, counted by
    mode, from uniform: 0 if they are spread evenly, log(number of modes) if all are in one, NaN if there are none.
    sigma is the standard deviation of a mode along each axis; centres are (modes, d).
    Of the mixture itself, in the plane, 1 - e^(-4.5) = 98.9 % are of high quality.
    Source    VEEGAN, Srivastava et al. 2017, arXiv:1705.07761, section 5.1; reverse_kl: PacGAN, Lin et al. 2018,
              arXiv:1712.04086, section 4.1
    """
    points, centres = (np.asarray(to_numpy(x), np.float64) for x in (points, centres))
    if points.ndim != 2 or centres.ndim != 2 or points.shape[1] != centres.shape[1] or not points.size or not len(centres):
        raise ValueError(f"modes: expected points (N, d) and centres (modes, d), at least one of each, got {points.shape} and "
                         f"{centres.shape}")
    check_finite("modes", points, "the points")
    check_positive("modes", sigma=sigma)
    check_whole("modes", 1, fewest=fewest)
    distance = np.linalg.norm(points[:, None] - centres, axis=2)           # (N, centres)
    good = distance.min(axis=1) < 3 * sigma
    counts = np.bincount(distance.argmin(axis=1)[good], minlength=len(centres))
    return Modes(int((counts >= fewest).sum()), float(good.mean()), kl(counts))


def psnr(y, target, peak=2.0):
    """Peak signal-to-noise ratio in decibels, 10 log10(peak² / mean squared error), the mean over the images.

    Higher is nearer; 6 dB are half the error. It does not see whether an image looks natural.
    Shapes    y, target (N, ...) -> a float, inf if an image is met exactly
    Units     peak is the range of a pixel: 2 for [-1, 1]
    Errors    ValueError for arrays of different shapes, without an image, or not finite
    """
    y, target = to_numpy(y).astype(np.float64), to_numpy(target).astype(np.float64)
    if y.shape != target.shape or y.ndim < 2 or y.size == 0:
        raise ValueError(f"psnr: expected two batches of images of one shape, not empty, got {y.shape} and {target.shape}")
    check_finite("psnr", y, "y")
    check_finite("psnr", target, "target")
    check_positive("psnr", peak=peak)
    with np.errstate(divide="ignore"):
        return float((10 * np.log10(peak * peak / ((y - target) ** 2).reshape(len(y), -1).mean(axis=1))).mean())
