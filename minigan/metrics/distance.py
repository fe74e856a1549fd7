"""The Fréchet distance: how far the features of fake images are, as a cloud, from those of real ones.

Both clouds are taken for Gaussians, N(m₁, C₁) and N(m₂, C₂), whose distance has a closed form:

    d² = ‖m₁ - m₂‖² + tr(C₁ + C₂ - 2 (C₁ C₂)^½)

with covariances that divide by N - 1. C₁ C₂ is not symmetric, and its root is delicate to compute. But AB and BA have the same
non-zero eigenvalues. So with the symmetric root S = C₁^½ the products S (S C₂) and (S C₂) S have the same λ; the second is
symmetric, and no λ is negative. The trace of a root is all that is needed:

    tr (C₁ C₂)^½ = tr (S C₂ S)^½ = Σ √λ

so two symmetric eigenvalue problems do, S = U diag(√a) Uᵀ from C₁ = U diag(a) Uᵀ, and then λ.

Source    Dowson & Landau 1982, "The Fréchet distance between multivariate normal distributions", J. Multivariate Analysis 12;
          for images: Heusel et al. 2017, arXiv:1706.08500 (FID), with the features of Inception. Here they are those of
          minigan's own classifier: the numbers compare with no published FID, and with each other only for the same judge.
"""
import dataclasses

import numpy as np

from minigan.arguments import check_finite
from minigan.backend import Array, to_numpy
from minigan.metrics.classifier import Classifier


def frechet_distance(a: Array, b: Array) -> float:
    """d² between the Gaussians fitted to the rows of a (N, F) and b (M, F), in float64 on the host; both must be finite."""
    a, b = (np.asarray(to_numpy(x), np.float64) for x in (a, b))
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2 or a.shape[1] == 0:
        raise ValueError(f"frechet_distance: expected features (N, F) and (M, F) of at least two samples each, got {a.shape} "
                         f"and {b.shape}")
    check_finite("frechet_distance", a, "a")
    check_finite("frechet_distance", b, "b")
    mean_a, mean_b = a.mean(axis=0), b.mean(axis=0)
    C_a, C_b = covariance(a - mean_a), covariance(b - mean_b)
    values, U = np.linalg.eigh(C_a)
    S = (U * np.sqrt(values.clip(min=0))) @ U.T        # rounding makes a 0 a little negative
    root = np.sqrt(np.linalg.eigvalsh(S @ C_b @ S).clip(min=0)).sum()
    return float(((mean_a - mean_b) ** 2).sum() + np.trace(C_a) + np.trace(C_b) - 2 * root)


def covariance(centred):
    return centred.T @ centred / (len(centred) - 1)


@dataclasses.dataclass
class Frechet:
    fake: float
    real: float

    def __str__(self):
        return f"{self.fake:.2f} (real images against other real images: {self.real:.2f})"


def frechet(classifier: Classifier, fake: np.ndarray, real: np.ndarray) -> Frechet:
    """The distance of fake images from real ones, with that of real from other real ones beside it: what perfect fakes would
    get. With few samples the distance is never 0. So both are taken with the same number of images, as many as possible.

    Every second real image is the reference; as many of the others, and of the fakes, are compared with it.
    """
    if len(real) < 4 or len(fake) < 2:
        raise ValueError(f"frechet: needs at least 4 real images, half of them as the reference, and 2 fakes, got {len(real)} "
                         f"and {len(fake)}")
    reference, others = real[::2], real[1::2]
    n = min(len(fake), len(others))
    reference, fake, others = (classifier.features(x) for x in (reference, fake[:n], others[:n]))
    return Frechet(frechet_distance(fake, reference), frechet_distance(others, reference))
