"""The judge of images: a classifier, made of minigan's own layers and trained on the real images with their labels."""
from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np

from minigan.arguments import brief, check_data, check_finite, check_labels, check_whole
from minigan.backend import Array, asarray, host_rng, to_numpy, xp
from minigan.datasets import mnist
from minigan.layers import Dense, Flatten, ReLU, Sequential
from minigan.layers.architecture import make
from minigan.losses import log_softmax, softmax_cross_entropy
from minigan.optimizers import Adam


class Judge:
    """A trained network, from images to one logit a class: probabilities(x) is (N, classes) for images x.

    held_out   real images that it was not trained on; accuracy: the share of them that it gets right
    """

    def __init__(self, network: Sequential, held_out: np.ndarray, labels: np.ndarray):
        self.network, self.held_out = network, held_out
        self.classes = count_classes(network, held_out)
        self.accuracy = float((self.probabilities(held_out).argmax(axis=1) == labels).mean())

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        return in_portions(lambda x: xp.exp(log_softmax(self.network(x))), x)

    def features(self, x: np.ndarray) -> np.ndarray:
        """What the last layer sees of the images x, (N, features): the judge's idea of what is alike."""
        return in_portions(self.network[:-1], x)

    def verdict(self, x: np.ndarray, confidence: float = 0.9) -> Verdict:
        """How many classes the images x show (a class counts if it is the most probable one of some image), and the share
        of images whose class it is sure of, with a probability above `confidence`."""
        p = self.probabilities(x)
        return Verdict(len(np.unique(p.argmax(axis=1))), float((p.max(axis=1) > confidence).mean()))


def mnist_judge() -> Judge:
    """The judge of MNIST that comes with minigan, a convolutional network. Its training set were the 60,000 images of MNIST's;
    `held_out` are the 10,000 others, which also come with minigan. Made by benchmarks/judge.py."""
    with np.load(Path(__file__).with_name("judge.npz")) as file:
        network = make(json.loads(str(file["description"])))
        network.theta[...] = asarray(file["theta"].astype(np.float32))             # it is kept in float16
    return Judge(network, *mnist("test"))


class Classifier(Judge):
    """A judge that learns the classes of a labelled data set when it is made. One fifth of the data is held out.

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
        network = network or Sequential(Flatten(), Dense(math.prod(x.shape[1:]), 128, rng=rng, dtype=x.dtype), ReLU(),
                                        Dense(128, int(labels.max()) + 1, rng=rng, dtype=x.dtype), name="classifier")
        cuts = range(batch_size, len(train) - 1, batch_size)   # a last batch of one sample joins the one before it
        learn_classes(network, x, labels,
                      (batch for _ in range(epochs) for batch in np.split(rng.permutation(train), cuts)))
        super().__init__(network, x[held_out], labels[held_out])


def count_classes(network, x) -> int:
    """How many logits the network gives an image of x."""
    if not hasattr(network, "theta"):
        raise TypeError(f"classifier: expected a network, minigan.Sequential(...), got {brief(network)}")
    shape = network(asarray(x[:1])).shape
    if len(shape) != 2:
        raise ValueError(f"classifier {network}: must give logits (N, classes), got {shape} for one image")
    return shape[1]


def learn_classes(network: Sequential, x: np.ndarray, labels: Array, batches) -> None:
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


def in_portions(function, x, size=1000) -> np.ndarray:
    """function(x), on the host; `size` images at a time, to save memory. They must be finite, and at least one."""
    if len(x) == 0:
        raise ValueError("metrics: needs at least one image, got none")
    check_finite("metrics", x, "the images")
    return np.concatenate([to_numpy(function(asarray(x[i:i + size]))) for i in range(0, len(x), size)])
