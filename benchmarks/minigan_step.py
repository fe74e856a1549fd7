"""The training step of minigan, for the benchmarks."""
import minigan as mg
from minigan.engine import machine


def make_gan(model, batch, update="alternating", eps=1e-8, dtype="float32"):
    """(gan, real): a GAN of this model, and a batch of images to train it on."""
    G, D = mg.models.MODELS[model](mg.host_rng(0), dtype=dtype)
    gan = mg.GAN(G, D, mg.losses.NonSaturating(), mg.optimizers.Adam(eps=eps), mg.optimizers.Adam(eps=eps), update=update)
    return gan, gan.sample(batch, seed=0)


def make_step(model, batch, update, threads):
    """A function of no arguments that does one training step, with the non-saturating loss. `threads` comes to minigan by
    the environment variable MINIGAN_THREADS."""
    gan, real = make_gan(model, batch, update)
    noise = mg.rng(1)

    def step():
        losses = gan.train_step(real, gan.noise(batch, noise))
        mg.backend.synchronize()
        return losses

    return step


def describe():
    shown = ("NumPy", "BLAS", "TF32")
    return "minigan; " + "; ".join(f"{what} {found}" for what, found in machine.describe() if what in shown)
