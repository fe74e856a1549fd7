"""Sampler: noise and labels in, images out. It is the part of a GAN that is left when the training is over.

A conditional GAN appends the label, one-hot, to what both networks get (gan.py has the source).
"""
from typing import Any

from minigan import arguments, backend
from minigan.backend import Array, xp


class Sampler:
    """A generator G that takes noise (N, latent_dim), of a conditional GAN with labels of so many classes behind it.

    G_average  a moving average of G, which then makes the samples; or None
    """

    G: Any
    G_average: Any
    latent_dim: Any
    classes: int

    def sample(self, n: int, seed: int, labels: Array | None = None) -> Array:
        """n images that G, in evaluation mode, makes of the noise of this seed; in portions, to save memory. Without labels,
        those of a conditional GAN are 0, 1, 2 ... in turn. If there is a moving average of G, that average makes them."""
        arguments.check_whole("GAN.sample", 1, n=n)
        if self.classes and labels is None:
            labels = xp.arange(n) % self.classes
        elif self.classes:                             # here a GPU may be waited for
            labels = backend.to_numpy(labels)
            arguments.check_labels("GAN.sample", labels, n, self.classes)
            labels = backend.asarray(labels)
        z = self.with_labels(self.noise(n, seed), labels)
        G = self.G if self.G_average is None else self.G_average
        return xp.concatenate([G(z[i:i + 256]) for i in range(0, n, 256)])

    def noise(self, n: int, rng) -> Array:
        """z ~ N(0, 1), (n, latent_dim), from a device generator, minigan.rng(seed), which draws other numbers at each call; or
        from a seed, a whole number or a list of some, which gives the same z each time."""
        arguments.check_whole("GAN.noise", 1, n=n)
        rng = backend.rng(rng) if arguments.is_whole(rng) or isinstance(rng, list) else rng
        arguments.check_object("GAN.noise", "rng", rng, "minigan.rng(seed)", "standard_normal")
        return rng.standard_normal((n, self.latent_dim), dtype=self.G.theta.dtype)

    def with_labels(self, x: Array, labels: Array | None) -> Array:
        if self.classes:
            return append_labels(x, labels, self.classes)
        arguments.check_labels("GAN", labels, None, 0)
        return x


def append_labels(x: Array, labels: Array | None, classes: int) -> Array:
    """x (N, ..., C) -> (N, ..., C + classes): behind the channels the label, one-hot, the same at every pixel."""
    arguments.check_array("GAN", "samples and noise", x)
    if x.ndim < 2:
        raise ValueError(f"GAN: expected samples or noise (N, ..., C) to put labels behind, got {x.shape}")
    rows = arguments.one_hot("GAN", labels, len(x), classes, x.dtype).reshape(len(x), *[1] * (x.ndim - 2), classes)
    return xp.concatenate([x, xp.broadcast_to(rows, (*x.shape[:-1], classes))], axis=-1)
