"""Regularizers: what an optimizer does beside its own formula. Penalties on weights, clipping, decay.

Adam(2e-4, regularizers=[L2(1e-4), ClipNorm(1.0)]) calls each, in this order (so here the clipping sees the L2), before the step,
when the gradient is in dtheta, and after it, when theta has moved. "Weights" are the parameters called W: biases, gamma and
beta are few and do no harm.
"""
from minigan.arguments import check_positive
from minigan.backend import xp
from minigan.layers.statistics import norm


class Regularizer:
    """before(network, lr) when the gradient is there, after(network, lr) when theta has moved."""

    def __init__(self, amount):
        check_positive(type(self).__name__, amount=amount)
        self.amount = float(amount)

    def before(self, network, lr):
        pass

    def after(self, network, lr):
        pass


def weights(network):
    """(W, dW) of every layer that has weights."""
    return [(value, gradient) for name, value, gradient in network.parameters() if name.split(".")[-1] == "W"]


class L1(Regularizer):
    """Adds amount · Σ|W| to the loss; dW += amount · sign(W): a pull that does not weaken near 0, so that many weights
    end up close to it."""

    def before(self, network, lr):
        for W, dW in weights(network):
            dW += self.amount * xp.sign(W)


class L2(Regularizer):
    """Adds amount/2 · Σ W² to the loss; dW += amount · W. With Adam this is no even decay: Adam divides every gradient by its
    own size, and the pull with it, so weights with large gradients are pulled less. See WeightDecay."""

    def before(self, network, lr):
        for W, dW in weights(network):
            dW += self.amount * W


class WeightDecay(Regularizer):
    """W = (1 - lr · amount) W, outside of Adam: every weight shrinks at the same rate.

    Source    Loshchilov & Hutter 2019, arXiv:1711.05101 (decoupled weight decay, "AdamW")
    """

    def before(self, network, lr):
        for W, _ in weights(network):
            W *= 1 - lr * self.amount


class ClipValue(Regularizer):
    """Every entry of the gradient into [-amount, amount]. The direction of the gradient changes."""

    def before(self, network, lr):
        xp.clip(network.dtheta, -self.amount, self.amount, out=network.dtheta)


class ClipNorm(Regularizer):
    """A gradient (of all parameters of the network together) that is longer than amount is made that long; its direction
    stays. Others are not changed.

    Source    Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063, algorithm 1
    """

    def before(self, network, lr):
        length, direction = norm(network.dtheta)
        network.dtheta[...] = xp.where(length > self.amount, self.amount * direction, network.dtheta)


class WeightClip(Regularizer):
    """All parameters of the critic into [-amount, amount] after each step: the first, crude way to a Lipschitz critic.

    Source    Arjovsky, Chintala & Bottou 2017, arXiv:1701.07875, algorithm 1 (amount 0.01, RMSProp, lr 5e-5)
    """

    def after(self, network, lr):
        xp.clip(network.theta, -self.amount, self.amount, out=network.theta)
