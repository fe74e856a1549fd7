"""InstanceNoise: what D sees is blurred, so that real and fake overlap."""
from minigan.backend import asarray
from minigan.engine import once_per_batch, shard_rng, this_step
from minigan.layers.random_layer import RandomLayer


class InstanceNoise(RandomLayer):
    """In training, Gaussian noise of standard deviation sigma on every element; in evaluation x passes unchanged.

    Shapes    x, y any
    Forward   y = x + sigma · n, with n ~ N(0, 1) drawn anew at each call, in float32; sigma = 0 draws nothing, y is x
    Backward  dx = dy
    Cache     shape and dtype of x
    Double    u = v      s: none
    Why       n does not depend on x. As the first layer of D it gives real and fake images alike a density everywhere:
              without it both lie on thin surfaces, which a perfect D tells apart, and then G gets no gradient. Less noise
              as training goes on lets D see sharper: `layer.sigma` may be changed between steps.
    Source    Sønderby et al. 2017, arXiv:1610.04490 (instance noise); Arjovsky & Bottou 2017, arXiv:1701.04862, section 3
    """

    def __init__(self, sigma, rng=None):
        self.check_numbers(sigma=sigma)
        if not 0 <= sigma < float("inf"):
            raise ValueError(f"{self}: sigma must be a number of at least 0, got {sigma!r}")
        self.sigma = float(sigma)
        super().__init__(rng)

    def forward(self, x, train=True):
        self.check_input(x, ("...",))
        cache = x.shape, x.dtype
        if not train or once_per_batch(lambda: self.sigma == 0):
            return x, cache
        sigma, = this_step(lambda: (float(self.sigma),), x.dtype)      # float: a NumPy number would make float64 of y
        noise = asarray(shard_rng(self.rng).standard_normal(x.shape, dtype="float32"))
        return x + sigma * noise.astype(x.dtype, copy=False), cache

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        self.check_upstream(dy, *cache)
        return dy if input_grad else None

    def double_backward(self, v, dy, cache):
        return v, None
