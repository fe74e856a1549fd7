"""Activations: functions of one number, applied to every element, so dx = f'(x) · dy, element by element."""
from minigan.backend import xp
from minigan.engine import fuse
from minigan.layers.layer import Layer


@fuse
def leaky(x, alpha):
    return xp.maximum(x, alpha * x), x > 0


@fuse
def rectified(x):
    return xp.maximum(x, 0.0), x > 0                   # not leaky(x, 0): 0 · inf is no number


@fuse
def leaky_backward(dy, positive, alpha):
    slope = xp.maximum(positive.astype(dy.dtype), alpha)               # 1 or alpha; xp.where would be ten times slower
    return slope * dy


class LeakyReLU(Layer):
    """Positive numbers pass, negative ones are scaled by the slope alpha.

    Shapes    x, y any
    Forward   y = x where x > 0, else alpha·x;  for 0 ≤ alpha ≤ 1 that is max(x, alpha·x), for alpha = 0 max(x, 0)
    Backward  dx = dy where x > 0, else alpha·dy
    Cache     where x > 0: true or false for each element
    Double    u = v where x > 0, else alpha·v      s: none, f'' = 0 on both sides of the kink
    Why       two straight lines, of slope 1 and alpha. At the kink x = 0 there is no derivative; alpha is taken,
              as PyTorch does.
    Source    Maas, Hannun & Ng 2013; alpha 0.3 is Keras' default, DCGANs use 0.2 (arXiv:1511.06434)
    """

    samples = "independent"

    def __init__(self, alpha=0.3):
        self.check_numbers(alpha=alpha)
        if not 0 <= alpha <= 1:
            raise ValueError(f"{self}: the slope alpha must be between 0 and 1, got {alpha!r}")
        self.alpha = float(alpha)

    def forward(self, x, train=True):
        self.check_input(x, ("...",))
        return leaky(x, self.alpha) if self.alpha else rectified(x)

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        positive = cache
        self.check_upstream(dy, positive.shape, dy.dtype)
        return leaky_backward(dy, positive, self.alpha) if input_grad else None

    def double_backward(self, v, dy, cache):
        return self.backward(v, cache), None           # dx = f'(x) · dy, and so is u = f'(x) · v


class ReLU(LeakyReLU):
    """Positive numbers pass, negative ones become zero: LeakyReLU of slope 0.

    Shapes    x, y any
    Forward   y = max(x, 0)
    Backward  dx = dy where x > 0, else 0
    Cache     as LeakyReLU;  Double: as LeakyReLU
    Source    Nair & Hinton 2010
    """

    def __init__(self):
        super().__init__(alpha=0.0)


class Tanh(Layer):
    """The odd squashing function, into (-1, 1): the last layer of a generator of images scaled to [-1, 1].

    Shapes    x, y any
    Forward   y = tanh x
    Backward  dx = dy · (1 - y²)
    Cache     y
    Double    u = v · (1 - y²)      s = v · dy · (-2 y (1 - y²))
    Why       tanh' = 1 - tanh² and tanh'' = -2 tanh tanh', so the output is all that backward has to remember. (From |x| = 9
              on y rounds to ±1 in float32, and a slope of less than 6·10⁻⁸ to 0.)
    Source    LeCun, Bottou, Orr & Müller 1998, "Efficient BackProp", section 4.4
    """

    samples = "independent"

    def forward(self, x, train=True):
        self.check_input(x, ("...",))
        y = xp.tanh(x)
        return y, y

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        y = cache
        self.check_upstream(dy, y.shape, y.dtype)
        return dy * (1 - y * y) if input_grad else None

    def double_backward(self, v, dy, cache):
        y = cache
        slope = 1 - y * y
        return v * slope, v * dy * (-2 * y * slope)


class Sigmoid(Layer):
    """The logistic function, into (0, 1). For showing probabilities; the losses take logits, without it.

    Shapes    x, y any
    Forward   y = σ(x) = 1 / (1 + e⁻ˣ)
    Backward  dx = dy · y (1 - y)
    Cache     y and 1 - y = σ(-x)
    Double    u = v · y (1 - y)      s = v · dy · y (1 - y) (1 - 2y)
    Why       σ' = e⁻ˣ / (1 + e⁻ˣ)² = σ (1 - σ). With e = e^(-|x|), which cannot overflow, σ(|x|) = 1 / (1 + e) and σ(-|x|) =
              e / (1 + e). So both tails keep their digits: at x = 20 y rounds to 1 in float32, and 1 - y is 2·10⁻⁹.
    Source    Rumelhart, Hinton & Williams 1986
    """

    samples = "independent"

    def forward(self, x, train=True):
        self.check_input(x, ("...",))
        e = xp.exp(-xp.abs(x))
        large, small = 1 / (1 + e), e / (1 + e)
        y, rest = xp.where(x > 0, large, small), xp.where(x > 0, small, large)
        return y, (y, rest)

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        y, rest = cache
        self.check_upstream(dy, y.shape, y.dtype)
        return dy * (y * rest) if input_grad else None

    def double_backward(self, v, dy, cache):
        y, rest = cache
        slope = y * rest
        return v * slope, v * dy * (slope * (rest - y))        # 1 - 2y = (1 - y) - y
