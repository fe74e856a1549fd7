"""minigan: generative adversarial networks with every gradient written by hand, on NumPy or CuPy.

    import minigan as mg

    x, labels = mg.datasets.digits()
    G, D = mg.models.mlp_gan(mg.host_rng(0), image_shape=(8, 8, 1))
    gan = mg.GAN(G, D, mg.losses.NonSaturating(), mg.optimizers.Adam(), mg.optimizers.Adam())
    loss_D, loss_G = gan.train_step(mg.asarray(x[:64]), gan.noise(64, mg.rng(0)))

Where to read on: README.md, "In which order to read".
"""
import importlib
import os

# Where BLAS divides a product between threads of its own, these wait for the next product without sleeping, and keep the cores
# from NumPy's work in between. OpenBLAS reads this when NumPy is loaded: sleep at once. (After NumPy, it changes nothing.)
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

from minigan.backend import asarray, device, host_rng, rng, seed, to_numpy, use

__version__ = "0.1.0"

# Everything else is loaded when it is first used, so that `import minigan` takes hardly longer than `import numpy`.
_MODULES = ("backend", "cli", "cyclegan", "datasets", "engine", "files", "gan", "gradcheck", "layers", "losses", "metrics",
            "models", "optimizers", "penalties", "plots", "regularizers", "sampler", "training", "translation")
_NAMES = {"CycleGAN": "cyclegan", "GAN": "gan", "Layer": "layers", "Sequential": "layers", "Translation": "translation",
          "checkpoint": "training", "load": "training"}

__all__ = ["asarray", "device", "host_rng", "rng", "seed", "to_numpy", "use", *_NAMES, *_MODULES]


def __getattr__(name):
    if name in _NAMES:
        return getattr(importlib.import_module(f"minigan.{_NAMES[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"minigan.{name}")
    raise AttributeError(f"minigan has no {name!r}")


def __dir__():
    return sorted(__all__)
