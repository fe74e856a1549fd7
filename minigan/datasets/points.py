"""Points in the plane: mixtures of Gaussians whose modes are known, so that mode collapse can be seen, and counted."""
import math

import numpy as np

from minigan.arguments import check_positive, check_range, check_whole


def ring_centres(modes: int = 8, radius: float = 1.0) -> np.ndarray:
    """The centres of `ring`: (modes, 2) float32, counterclockwise from (radius, 0)."""
    check_whole("ring", 1, modes=modes)
    check_positive("ring", radius=radius)
    angle = 2 * np.pi * np.arange(modes) / modes      # linspace(0, 2 pi, modes) would count the first centre twice
    return (radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)).astype(np.float32)


def grid_centres(side: int = 5, spacing: float = 2.0) -> np.ndarray:
    """The centres of `grid`: (side², 2) float32 around the origin; centre i * side + j is at (ticks[i], ticks[j])."""
    check_whole("grid", 1, side=side)
    check_positive("grid", spacing=spacing)
    ticks = spacing * (np.arange(side) - (side - 1) / 2)
    return np.stack([np.repeat(ticks, side), np.tile(ticks, side)], axis=1).astype(np.float32)


def ring(n: int, rng: np.random.Generator, modes: int = 8, radius: float = 1.0,
         sigma: float = 0.01) -> tuple[np.ndarray, np.ndarray]:
    """n points from equally likely Gaussians on a circle: mode collapse can be seen, and counted.

    Shapes    x (n, 2) float32;  labels (n,) int64, each point's row in `ring_centres(modes, radius)`
    Units     sigma is the standard deviation along each axis, in the units of radius
    Errors    TypeError if rng is no numpy.random.Generator;  ValueError for n < 1, no modes or a negative sigma
    Source    VEEGAN, Srivastava et al. 2017, arXiv:1705.07761; PacGAN, Lin et al. 2018, arXiv:1712.04086
    """
    return _mixture(ring_centres(modes, radius), n, rng, sigma)


def grid(n: int, rng: np.random.Generator, side: int = 5, spacing: float = 2.0,
         sigma: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """n points from side² equally likely Gaussians on a square lattice, by default on {-4, -2, 0, 2, 4}².

    Shapes    x (n, 2) float32, not scaled to [-1, 1];  labels (n,) int64, each point's row in `grid_centres`
    Units, errors and sources are those of `ring`.
    """
    return _mixture(grid_centres(side, spacing), n, rng, sigma)


def _mixture(centres, n, rng, sigma):
    check_draw(n, rng)
    check_range("datasets", sigma=(sigma, 0, math.inf))
    labels = rng.integers(len(centres), size=n)
    return (centres[labels] + sigma * rng.standard_normal((n, 2))).astype(np.float32), labels


def check_draw(n, rng):
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"expected rng to be a numpy.random.Generator, e.g. default_rng(0), got {type(rng).__name__}")
    check_whole("datasets", 1, n=n)
