"""The GAN losses: value and gradient together, both from the same numbers.

D ends in a plain Dense(1). What it returns is called a logit: for the cross-entropy losses, D's probability that the image is
real is sigmoid(logit); for the others it is a score. All losses take logits, a for real images and b for fakes, (N, 1) each,
and return the mean over the batch and its derivative with respect to every logit, hence the 1/N. From there the layers'
backward takes over.

Two functions carry the cross-entropy losses, with s(x) = 1/(1 + e⁻ˣ) the sigmoid:

    softplus(x) = log(1 + eˣ)     -log s(a) = softplus(-a)     -log(1 - s(b)) = softplus(b)     softplus' = s

So the log of a probability is never taken: for a logit of -200 that would be log(0) in float32. `value` and `dlogits` are
a number to be minimised and its derivative: D and G each minimise their own.
"""
from minigan.arguments import check_array, is_number, one_hot
from minigan.backend import xp
from minigan.engine import fuse
from minigan.layers.statistics import mean, mean_square


@fuse
def softplus(x):
    """log(1 + eˣ) = log(e⁰ + eˣ), without overflow."""
    return xp.logaddexp(0.0, x)


@fuse
def sigmoid(x):
    """1/(1 + e⁻ˣ) = e^(-softplus(-x)): of good relative precision also where it is tiny, as
    dlogits are once D is sure."""
    return xp.exp(-softplus(-x))


# Each of the following is the part of one network's batch, of N logits: the value of every sample, still to be averaged, and
# the derivative of the average.

@fuse
def as_real(a, rest, N):
    """-log s(a) and its derivative; with rest = 1 - t, the derivative of the cross-entropy with the label t."""
    return softplus(-a), -(sigmoid(-a) - rest) / N


@fuse
def as_fake(b, N):
    """-log(1 - s(b)) and its derivative."""
    return softplus(b), sigmoid(b) / N


@fuse
def towards(a, target, N):
    """(a - target)²/2 and the derivative of its average."""
    distance = a - target
    return 0.5 * distance * distance, distance / N


@fuse
def above_margin(a, N):
    """max(0, 1 - a) and its derivative."""
    return xp.maximum(0.0, 1 - a), -(a < 1).astype(a.dtype) / N


@fuse
def below_margin(b, N):
    """max(0, 1 + b) and its derivative."""
    return xp.maximum(0.0, 1 + b), (b > -1).astype(b.dtype) / N


def _check(loss, *logits):
    for values in logits:
        check_array(loss, "logits", values)
        if values.dtype.kind != "f":
            raise TypeError(f"{loss}: expected logits of a floating-point dtype, got {values.dtype}")
        if values.size == 0 or values.shape not in ((values.size, 1), (values.size,)):
            raise ValueError(f"{loss}: expected logits of shape (N, 1), one number a sample, got {values.shape}")
    if len({values.dtype for values in logits}) > 1:
        raise TypeError(f"{loss}: expected all logits in one dtype, got {' and '.join(str(v.dtype) for v in logits)}")


class Loss:
    """discriminator(logits_real, logits_fake) -> (value, dlogits_real, dlogits_fake)
    generator(logits_fake) -> (value, dlogits_fake)
    score(logits) -> what D says of each sample, for the log: the logit itself, unless it means a probability
    """

    def __repr__(self):
        return type(self).__name__

    def score(self, logits):
        return logits


class CrossEntropy(Loss):
    """What Minimax and NonSaturating share: D's side. `real_label` below 1, 0.9 say, is one-sided label smoothing: D is
    asked for a probability of 0.9 on real images, so that it does not become endlessly sure of them; with t = real_label,

        -t log s(a) - (1-t) log(1 - s(a)) = softplus(-a) + (1-t)·a          derivative s(a) - t

    The fakes' label stays 0: else D would defend fakes where no real image is (Salimans et al. 2016, arXiv:1606.03498, 3.4).
    """

    def __init__(self, real_label=1.0):
        self.real_label = check_real_label(self, real_label)

    def discriminator(self, logits_real, logits_fake):
        a, b = logits_real, logits_fake
        _check(self, a, b)
        value_a, da = as_real(a, 1 - self.real_label, len(a))
        value_b, db = as_fake(b, len(b))
        value = mean(value_a) + mean(value_b)
        if self.real_label < 1:
            value = value + (1 - self.real_label) * mean(a)
        return value, da, db

    def score(self, logits):
        """D(x) = s(logit), the probability that the sample is real."""
        return sigmoid(logits)


def check_real_label(loss, real_label):
    if not is_number(real_label) or not 0.5 < real_label <= 1:
        raise ValueError(f"{loss}: real_label must be above 0.5 and at most 1, got {real_label!r}")
    return float(real_label)


class Minimax(CrossEntropy):
    """The original game, min over G of max over D of  E log D(x) + E log(1 - D(G(z))),  with D = s(logit).

                     value                                       derivative
    discriminator    mean softplus(-a) + mean softplus(b)        -s(-a)/N      s(b)/N
    generator        -mean softplus(b)                           -s(b)/N

    G's derivative vanishes just when D is sure of the fakes, b << 0: the loss saturates. At b = -5 it is -0.0067/N.
    Source    Goodfellow et al. 2014, arXiv:1406.2661, eq. 1
    """

    def generator(self, logits_fake):
        b = logits_fake
        _check(self, b)
        value, db = as_fake(b, len(b))
        return -mean(value), -db


