"""BatchNorm and the activation after it, in fewer kernels: how Sequential runs them on a GPU.

The formulas are those of the two layers, in normalization.py and activations.py. But BatchNorm's last formula and the
activation's become one kernel (backend.fuse), and so do the activation's backward and the product for dgamma. What goes from
the one layer to the other is then not written to memory, to be read again.
"""
from minigan.backend import device, fuse
from minigan.layers.activations import LeakyReLU, ReLU, leaky, leaky_backward
from minigan.layers.normalization import BatchNorm, scaled


@fuse
def scaled_leaky(x_hat, inv_std, gamma, beta, alpha):
    return leaky(scaled(x_hat, inv_std, gamma, beta), alpha)


@fuse
def leaky_scaled_backward(dy, positive, alpha, x_hat):
    dy = leaky_backward(dy, positive, alpha)
    return dy, dy * x_hat


class NormAndLeaky:
    """A BatchNorm and the LeakyReLU or ReLU after it.

    Shapes    x, y (N, ..., C);  gamma, beta (C,)
    Forward   z = gamma · x_hat + beta;  y = z where z > 0, else alpha·z
    Backward  dz = dy where z > 0, else alpha·dy;  then BatchNorm's dx, dgamma and dbeta for the upstream gradient dz
    Source    as for the two: Ioffe & Szegedy 2015, arXiv:1502.03167; Maas, Hannun & Ng 2013
    """

    def __init__(self, norm, activation):
        self.norm, self.alpha, self.size = norm, activation.alpha, norm.size

    def forward(self, x, train=True):
        (y, positive), cache = self.norm.forward(x, train, lambda *numbers: scaled_leaky(*numbers, self.alpha))
        return y, (positive, cache)

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        positive, (x_hat, *_) = cache
        self.norm.check_upstream(dy, x_hat.shape, x_hat.dtype)
        dy, dy_x_hat = leaky_scaled_backward(dy, positive, self.alpha, x_hat)
        return self.norm.backward(dy, cache[1], param_grads, input_grad, dy_x_hat)

    def double_backward(self, v, dy, cache):
        return self.norm.double_backward(v, dy, cache[1])      # which raises


def joined(layers):
    """The layers as they are run: on a GPU, a NormAndLeaky in place of each BatchNorm with a LeakyReLU or ReLU after it (not
    of subclasses, which may compute something else). A CPU has no kernels to join: there each layer runs alone."""
    if device() == "cpu":
        return layers
    result = []
    for layer in layers:
        if type(layer) in (LeakyReLU, ReLU) and result and type(result[-1]) is BatchNorm:
            result[-1] = NormAndLeaky(result[-1], layer)
        else:
            result.append(layer)
    return result
