"""Optimizers: one update rule for one network, on the two vectors theta and dtheta of that network.

An optimizer is made without a network and bound to one by GAN. It keeps its own vectors (momentum, Adam's two averages), so
every network needs one of its own: an Adam that is shared mixes the averages of two networks and counts every step twice.
"""
import math

from minigan.arguments import brief, check_object, check_range
from minigan.backend import Array, asarray, to_numpy, xp
from minigan.engine import fuse, this_step
from minigan.layers.network import Network
from minigan.layers.statistics import hypot


class Optimizer:
    """bind(network) once, then step() once the gradient is in dtheta; `state` and `set_state` are for checkpoints."""

    network: Network | None = None
    lr: float
    regularizers: tuple = ()                                  # of minigan.regularizers: clipping, penalties on weights, decay
    vector_names: tuple = ()                                  # the vectors, as long as theta, that it keeps

    def __str__(self):
        return f"{type(self).__name__}(lr={self.lr:g})"

    def check_free(self) -> None:
        if self.network is not None:
            raise ValueError(f"{type(self).__name__} already steps network {self.network}; "
                             "every network needs an optimizer of its own")

    def bind(self, network: Network) -> None:
        self.check_free()
        if not hasattr(network, "theta"):
            raise TypeError(f"{type(self).__name__}: steps a network, minigan.Sequential(...), got {brief(network)}")
        self.network, self.t = network, 0              # t: the number of steps made
        for name in self.vector_names:
            setattr(self, name, xp.zeros_like(network.theta))

    def step(self) -> None:
        """One step of theta, with the gradient that is in dtheta."""
        if self.network is None:
            raise ValueError(f"{type(self).__name__}: steps no network yet; bind(network) comes first")
        lr, *corrections = this_step(self.count_step, self.network.theta.dtype)
        for regularizer in self.regularizers:
            regularizer.before(self.network, lr)
        self.update(self.network.theta, self.network.dtheta, lr, *corrections)
        for regularizer in self.regularizers:
            regularizer.after(self.network, lr)

    def count_step(self) -> tuple[float, ...]:
        """Step t + 1 begins. Returns what differs from step to step: the learning rate and, in Adam, the bias corrections."""
        self.t += 1
        return (self.lr,)

    def update(self, theta: Array, dtheta: Array, lr, *corrections) -> None:
        """The formula of the step: theta is changed in place."""
        raise NotImplementedError

    def state(self) -> dict[str, Array]:
        """Name -> array of what a run needs to go on: t and the vectors (themselves, no copies)."""
        return {"t": asarray(self.t)} | {name: getattr(self, name) for name in self.vector_names}

    def set_state(self, state: dict[str, Array]) -> None:
        for name in self.vector_names:
            if state[name].shape != getattr(self, name).shape:
                raise ValueError(f"{type(self).__name__}: {name} has shape {state[name].shape} in this state, "
                                 f"{getattr(self, name).shape} here")
            getattr(self, name)[...] = asarray(state[name])
        self.t = int(to_numpy(state["t"]))


def checked(owner: str, regularizers) -> tuple:
    if not isinstance(regularizers, (list, tuple)):
        raise TypeError(f"{owner}: regularizers must be a list, [minigan.regularizers.ClipNorm(1.0)], got "
                        f"{brief(regularizers)}")
    for regularizer in regularizers:
        check_object(owner, "a regularizer", regularizer, "minigan.regularizers.ClipNorm(1.0)", "before", "after")
    return tuple(regularizers)


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum.

    velocity = momentum · velocity + dtheta;   theta = theta - lr · velocity
    Source    Robbins & Monro 1951; Polyak 1964 (momentum), in the form that PyTorch has
    """

    vector_names = ("velocity",)

    def __init__(self, lr: float, momentum: float = 0.0, *, regularizers=()):
        check_range("SGD", lr=(lr, 0, math.inf), momentum=(momentum, 0, 1))
        self.lr, self.momentum, self.regularizers = float(lr), float(momentum), checked("SGD", regularizers)

    def update(self, theta, dtheta, lr):
        sgd(theta, dtheta, self.velocity, lr, self.momentum)


@fuse
def sgd(theta, dtheta, velocity, lr, momentum):
    velocity *= momentum
    velocity += dtheta
    theta -= lr * velocity


class Adam(Optimizer):
    """Adaptive moments: steps of about lr in every coordinate, whatever the scale of its gradient.

    m = beta1 · m + (1 - beta1) · dtheta             running mean of the gradient
    v = beta2 · v + (1 - beta2) · dtheta²            running mean of its square
    theta = theta - lr · m̂ / (√v̂ + eps)             m̂ = m / (1 - beta1ᵗ),  v̂ = v / (1 - beta2ᵗ)

    m and v start at zero; the two divisors make them unbiased: after t steps the weights in m add up to 1 - beta1ᵗ.
    Only the root of v is used, and only the root is kept: root = √v = √(beta2 · root² + (1 - beta2) · dtheta²). That is the
    hypotenuse of √beta2 · root and √(1 - beta2) · dtheta, which `hypot` finds although the square of a gradient of 2e19 is
    infinite in float32 and that of 1e-23 zero.
    A step is at most lr if 1 - beta1 <= √(1 - beta2), else at most lr (1 - beta1)/√(1 - beta2): 15.8 lr with the defaults, for
    a gradient that comes after many zeros (section 2.1 of the paper).
    beta1 = 0.5 is DCGAN's choice: the other network changes, so old gradients mislead, and 0.5 forgets them sooner than 0.9.
    Source    Kingma & Ba 2015, arXiv:1412.6980, algorithm 1; lr and beta1 of Radford et al. 2016, arXiv:1511.06434
    """

    vector_names = ("m", "root")

    def __init__(self, lr: float = 2e-4, beta1: float = 0.5, beta2: float = 0.999, eps: float = 1e-8, *, regularizers=()):
        check_range("Adam", lr=(lr, 0, math.inf), beta1=(beta1, 0, 1), beta2=(beta2, 0, 1), eps=(eps, 0, math.inf))
        self.lr, self.beta1, self.beta2, self.eps = float(lr), float(beta1), float(beta2), float(eps)
        self.regularizers = checked("Adam", regularizers)

    def count_step(self):
        """Both divisors are numbers, so they are moved out of the vectors: lr_t = lr · √(1 - beta2ᵗ) / (1 - beta1ᵗ) and
        eps_t = eps · √(1 - beta2ᵗ) (end of section 2 of the paper)."""
        lr, = super().count_step()
        root_weights = math.sqrt(1 - self.beta2 ** self.t)
        tiny = float(xp.finfo(self.root.dtype).tiny)                   # where all gradients were 0, the step is 0, not 0/0
        return lr, lr * root_weights / (1 - self.beta1 ** self.t), max(self.eps * root_weights, tiny)

    def update(self, theta, dtheta, lr, lr_t, eps_t):
        adam(theta, dtheta, self.m, self.root, lr_t, eps_t, self.beta1, 1 - self.beta1, math.sqrt(self.beta2),
             math.sqrt(1 - self.beta2))


@fuse
def adam(theta, dtheta, m, root, lr_t, eps_t, beta1, newest_m, root_beta2, root_newest_v) -> None:
    """newest_m = 1 - beta1 is the weight of the newest gradient in m, root_newest_v the root of the same for v."""
    m *= beta1
    m += newest_m * dtheta
    root[...] = hypot(root_beta2 * root, root_newest_v * dtheta, eps_t)
    theta -= lr_t * (m / (root + eps_t))
