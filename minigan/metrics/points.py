"""Points in the plane, whose modes are known; and the distance between images that belong together."""
import dataclasses

import numpy as np

from minigan.arguments import check_finite, check_positive, check_whole
from minigan.backend import Array, to_numpy
from minigan.metrics.classes import kl


@dataclasses.dataclass
class Modes:
    modes: int
    high_quality: float
    reverse_kl: float


def modes(points: Array, centres: Array, sigma: float, fewest: int = 1) -> Modes:
    """How many modes of a mixture the points (N, d) find, the share of them of high quality, and how evenly these are spread.

    A point is of high quality within 3 sigma of the nearest centre; a mode is found if it is the nearest one of at least
    `fewest` such points (the papers count one, however lucky). reverse_kl is the KL of the points of high quality, counted by
    mode, from uniform: 0 if they are spread evenly, log(number of modes) if all are in one, NaN if there are none.
    sigma is the standard deviation of a mode along each axis; centres are (modes, d).
    Of the mixture itself, in the plane, 1 - e^(-4.5) = 98.9 % are of high quality.
    Source    VEEGAN, Srivastava et al. 2017, arXiv:1705.07761, section 5.1; reverse_kl: PacGAN, Lin et al. 2018,
              arXiv:1712.04086, the experiments on synthetic data
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


def psnr(y: Array, target: Array, peak: float = 2.0) -> float:
    """Peak signal-to-noise ratio in decibels, 10 log10(peak² / mean squared error), the mean over the images.

    Higher is nearer; 6 dB more are half the root mean square error. It does not see whether an image looks natural.
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
