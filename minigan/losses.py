"""The losses: value and gradient together, both from the same numbers.

D ends in a plain Dense(1). What it returns is called a logit: for the cross-entropy losses, D's probability that the image is
real is σ(logit); for the others it is a score. All GAN losses take logits, a for real images and b for fakes, (N, 1) each, and
return the mean over the N of a batch, which is to be minimised, and its derivative with respect to every logit, hence the 1/N.

Two functions carry the cross-entropy losses, with σ(x) = 1/(1 + e⁻ˣ) the sigmoid:

    softplus(x) = log(1 + eˣ)     softplus' = σ     -log σ(a) = softplus(-a)     -log(1 - σ(b)) = softplus(b)

So the log of a probability is never taken: for a logit of -200 that would be log(0) in float32.
"""
from minigan.arguments import check_alike, check_logits, check_real_label, one_hot
from minigan.backend import Array, xp
from minigan.engine import fuse
from minigan.layers.statistics import mean, mean_square


@fuse
def softplus(x: Array) -> Array:
    return xp.logaddexp(0.0, x)                        # log(e⁰ + eˣ), without overflow


@fuse
def sigmoid(x: Array) -> Array:
    """1/(1 + e⁻ˣ) = e^(-softplus(-x)): of good relative precision also where it is tiny, as dlogits are once D is sure."""
    return xp.exp(-softplus(-x))


@fuse
def as_real(a, rest, N) -> tuple[Array, Array]:
    """-log σ(a), still to be averaged over the N logits, and the derivative of its average. With rest = 1 - t that is the
    derivative of the cross-entropy with the label t, -(σ(-a) - (1 - t)) = σ(a) - t."""
    return softplus(-a), -(sigmoid(-a) - rest) / N


@fuse
def as_fake(b, N) -> tuple[Array, Array]:
    """-log(1 - σ(b)), still to be averaged, and the derivative of its average."""
    return softplus(b), sigmoid(b) / N


class Loss:
    """discriminator(logits_real, logits_fake) -> (value, dlogits_real, dlogits_fake);  generator(logits_fake) -> (value,
    dlogits_fake)"""

    def score(self, logits: Array) -> Array:
        """D's output for each sample as the log shows it: the logit itself, unless it means a probability."""
        return logits

    def __repr__(self):
        return type(self).__name__


class CrossEntropy(Loss):
    """D's side of Minimax and NonSaturating. A `real_label` t below 1, 0.9 say, is one-sided label smoothing: D's target on
    real images is a probability of 0.9, so that it does not become endlessly sure. With softplus(a) = softplus(-a) + a,

        -t log σ(a) - (1-t) log(1 - σ(a)) = softplus(-a) + (1-t)·a          derivative σ(a) - t

    The fakes' label stays 0. A label above 0 would reward D for high scores where there are only fakes.
    Source    Salimans et al. 2016, arXiv:1606.03498, section 3.4
    """

    def __init__(self, real_label: float = 1.0):
        self.real_label = check_real_label(self, real_label)

    def discriminator(self, logits_real: Array, logits_fake: Array) -> tuple[Array, Array, Array]:
        a, b = check_logits(self, logits_real, logits_fake)
        (value_a, da), (value_b, db) = as_real(a, 1 - self.real_label, len(a)), as_fake(b, len(b))
        value = mean(value_a) + mean(value_b)
        return value if self.real_label == 1 else value + (1 - self.real_label) * mean(a), da, db

    def score(self, logits):
        return sigmoid(logits)                         # D(x), the probability that the sample is real


class Minimax(CrossEntropy):
    """The original game, min over G of max over D of  E log D(x) + E log(1 - D(G(z))),  with D = σ(logit).

                     value                                       derivative
    discriminator    mean softplus(-a) + mean softplus(b)        -σ(-a)/N      σ(b)/N
    generator        -mean softplus(b)                           -σ(b)/N

    G's derivative vanishes when D is sure of the fakes, b << 0: the loss saturates. At b = -5 it is -0.0067/N.
    Source    Goodfellow et al. 2014, arXiv:1406.2661, eq. 1
    """

    def generator(self, logits_fake: Array) -> tuple[Array, Array]:
        b, = check_logits(self, logits_fake)
        value, db = as_fake(b, len(b))
        return -mean(value), -db


class NonSaturating(CrossEntropy):
    """The same game for D; G maximises log D(G(z)) in place of minimising log(1 - D(G(z))).

                     value                                       derivative
    discriminator    mean softplus(-a) + mean softplus(b)        -σ(-a)/N      σ(b)/N
    generator        mean softplus(-b)                           -σ(-b)/N

    G's derivative is largest where D is sure of the fakes; at b = -5 it is -0.9933/N.
    Source    Goodfellow et al. 2014, arXiv:1406.2661, end of section 3
    """

    def generator(self, logits_fake: Array) -> tuple[Array, Array]:
        b, = check_logits(self, logits_fake)
        value, db = as_real(b, 0.0, len(b))
        return mean(value), db


