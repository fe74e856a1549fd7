"""BatchNorm: forward, and its derivative derived twice.

For one channel, over the M values x_1 … x_M that it has in the batch, the forward pass is five stages:

    1  mean    = Σ x / M
    2  var     = Σ (x - mean)² / M
    3  inv_std = (var + eps)^(-1/2)
    4  x_hat   = (x - mean) · inv_std
    5  y       = gamma · x_hat + beta

Backward, each stage reversed. Every x affects the loss in three ways: directly through stage 4, through inv_std, through mean:

    5  dbeta = Σ dy          dgamma = Σ dy · x_hat          dx_hat = gamma · dy
    4  dinv_std = Σ dx_hat · (x - mean)                     dx gets  dx_hat · inv_std,  dmean gets  - inv_std · Σ dx_hat
    3  dvar = - 1/2 · inv_std³ · dinv_std
    2  dx gets  dvar · 2 (x - mean) / M                     (dmean gets  - 2 dvar Σ (x - mean) / M = 0)
    1  dx gets  dmean / M

Added up, with x - mean = x_hat / inv_std, so that stages 3 and 2 give - inv_std · x_hat · Σ(dx_hat · x_hat) / M:

    dx = inv_std · ( dx_hat - mean(dx_hat) - x_hat · mean(dx_hat · x_hat) )
       = gamma · inv_std · ( dy - dbeta / M - x_hat · dgamma / M )

Why it must be so: adding a constant to x, or scaling x around its mean, does not change y (up to eps). So the gradient
has no component along those two directions, the constant vector and x_hat: the two subtractions take them out. (Along x_hat a
little is left, the part eps / (var + eps), because eps makes y feel the scale of x slightly.)

Evaluation uses running averages of mean and var. With m = momentum and b_t the mean of batch t, let

    A_t = m · A_(t-1) + (1 - m) · b_t,    A_0 = 0         a sum over the batches so far, of which the newest weighs most
    w_t = m · w_(t-1) + (1 - m),          w_0 = 0         the sum of their weights, 1 - mᵗ

A_t alone is too small by the factor w_t: after 25 batches and with m = 0.99 by 0.22. So the running mean is r_t = A_t / w_t,
as Adam divides its moments by 1 - βᵗ. With m · w_(t-1) = w_t - (1 - m) that is one step towards the newest:

    r_t = (m · w_(t-1) · r_(t-1) + (1 - m) · b_t) / w_t = r_(t-1) + (1 - m) / w_t · (b_t - r_(t-1))

The first batch counts alone, of the first few each about the same, and later r_t moves by 1 - m, as w_t nears 1.
"""
import numpy as np

from minigan.backend import xp
from minigan.engine import batch_sum, channel_sum, fuse, once_per_batch
from minigan.layers.layer import Layer
from minigan.layers.statistics import average, centred, inverse_std

# The formulas of the two passes, element by element; between them are the sums.

@fuse
def scaled(x_hat, inv_std, gamma, beta):
    x_hat *= inv_std
    return gamma * x_hat + beta


@fuse
def scaled_backward(dy, inv_std, gamma):
    return gamma * inv_std * dy


@fuse
def normalized_backward(dy, x_hat, inv_std, gamma, dbeta, dgamma, M):
    dy = dy - dbeta / M - x_hat * (dgamma / M)
    return gamma * inv_std * dy


