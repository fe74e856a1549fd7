"""Gradient penalties: how to differentiate a gradient, by hand.

A gradient penalty is a function of the slopes of a critic's surface: P = Σₙ φ(‖∇ₓD(xₙ)‖). R1 pulls the slopes at real images
to 0, WGAN-GP those between real and fake to 1. To train on P takes ∂P/∂θ, the derivative of something that is itself a
derivative. No new calculus is needed: the backward pass that computes ∇ₓD is a function like any other, written down in the
layers. It can be read as a second forward pass, from dy to dx, and gone through backward.

    forward     x₀ = x       x_l = f_l(x_{l-1}; W_l)                    x_L = logits
    backward    g_L = 1      g_{l-1} = backward of layer l at g_l, which depends on W_l too, and by f' on x_{l-1}
    penalty     P(g₀)        g₀ = ∇ₓD,  v₀ = ∂P/∂g₀

Backpropagation treats the last step first. Here the last step computed g₀, at the image. So v₀ = ∂P/∂g₀ comes first, then
v₁, v₂ ... up to the logits, with v_l = ∂P/∂g_l; each layer's `double_backward` is one step of it. In a Dense layer
g_{l-1} = g_l Wᵀ, a product of g_l and W:

    v_l = v_{l-1} W          dW += v_{l-1}ᵀ g_l           compare y = x W and dW += xᵀ dy: v takes the place of x

In a function of one number, as tanh, g_{l-1} = f'(x) · g_l, element by element, with x short for x_{l-1}:

    v_l = f'(x) · v_{l-1}    s_l = f''(x) · v_{l-1} · g_l       s_l: the part of ∂P/∂x_{l-1} that comes through f'

Biases do not occur in the backward pass, so this sweep gives them nothing. It gives a term s_l at the input of each layer with
a curved f. What is left to differentiate are the steps from x₀ to x_L. So an ordinary backward pass goes down from x_L to x₀:
at the input of layer l it adds s_l, and on its way it adds to dW and db (`Sequential.double_backward`). If all layers are
piecewise linear (Dense, convolutions, ReLU, LeakyReLU), f'' = 0 and there is nothing to pass down. Then the double backward
costs a forward pass, the products for dW, and a backward pass that finds the g_l again.

No logit may depend on the rest of the batch, or no sample has a gradient of its own: a BatchNorm is refused.

All functions ADD their gradient to D.dtheta, as backward does, and return the value of the penalty.
Source    Gulrajani et al. 2017, arXiv:1704.00028 (WGAN-GP); Mescheder et al. 2018, arXiv:1801.04406 (R1, R2); Drucker & LeCun
          1992, "Improving generalization performance using double backpropagation"
"""
from minigan.arguments import check_array, check_between, check_object, check_range, check_whole
from minigan.backend import Array, xp
from minigan.layers import BatchNorm, Sequential
from minigan.layers.layer import Layer
from minigan.layers.statistics import mean_square, norm

INF = float("inf")


def gradient_norm(D: Sequential, x: Array, weight: float = 10.0, target: float = 1.0, known: int = 0) -> Array:
    """weight · mean over n of (‖∇ₓD(xₙ)‖ - target)²; D stays a critic with slopes of about `target`.

    Shapes    x (N, ...): the norm is over all axes but the first. If D packs m samples (layers.Pack), the mean is over its N/m
              logits and the norm over the m samples of each
              `known` of the last axis' channels are conditions (labels): D is not differentiated with respect to these
    Errors    ValueError for a D with BatchNorm; NotImplementedError for a layer that has no double_backward
    """
    check_range("gradient_norm", weight=(weight, 0, INF), target=(target, 0, INF))
    weight, target = float(weight), float(target)      # a number of NumPy's would make float64 of v
    g, cache, ones = input_gradient(D, x, known)
    # A row for each logit (which sees several samples, if D packs them). At g = 0, the kink of the norm, the direction is 0.
    length, direction = norm(g.reshape(len(ones), -1), axis=1)
    v = (2 * weight / len(ones)) * (length - target) * direction           # ∂P/∂g = 2 weight/N · (‖g‖ - target) · g/‖g‖
    D.double_backward(v.reshape(g.shape), ones, cache)
    return mean_square(weight ** 0.5 * (length - target))