class LeastSquares(Loss):
    """D's output is pulled to 1 on real images and to 0 on fakes; G pulls it to 1 on fakes.

                     value                                       derivative
    discriminator    mean (a - 1)²/2 + mean b²/2                 (a - 1)/N     b/N
    generator        mean (b - 1)²/2                             (b - 1)/N

    With a `real_label` D pulls real images to that (label smoothing, see CrossEntropy). The output is linear: behind a sigmoid
    the derivative would get a factor σ(1-σ), which vanishes when D is sure.
    Source    Mao et al. 2017, arXiv:1611.04076, eq. 2 and 9 (a 0-1 coding)
    """

    def __init__(self, real_label: float = 1.0):
        self.real_label = check_real_label(self, real_label)

    def discriminator(self, logits_real: Array, logits_fake: Array) -> tuple[Array, Array, Array]:
        a, b = check_logits(self, logits_real, logits_fake)
        distance = a - self.real_label
        return mean(0.5 * distance * distance) + mean(0.5 * b * b), distance / len(a), b / len(b)

    def generator(self, logits_fake: Array) -> tuple[Array, Array]:
        b, = check_logits(self, logits_fake)
        distance = b - 1
        return mean(0.5 * distance * distance), distance / len(b)


class Wasserstein(Loss):
    """D is a critic. If it is 1-Lipschitz, its mean score of real images minus that of fakes is a lower bound of the distance
    between the two distributions; the best such D gives the distance.

                     value                                       derivative
    discriminator    mean b - mean a                             -1/N          1/N
    generator        -mean b                                     -1/N

    The loss does nothing to make D 1-Lipschitz: that takes weight clipping or a gradient penalty beside it.
    Source    Arjovsky, Chintala & Bottou 2017, arXiv:1701.07875, algorithm 1
    """

    def discriminator(self, logits_real: Array, logits_fake: Array) -> tuple[Array, Array, Array]:
        a, b = check_logits(self, logits_real, logits_fake)
        return mean(b) - mean(a), xp.full_like(a, -1 / len(a)), xp.full_like(b, 1 / len(b))

    def generator(self, logits_fake: Array) -> tuple[Array, Array]:
        b, = check_logits(self, logits_fake)
        return -mean(b), xp.full_like(b, -1 / len(b))


class Hinge(Wasserstein):
    """As Wasserstein, but real scores above 1 and fakes below -1 add nothing to D's loss. [a < 1] is 1 where a < 1, else 0.

                     value                                       derivative
    discriminator    mean max(0, 1 - a) + mean max(0, 1 + b)     -[a < 1]/N    [b > -1]/N
    generator        -mean b                                     -1/N
    Source    Lim & Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957, eq. 16 and 17
    """

    def discriminator(self, logits_real: Array, logits_fake: Array) -> tuple[Array, Array, Array]:
        a, b = check_logits(self, logits_real, logits_fake)
        value = mean(xp.maximum(0.0, 1 - a)) + mean(xp.maximum(0.0, 1 + b))
        return value, -(a < 1).astype(a.dtype) / len(a), (b > -1).astype(b.dtype) / len(b)


LOSSES = {loss.__name__.lower(): loss for loss in (Minimax, NonSaturating, LeastSquares, Wasserstein, Hinge)}


def by_name(name: str, **options) -> Loss:
    """The loss of this name, in any spelling: "NonSaturating", "non_saturating", "nonsaturating" ..."""
    loss = LOSSES.get(str(name).lower().replace("_", "").replace("-", ""))
    if loss is None:
        raise ValueError(f"there is no loss {name!r}; there are {', '.join(LOSSES)}")
    return loss(**options)


# --- images with a target t: the mean over all M elements, and its derivative ---

def l1(y: Array, target: Array) -> tuple[Array, Array]:
    """mean |y - t|;  dy = sign(y - t)/M, 0 at the kink. Its best guess is the median of all answers."""
    check_alike("l1", y, target)
    return mean(xp.abs(y - target)), xp.sign(y - target) / y.size


def l2(y: Array, target: Array) -> tuple[Array, Array]:
    """mean (y - t)²;  dy = 2 (y - t)/M. Its best guess is the mean of all answers."""
    check_alike("l2", y, target)
    return mean_square(y - target), (2 / y.size) * (y - target)


# --- classes: logits l (N, K), labels (N,) whole numbers from 0 to K - 1 ---

def log_softmax(logits: Array) -> Array:
    """log p_k = l_k - log Σ_j e^(l_j); subtracting the largest logit first changes nothing but the overflow."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(axis=1, keepdims=True))


def softmax_cross_entropy(logits: Array, labels: Array) -> tuple[Array, Array]:
    """The mean of -log p_label, with p = softmax(l);  dl_k = (p_k - [k = label])/N."""
    if logits.ndim != 2 or logits.size == 0:
        raise ValueError(f"softmax_cross_entropy: expected logits (N, K), got {logits.shape}")
    (N, K), log_p = logits.shape, log_softmax(logits)
    right = one_hot("softmax_cross_entropy", labels, N, K, logits.dtype)
    of_the_label = right * xp.where(right == 0, 0.0, log_p)            # log_p of another class may be -inf
    return -(of_the_label / N).sum(), (xp.exp(log_p) - right) / N
