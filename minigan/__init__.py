"""minigan: generative adversarial networks with every gradient written by hand, on NumPy or CuPy.

    import minigan as mg

    x, labels = mg.datasets.digits()
    G, D = mg.models.mlp_gan(mg.host_rng(0), image_shape=(8, 8, 1))
    gan = mg.GAN(G, D, mg.losses.NonSaturating(), mg.optimizers.Adam(), mg.optimizers.Adam())
    loss_D, loss_G = gan.train_step(mg.asarray(x[:64]), gan.noise(64, mg.rng(0)))

Where to read on: README.md, "In which order to read".
"""
from minigan import backend, checkpoint, datasets, gradcheck, initializers, layers, losses, metrics, models, optimizers
from minigan.backend import asarray, device, host_rng, rng, to_numpy, use
from minigan.gan import GAN
from minigan.layers import Layer, Sequential

__version__ = "0.1.0"

__all__ = ["GAN", "Layer", "Sequential", "asarray", "backend", "checkpoint", "datasets", "device", "gradcheck", "host_rng",
           "initializers", "layers", "losses", "metrics", "models", "optimizers", "rng", "to_numpy", "use"]
