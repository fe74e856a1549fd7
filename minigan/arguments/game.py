"""The parts of a game, and the first batch that it is given."""
import sys

from minigan.arguments.data import BYTES, check_finite
from minigan.arguments.labels import check_labels
from minigan.arguments.values import check_object, check_whole
from minigan.arguments.words import brief
from minigan.backend import to_numpy, xp

SPANS = {"Tanh": (-1, 1), "Sigmoid": (0, 1)}           # what a network that ends in such a layer can say


def check_game(owner, loss, networks, optimizers):
    """Raise unless the loss, the networks {name: network} and one optimizer for each can play a game; nothing is changed."""
    check_object(owner, "loss", loss, "minigan.losses.NonSaturating()", "discriminator", "generator")
    for name, network in networks.items():
        if not hasattr(network, "theta") or len(network) == 0:
            raise TypeError(f"{owner}: {name} must be a network, minigan.Sequential(...) of some layers, got {brief(network)}")
    if not isinstance(optimizers, (list, tuple)):
        raise TypeError(f"{owner}: optimizers must be a list, one for each of {', '.join(networks)}, got {brief(optimizers)}")
    for optimizer in optimizers:
        check_object(owner, "an optimizer", optimizer, "minigan.optimizers.Adam()", "check_free", "bind", "step")
    for kinds, things, each in (("networks", [*networks.values()], ", ".join(networks)),
                                ("optimizers", optimizers, "every network needs an optimizer of its own")):
        if not len({id(thing) for thing in things}) == len(things) == len(networks):
            raise ValueError(f"{owner}: needs {len(networks)} {kinds}, all different: {each}")
    for optimizer in optimizers:
        optimizer.check_free()


def check_in_front_of_D(name, network):
    """Raise unless the network has no parameters and keeps the number of samples."""
    if network.size:
        raise ValueError(f"GAN: {name} has parameters, which no optimizer would train; put such layers into D")
    if network.group_size() > 1:
        raise ValueError(f"GAN: {name} keeps the number of samples; put a Pack into D")


def length_of_z(G, latent_dim, classes):
    """latent_dim. If G begins with a Dense layer, that takes z and the classes of the label, from which it follows."""
    I = getattr(G[0], "I", None)
    if I is not None:
        found = I - classes
        if found < 1 or latent_dim not in (None, found):
            raise ValueError(f"GAN: G takes {I} numbers, which must be latent_dim + classes, got latent_dim "
                             f"{found if latent_dim is None else brief(latent_dim)} and {classes} classes")
        return found
    if latent_dim is None:
        raise ValueError("GAN: pass latent_dim, the length of z; it shows only where G begins with a Dense layer, not with "
                         f"{G[0]}")
    check_whole("GAN", 1, latent_dim=latent_dim)
    return latent_dim


def check_ending_of_D(owner, D, loss):
    """Raise if D ends in a Sigmoid or a Tanh, and the loss is one of minigan's, which all take logits."""
    if ending(D) in SPANS and type(loss).__module__ == "minigan.losses":
        raise ValueError(f"{owner}: D ends in {ending(D)}, but {loss} takes logits, numbers of any size, and does itself what "
                         f"is needed of a sigmoid: leave that last layer out")


def check_first_batch(owner, G, real, labels, classes):
    """Raise for real samples that are not finite or far from all that G can make, and for labels that are no classes. The
    values are read, so this is for once."""
    if not isinstance(real, xp.ndarray):
        return                                         # D says so
    check_finite(owner, real, "the first real batch")
    if classes:
        check_labels(owner, to_numpy(labels), len(real), classes)
    check_range_of_data(owner, G, real)


def check_range_of_data(owner, G, real):
    """Raise for real samples that are bytes, or as large, though G ends in a Tanh or a Sigmoid. Data that leave what G can say
    by less, or fill only half of it, are trained on all the same: they are named on standard error. The values are read."""
    if ending(G) not in SPANS:
        return
    (lowest, highest), (low, high) = SPANS[ending(G)], (float(real.min()), float(real.max()))
    lie = (f"{owner}: the real samples lie between {low:.3g} and {high:.3g}, but G ends in {ending(G)}, which spans {lowest} "
           f"to {highest}")
    if low < 10 * lowest - 10 or high > 10 * highest:
        raise ValueError(f"{lie}: D would tell fakes by their range; {BYTES}, and minigan.datasets.pixels(x) does so with any "
                         "array of images")
    if low < lowest - 0.01 or high > highest + 0.01:
        print(f"minigan: {lie}: D can tell fakes by their range; scale the data", file=sys.stderr)
    elif lowest < 0 <= low and high > 0.5:
        print(f"minigan: {lie}: half of what G can say never occurs. If they are images in [0, 1], use 2 * x - 1",
              file=sys.stderr)


def ending(network):
    """The kind of the last layer that changes numbers, "Tanh", of a network."""
    for layer in reversed(network.layers):
        if hasattr(layer, "layers"):
            return ending(layer)
        if type(layer).__name__ not in ("Reshape", "Flatten", "Crop"):
            return type(layer).__name__
    return None