class BatchNorm(Layer):
    """Every channel gets mean beta and standard deviation |gamma| · √(var / (var + eps)), nearly |gamma|, over the batch.

    Shapes    x, y (N, ..., C);  gamma, beta (C,);  one statistic a channel, over the M values on all other axes; in training
              M must be above 1, or there is no variance
    Forward   x_hat = (x - mean) · inv_std,  inv_std = 1/√(var + eps);  y = gamma · x_hat + beta
              var divides by M (biased). In evaluation mean and var are the running averages over the batches of training,
              whose weights fall by `momentum` a batch and add up to 1 (`move_running`)
    Backward  dx = gamma · inv_std · (dy - dbeta/M - x_hat · dgamma/M)      dgamma = Σ dy · x_hat      dbeta = Σ dy
              In evaluation mean and var are constants: dx = gamma · inv_std · dy
    Cache     x_hat, inv_std, and whether it was training
    Double    refused: every output depends on the whole batch, so no sample has a gradient of its own
    Why       the derivation, and why dx has this form, is at the top of this file. A bias before a BatchNorm gets the
              gradient 0: it shifts all x of a channel alike, and y ignores that.
    Source    Ioffe & Szegedy 2015, arXiv:1502.03167. momentum is Keras' (the weight of the old value; PyTorch's is the
              weight of the new one). The running variance divides by M, as in Keras 3; PyTorch, and for images Keras 2, by
              M - 1. Keras and PyTorch have w = 1 from the beginning: numbers that come from there are evaluated as they
              are, and training goes on from them after `layer.running_weight[...] = 1`
    """

    samples = "summed"

    def __init__(self, C, momentum=0.99, eps=1e-3, *, rng=None, dtype="float32"):
        self.check_sizes(C=C)
        self.check_numbers(momentum=momentum, eps=eps)
        if not 0 <= momentum <= 1 or not 0 < eps < float("inf"):
            raise ValueError(f"{self}: momentum must be between 0 and 1 and eps positive, got {momentum!r} and {eps!r}")
        self.C, self.momentum, self.eps = C, float(momentum), float(eps)
        self.add_parameter("gamma", np.ones(C), dtype)
        self.add_parameter("beta", np.zeros(C), dtype)
        self.add_state("running_mean", np.zeros(C), dtype)
        self.add_state("running_var", np.ones(C), dtype)
        self.add_state("running_weight", np.zeros(C), dtype)               # w; a channel that overflows misses a batch

    def forward(self, x, train=True):
        self.check_input(x, ("...", self.C), self.gamma.dtype)
        M = batch_sum(x.size // self.C)                # values a channel has in the batch
        if train and M == 1:
            raise ValueError(f"{self}: one value a channel, shape {x.shape}, has no variance; train on larger batches")
        if train:
            def mean_of(values):
                return average(batch_sum, values, M)

            x_hat, mean = centred(x, mean_of)
            inv_std, var = inverse_std(x_hat, mean_of, self.eps)
            once_per_batch(lambda: self.move_running(mean, var))
        else:
            x_hat = x - self.running_mean
            inv_std = 1 / xp.sqrt(self.running_var + self.eps)
        y = scaled(x_hat, inv_std, self.gamma, self.beta)  # x_hat, so far x - mean, becomes what it is called: stages 4 and 5
        return y, (x_hat, inv_std, train)

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        x_hat, inv_std, train = cache
        self.check_upstream(dy, x_hat.shape, x_hat.dtype)
        dbeta = channel_sum(dy)                        # (C,)
        dgamma = channel_sum(dy * x_hat)               # (C,)
        if param_grads:
            self.dgamma += dgamma
            self.dbeta += dbeta
        if not input_grad:
            return None
        if not train:
            return scaled_backward(dy, inv_std, self.gamma)
        M = batch_sum(dy.size // self.C)               # dx needs the sums over the whole batch, not over this shard of it
        return normalized_backward(dy, x_hat, inv_std, self.gamma, batch_sum(dbeta), batch_sum(dgamma), M)

    def double_backward(self, v, dy, cache):
        raise ValueError(f"{self} makes every output depend on the whole batch, so a sample has no gradient of its own that a "
                         "penalty could act on; use LayerNorm or InstanceNorm in such a D, or no normalization")

    def move_running(self, mean, var):
        if self.momentum < 1:                          # else they stay as they are
            weight, share = next_weight(self.running_weight, self.momentum, 1 - self.momentum)
            move(self.running_mean, mean, var, share)
            move(self.running_var, var, var, share)
            move(self.running_weight, weight, var, 1.0)


@fuse
def next_weight(weight, momentum, newest):
    """w_t, and the share of the newest batch, (1 - m) / w_t."""
    weight = momentum * weight + newest
    return weight, newest / weight


@fuse
def move(running, newest, var, share):
    """running = (1 - share) · running + share · newest. A batch whose variance overflowed leaves no trace, and a running value
    that is not finite begins anew with the next good batch."""
    moved = (running - share * running) + share * newest
    moved = xp.where(xp.isfinite(moved), moved, newest)
    running[...] = xp.where(xp.isfinite(var), moved, running)
