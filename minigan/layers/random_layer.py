"""RandomLayer: what all layers that draw random numbers share, their generator."""
import numpy as np

from minigan.backend import next_stream, rng_state, set_rng_state
from minigan.backend import rng as device_rng
from minigan.layers.layer import Layer


class RandomLayer(Layer):
    """Base of the layers that draw random numbers in training.

    rng      a device generator, minigan.backend.rng(seed); without one, a stream of its own (backend.seed). A host generator
             works too, but on a GPU all that it draws is then copied over: so a layer passes what it draws through `asarray`
    """

    samples = "independent"

    def __init__(self, rng=None):
        self.rng = device_rng(next_stream()) if rng is None else rng
        if not hasattr(self.rng, "random"):
            raise TypeError(f"{self}: rng must be a generator, minigan.backend.rng(seed), got {rng!r}")

    def __getstate__(self):
        """For copy.deepcopy and pickle, which cannot look into a generator of CuPy: its state in its place."""
        on_host = isinstance(self.rng, np.random.Generator)
        return vars(self) | {"rng": self.rng if on_host else ("state", rng_state(self.rng))}

    def __setstate__(self, state):
        super().__setstate__(state)
        if isinstance(self.rng, tuple):
            _, saved = self.rng
            self.rng = device_rng(0)
            set_rng_state(self.rng, saved)
