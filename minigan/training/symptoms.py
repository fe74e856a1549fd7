"""Symptoms: how a GAN is doing, each a number of one batch, measured in a moment. (What they mean: doctor.py.)

    accuracy_real, accuracy_fake   the share of real samples, and of fakes, that D judges rightly (`accuracies`)
    spread                         the standard deviation of all logits: near 0, D says the same of everything
    loss_G                         not for critics (Wasserstein, Hinge), where it is a mean score, which has no zero
    push                           Σ |∂loss_G/∂logit|, near 0 where G's loss is flat: 1 for Wasserstein and Hinge, the mean of
                                   |b - 1| for LeastSquares, 1/2 at b = 0 for NonSaturating
    gradient_G, gradient_D         the norm of the gradient that the last training step left in dtheta
    diversity                      the mean distance between two fakes, over that between two real samples
    saturated, saturated_real      the share of pixels beyond ±0.99 in the fakes, and in real images (white paper is at 1)
    bounded                        1, only if D ends in a sigmoid or a tanh: its outputs are no logits
    real_min, real_max             the range of the data (like the two above: if G ends in a tanh)
    dead_G.1, dead_D.3 ...         the share of units of each ReLU layer that are zero for the whole batch

D gets the images themselves, without the noise or the augmentation in front of it in training (GAN's `preprocess_D`).
"""
from minigan import backend
from minigan.arguments import ending
from minigan.backend import Array, xp
from minigan.gan import GAN
from minigan.layers import LeakyReLU, Sequential
from minigan.layers.statistics import norm
from minigan.losses import CrossEntropy, Hinge, LeastSquares, Wasserstein


def measure(gan: GAN, real: Array, z: Array, labels: Array | None = None) -> dict[str, float]:
    """All symptoms, read from the device at once."""
    G, D = gan.G, gan.D
    fake, alive_G = watch(G, gan.with_labels(z, labels))
    logits_real, alive_D = watch(D, gan.with_labels(real, labels))
    logits_fake, alive_too = watch(D, gan.with_labels(fake, labels))
    alive_D = {name: units | alive_too[name] for name, units in alive_D.items()}       # seen with real images or with fakes
    loss_G, dlogits = gan.loss.generator(logits_fake)

    accuracy_real, accuracy_fake = accuracies(gan.loss, logits_real, logits_fake)
    symptoms = {
        "accuracy_real": accuracy_real, "accuracy_fake": accuracy_fake,
        "spread": xp.concatenate([logits_real, logits_fake]).astype("float64").std(),
        "push": abs(dlogits).sum(),
        "gradient_G": norm(G.dtheta)[0][0], "gradient_D": norm(D.dtheta)[0][0],
        "diversity": mean_distance(fake) / (mean_distance(real) + 1e-12)}
    if not isinstance(gan.loss, Wasserstein):
        symptoms["loss_G"] = loss_G
    if ending(G) == "Tanh":
        symptoms |= {"saturated": beyond(fake), "saturated_real": beyond(real), "real_min": real.min(), "real_max": real.max()}
    if ending(D) in ("Sigmoid", "Tanh"):
        symptoms["bounded"] = 1.0
    symptoms |= {f"dead_{name}": 1 - units.mean() for name, units in (alive_G | alive_D).items()}
    return dict(zip(symptoms, backend.scalars([xp.asarray(value, "float64") for value in symptoms.values()])))


def watch(network, x) -> tuple[Array, dict]:
    """The network's output for x, in evaluation mode, and {name: alive (C,)} of its ReLU layers. A unit, or for images a
    channel, is alive if it is above zero somewhere in the batch."""
    alive: dict = {}
    for layer in network.layers:
        if isinstance(layer, Sequential):
            x, inside = watch(layer, x)
            alive |= inside
        else:
            for body in layer.children.values():       # of a Residual or a FillIn: it is given what they are given
                alive |= watch(body, x)[1] if isinstance(body, Sequential) else {}
            x = layer(x)
            if isinstance(layer, LeakyReLU) and layer.alpha == 0:
                alive[layer.name] = (x.reshape(-1, x.shape[-1]) > 0).any(axis=0)
    return x, alive


def accuracies(loss, logits_real, logits_fake) -> tuple:
    """The share of real samples above the loss's border between real and fake, and of fakes not above it.

    The border is 0 for the cross-entropies (probability 1/2) and for Hinge, 0.5 for LeastSquares (between its targets). Where
    the scores have no zero, as a Wasserstein critic's, a real sample counts if it is above the median fake, and a fake if it
    is below the median real sample: a critic whose scores do not depend on which it is gets 1/2 for that too.
    """
    a, b = logits_real, logits_fake
    if isinstance(loss, (CrossEntropy, Hinge, LeastSquares)):
        border = 0.5 if isinstance(loss, LeastSquares) else 0.0
        return (a > border).mean(), (b <= border).mean()
    return (a > xp.median(b)).mean(), (b < xp.median(a)).mean()


def mean_distance(x) -> Array:
    """The mean distance between two samples of the batch, from ‖x - y‖² = ‖x‖² + ‖y‖² - 2<x, y>."""
    x = x.reshape(len(x), -1).astype("float64")
    x = x - x.mean(axis=0)                             # changes no distance, and makes the differences of squares accurate
    square = (x * x).sum(axis=1)
    distance = xp.sqrt(xp.maximum(square[:, None] + square - 2 * (x @ x.T), 0.0))
    return distance.sum() / max(1, len(x) * (len(x) - 1))


def beyond(x):
    return (abs(x) > 0.99).mean()