class NonSaturating(CrossEntropy):
    """The same game for D; G maximises log D(G(z)) in place of minimising log(1 - D(G(z))).

                     value                                       derivative
    discriminator    mean softplus(-a) + mean softplus(b)        -s(-a)/N      s(b)/N
    generator        mean softplus(-b)                           -s(-b)/N

    G's derivative is largest where D is sure of the fakes; at b = -5 it is -0.9933/N.
    Source    Goodfellow et al. 2014, arXiv:1406.2661, end of section 3
    """

    def generator(self, logits_fake):
        b = logits_fake
        _check(self, b)
        value, db = as_real(b, 0.0, len(b))
        return mean(value), db


class LeastSquares(Loss):
    """D's output is pulled to 1 on real images and to 0 on fakes; G pulls it to 1 on fakes.

                     value                                       derivative
    discriminator    mean (a - 1)²/2 + mean b²/2                 (a - 1)/N     b/N
    generator        mean (b - 1)²/2                             (b - 1)/N

    With a `real_label` of 0.9, say, D pulls real images to 0.9 (one-sided label smoothing, see CrossEntropy). The
    output is linear: behind a sigmoid the derivative would get a factor s(1-s), which is gone when D is sure.
    Source    Mao et al. 2017, arXiv:1611.04076, eq. 2 and 9 (a 0-1 coding)
    """

    def __init__(self, real_label=1.0):
        self.real_label = check_real_label(self, real_label)

    def discriminator(self, logits_real, logits_fake):
        a, b = logits_real, logits_fake
        _check(self, a, b)
        value_a, da = towards(a, self.real_label, len(a))
        value_b, db = towards(b, 0.0, len(b))
        return mean(value_a) + mean(value_b), da, db

    def generator(self, logits_fake):
        b = logits_fake
        _check(self, b)
        value, db = towards(b, 1.0, len(b))
        return mean(value), db


class Wasserstein(Loss):
    """D is a critic: its mean score of real images minus that of fakes estimates a distance, if D is 1-Lipschitz.

                     value                                       derivative
    discriminator    mean b - mean a                             -1/N          1/N
    generator        -mean b                                     -1/N

    The loss does nothing to make D 1-Lipschitz: that takes weight clipping or a gradient penalty beside it.
    Source    Arjovsky, Chintala & Bottou 2017, arXiv:1701.07875, algorithm 1
    """

    def discriminator(self, logits_real, logits_fake):
        a, b = logits_real, logits_fake
        _check(self, a, b)
        return mean(b) - mean(a), xp.full_like(a, -1 / len(a)), xp.full_like(b, 1 / len(b))

    def generator(self, logits_fake):
        b = logits_fake
        _check(self, b)
        return -mean(b), xp.full_like(b, -1 / len(b))


class Hinge(Wasserstein):
    """D cares for a margin only: real scores above 1 and fake scores below -1 count no further. G as in Wasserstein.

                     value                                       derivative
    discriminator    mean max(0, 1 - a) + mean max(0, 1 + b)     -[a < 1]/N    [b > -1]/N
    generator        -mean b                                     -1/N

    [a < 1] is 1 where a < 1, else 0.
    Source    Lim & Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957, eq. 16 and 17
    """

    def discriminator(self, logits_real, logits_fake):
        a, b = logits_real, logits_fake
        _check(self, a, b)
        value_a, da = above_margin(a, len(a))
        value_b, db = below_margin(b, len(b))
        return mean(value_a) + mean(value_b), da, db


LOSSES = {loss.__name__.lower(): loss for loss in (Minimax, NonSaturating, LeastSquares, Wasserstein, Hinge)}


def by_name(name, **options):
    """The loss of this name, in any spelling: "NonSaturating", "non_saturating", "nonsaturating" ..."""
    loss = LOSSES.get(str(name).lower().replace("_", "").replace("-", ""))
    if loss is None:
        raise ValueError(f"there is no loss {name!r}; there are {', '.join(LOSSES)}")
    return loss(**options)


# --- how far y is from a target: (value, dy), the mean over all elements ---

def l1(y, target):
    """mean |y - t|;  dy = sign(y - t)/M for M elements, 0 at the kink. Its best guess is the median of all answers."""
    check_alike("l1", y, target)
    difference = y - target
    return mean(xp.abs(difference)), xp.sign(difference) / y.size


def l2(y, target):
    """mean (y - t)²;  dy = 2 (y - t)/M. Its best guess is the mean of all answers."""
    check_alike("l2", y, target)
    difference = y - target
    return mean_square(difference), (2 / y.size) * difference


def check_alike(name, y, target):
    check_array(name, "target", target)
    if y.shape != target.shape or y.dtype != target.dtype or y.size == 0:
        raise ValueError(f"{name}: expected two arrays alike and not empty, got {y.shape} {y.dtype} and {target.shape} "
                         f"{target.dtype}")


# --- classes ---

def log_softmax(logits):
    """log p_k = l_k - log Σ_j e^(l_j); subtracting the largest logit first changes nothing but the overflow."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(axis=1, keepdims=True))


def softmax_cross_entropy(logits, labels):
    """Value and gradient of the classifier's loss: the mean of -log p_label, with p = softmax(logits).

    ∂(-log p_label)/∂l_k = p_k - [k = label];   logits (N, K), labels (N,) whole numbers from 0 to K - 1
    """
    if logits.ndim != 2 or logits.size == 0:
        raise ValueError(f"softmax_cross_entropy: expected logits (N, K), got {logits.shape}")
    right = one_hot("softmax_cross_entropy", labels, *logits.shape, logits.dtype)
    log_p = log_softmax(logits)
    of_the_label = right * xp.where(right == 0, 0.0, log_p)            # log_p of another class may be -inf
    return -(of_the_label / len(logits)).sum(), (xp.exp(log_p) - right) / len(logits)