def wgan_gp(D: Sequential, real: Array, fake: Array, epsilon: Array, weight: float = 10.0, known: int = 0) -> Array:
    """gradient_norm with target 1 on the lines between real and fake images: at epsilonₙ·realₙ + (1 - epsilonₙ)·fakeₙ.

    Shapes    real, fake (N, ...);  epsilon (N,), numbers in [0, 1], one a sample
    Why       the best critic has slope 1 on the lines between each fake and the real image that it would be moved to
              (proposition 1). Which one that is, is not known, so the lines are drawn between any two
    """
    for name, x in (("real", real), ("fake", fake), ("epsilon", epsilon)):
        check_array("wgan_gp", name, x)
    if (real.shape, real.dtype) != (fake.shape, fake.dtype) or (epsilon.shape, epsilon.dtype) != ((len(real),), real.dtype):
        raise ValueError(f"wgan_gp: expected real and fake of one shape and one epsilon a sample, all of one dtype, got "
                         f"{real.shape} {real.dtype}, {fake.shape} {fake.dtype} and {epsilon.shape} {epsilon.dtype}")
    check_between("wgan_gp", "epsilon", epsilon, 0, 1)
    epsilon = epsilon.reshape(-1, *[1] * (real.ndim - 1))
    return gradient_norm(D, epsilon * real + (1 - epsilon) * fake, weight, 1.0, known)


def r1(D: Sequential, real: Array, gamma: float = 10.0, known: int = 0) -> Array:
    """gamma/2 · mean over n of ‖∇ₓD(xₙ)‖² on real images: D is to be flat where the data are.

    Why       without it D keeps pushing fakes that are already right, and the game circles around its solution
    """
    check_range("r1", gamma=(gamma, 0, INF))
    gamma = float(gamma)
    g, cache, ones = input_gradient(D, real, known)
    D.double_backward((gamma / len(ones)) * g, ones, cache)
    g = (0.5 * gamma / len(ones)) ** 0.5 * g          # so that no square or sum overflows on the way
    return (g * g).sum()


def r2(D: Sequential, fake: Array, gamma: float = 10.0, known: int = 0) -> Array:
    """r1 on fake images: D is to be flat where G is, too.

    Why       while fakes and data lie apart, D is kept flat on the data alone by r1, and may be as steep as it likes at the
              fakes, which are the ones that follow its slope
    Source    Mescheder, Geiger & Nowozin 2018, arXiv:1801.04406, section 4; with r1: Huang et al. 2024, arXiv:2501.05441
    """
    return r1(D, fake, gamma, known)


def input_gradient(D: Sequential, x: Array, known: int = 0) -> tuple[Array, list, Array]:
    """(g, cache, ones): g = ∇ₓD(xₙ) for every n at once: with ones as dy, since Σₘ D(xₘ) has at xₙ the gradient of D(xₙ)."""
    for _, layer in D.walk():
        if isinstance(layer, BatchNorm) or type(layer).double_backward is Layer.double_backward:
            layer.double_backward(None, None, None)    # raises the error that explains why, before any gradient is added
    logits, cache = D.forward(x)
    check_whole("gradient penalty", 0, known=known)
    if known >= x.shape[-1] or logits.size != len(logits):
        raise ValueError(f"gradient penalty: needs one logit a sample and known channels fewer than those of x, got logits "
                         f"{logits.shape}, known {known} and x {x.shape}")
    ones = xp.ones_like(logits)
    g = D.backward(ones, cache, param_grads=False)
    if known:
        g[..., -known:] = 0                            # and so v is 0 there, too
    return g, cache, ones


class WGANGP:
    """wgan_gp as a part of a GAN: called with what D sees of a batch. rng: a device generator, for epsilon."""

    def __init__(self, rng, weight: float = 10.0):
        check_object("WGANGP", "rng", rng, "minigan.rng(seed)", "random")
        check_range("WGANGP", weight=(weight, 0, INF))
        self.rng, self.weight = rng, float(weight)

    def __call__(self, D: Sequential, real: Array, fake: Array, known: int = 0) -> Array:
        epsilon = self.rng.random((len(real),), dtype=real.dtype)
        return wgan_gp(D, real, fake, epsilon, self.weight, known)


class R1:
    """r1 as a part of a GAN."""

    rng = None                                         # nothing for a checkpoint to keep

    def __init__(self, gamma: float = 10.0):
        check_range("R1", gamma=(gamma, 0, INF))
        self.gamma = float(gamma)

    def __call__(self, D: Sequential, real: Array, fake: Array, known: int = 0) -> Array:
        return r1(D, real, self.gamma, known)


class R2(R1):
    """r2 as a part of a GAN."""

    def __call__(self, D: Sequential, real: Array, fake: Array, known: int = 0) -> Array:
        return r2(D, fake, self.gamma, known)
