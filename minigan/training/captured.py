"""A training step of a GAN as one CUDA graph (minigan/engine/capture.py): for small networks, of which a GPU computes the
kernels faster than the host asks for them. On the CPU there is nothing to win, and the captured step is the plain one.
"""
from collections.abc import Callable

from minigan import backend
from minigan.engine.capture import Captured
from minigan.gan import GAN
from minigan.training import checkpoint


def capture(gan: GAN, noise) -> Callable:
    """gan.train_step as a function step(real, labels=None) -> (loss_D, loss_G), with z from the device generator `noise`.

    It is recorded at the first call, and again when the batch has another shape or dtype or a noise begins or ends. It follows
    the learning rates and InstanceNoise.sigma; all other numbers that are not arrays (alpha, the weight of a penalty ...) stay
    as they were. The two losses and `scores` are the same arrays at every call: read them before the next.
    """
    def step(real, labels):
        return *gan.train_step(real, gan.noise(len(real), noise), labels), *gan.scores

    def snapshot():
        return checkpoint.snapshot(gan, noise=backend.rng_state(noise))

    def put_back(state):
        checkpoint.restore(gan, state)
        backend.set_rng_state(noise, state["noise"])

    captured = step if backend.device() == "cpu" else Captured(step, snapshot, put_back)

    def captured_step(real, labels=None):
        loss_D, loss_G, *scores = captured(real, labels)
        gan.scores = tuple(scores)
        return loss_D, loss_G

    return captured_step
