"""Which classes do the samples show, and how evenly? Numbers from the probabilities that a classifier gives."""
import dataclasses
import math

import numpy as np

from minigan.backend import Array, to_numpy
from minigan.metrics.classifier import Classifier


def kl(p, q=None) -> float:
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


def classifier_score(p: Array) -> float:
    """exp of the mean over n of KL(p(k | x_n) || p(k)), with p (N, K) the judge's probabilities and p(k) their mean over n.

    Between 1 (the judge says the same of all samples) and K (it is sure of each, and all classes are equally frequent). It
    does not see whether a class is always the same picture.
    Source    the inception score of Salimans et al. 2016, arXiv:1606.03498, section 4, with a classifier of our own: so no
              published inception score compares with it
    """
    p = check_probabilities("classifier_score", p)
    marginal = p.mean(axis=0)
    return math.exp(np.mean([kl(row, marginal) for row in p]))


def check_probabilities(name, p) -> np.ndarray:
    """p as an array (N, K) in float64, after the refusal of what are no probabilities of N samples."""
    p = np.asarray(to_numpy(p), np.float64)
    if p.ndim != 2 or p.size == 0 or not ((0 <= p) & (p < math.inf)).all():
        raise ValueError(f"{name}: expected probabilities (N, K) of N >= 1 samples, finite and not negative, got {p.shape}"
                         + (f" from {p.min()} to {p.max()}" if p.size else ""))
    return p


def class_kl(p: Array, target=None) -> float:
    """KL of the histogram of classes, the most probable one of each row of p (N, K), from `target` (K,), else uniform.

    Even of perfect samples it is not 0 but about (K - 1) / 2N: a histogram of N draws is never quite even.
    """
    p = check_probabilities("class_kl", p)
    return kl(np.bincount(p.argmax(axis=1), minlength=p.shape[1]), target)


@dataclasses.dataclass
class StackedModes:
    modes: int
    kl: float


def stacked_modes(images: np.ndarray, classifier: Classifier) -> StackedModes:
    """How many of the K^C combinations of digits the images (N, H, W, C) show, and the KL of their histogram from uniform.

    The classifier, of single digits (N, H, W, 1), looks at one channel at a time; the most probable class counts, however
    sure, and one image is enough for a mode. Both numbers need many samples: of N perfect ones about 1000 (1 - e^(-N/1000))
    modes show, and the KL is about 999 / 2N, for N far above 1,000. Two protocols are in use, with classifiers that
    differ from paper to paper:

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
