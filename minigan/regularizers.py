"""Regularizers: what an optimizer does beside its own formula. Penalties on weights, clipping, decay.

Adam(2e-4, regularizers=[L2(1e-4), ClipNorm(1.0)]) calls each, in this order (so here the gradient of L2 is clipped, too):
before the step, when the gradient is in dtheta, and after it, when theta has moved. "Weights" are the parameters called W:
biases, gamma and beta are few and do no harm.
"""
from minigan.arguments import check_positive
from minigan.backend import Array, xp
from minigan.layers.network import Network
from minigan.layers.statistics import norm


class Regularizer:
    """before(network, lr) when the gradient is there, after(network, lr) when theta has moved."""

    def __init__(self, amount: float):
        check_positive(type(self).__name__, amount=amount)
        self.amount = float(amount)

    def before(self, network: Network, lr) -> None:
        pass

    def after(self, network: Network, lr) -> None:
        pass


def weights(network: Network) -> list[tuple[Array, Array]]:
    """(W, dW) of every layer that has weights."""
    return [(value, gradient) for name, value, gradient in network.parameters() if name.split(".")[-1] == "W"]


class L1(Regularizer):
    """Adds amount · Σ|W| to the loss; dW += amount · sign(W): a pull that does not weaken near 0, so that many weights
    end up close to it."""

    def before(self, network: Network, lr) -> None:
        for W, dW in weights(network):
            dW += self.amount * xp.sign(W)


class L2(Regularizer):
    """Adds amount/2 · Σ W² to the loss; dW += amount · W. (PyTorch's weight_decay; Keras' L2 has no 1/2.) With Adam, L2 does
    not shrink all weights equally: its term is divided by the gradient's size, too. See WeightDecay."""

    def before(self, network: Network, lr) -> None:
        for W, dW in weights(network):
            dW += self.amount * W


class WeightDecay(Regularizer):
    """W = (1 - lr · amount) W, outside of Adam: every weight shrinks at the same rate.

    Source    Loshchilov & Hutter 2019, arXiv:1711.05101 (decoupled weight decay, "AdamW"; there algorithm 2 multiplies by the
              schedule alone, not by the learning rate: lr · amount is PyTorch's form)
    """

    def before(self, network: Network, lr) -> None:
        for W, _ in weights(network):
            W *= 1 - lr * self.amount


class ClipValue(Regularizer):
    """Every entry of the gradient into [-amount, amount]. The direction of the gradient changes."""

    def before(self, network: Network, lr) -> None:
        xp.clip(network.dtheta, -self.amount, self.amount, out=network.dtheta)


class ClipNorm(Regularizer):
    """A gradient (of all parameters of the network together) that is longer than amount is made that long; its direction
    stays. Others are not changed.

    Source    Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063, algorithm 1
    """

    def before(self, network: Network, lr) -> None:
        length, direction = norm(network.dtheta)
        network.dtheta[...] = xp.where(length > self.amount, self.amount * direction, network.dtheta)


class WeightClip(Regularizer):
    """All parameters of the critic into [-amount, amount] after each step: the first, crude way to a Lipschitz critic.

    Source    Arjovsky, Chintala & Bottou 2017, arXiv:1701.07875, algorithm 1 (amount 0.01, RMSProp, lr 5e-5)
    """

    def after(self, network: Network, lr) -> None:
        xp.clip(network.theta, -self.amount, self.amount, out=network.theta)
