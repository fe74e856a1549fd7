"""Checks of what enters: numbers, labels, data, the parts of a game. What is wrong raises one sentence that names it.

Values of arrays on a GPU are not looked at: to read one is to wait for the device, and such checks run in every training step.
"""
import math
import numbers

import numpy as np

from minigan.backend import device, xp

BYTES = 'pixels from 0 to 255 become those from -1 to 1 by x.astype("float32") / 127.5 - 1'

# --- arguments ---

def is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def check_whole(owner, least, **arguments):
    """Raise unless all arguments, given as name=value, are whole numbers of at least `least`."""
    for name, value in arguments.items():
        if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
            raise ValueError(f"{owner}: {name} must be a whole number of at least {least}, got {brief(value)}")


def check_range(owner, **arguments):
    """Raise unless low <= value < high for all, given as name=(value, low, high)."""
    for name, (value, low, high) in arguments.items():
        if not is_number(value) or not low <= value < high:
            raise ValueError(f"{owner}: {name} must be at least {low} and below {high}, got {brief(value)}")


def check_positive(owner, **arguments):
    """Raise unless all arguments, given as name=value, are finite numbers above 0."""
    for name, value in arguments.items():
        if not is_number(value) or not 0 < value < math.inf:
            raise ValueError(f"{owner}: {name} must be a finite number above 0, got {brief(value)}")


def check_object(owner, name, value, example, *attributes):
    """Raise unless `value` is an object, and not a class, that has these attributes."""
    if isinstance(value, type) or not all(hasattr(value, attribute) for attribute in attributes):
        raise TypeError(f"{owner}: {name} must be an object such as {example}, got {brief(value)}")


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


# --- logits, labels ---

def check_logits(owner, *logits):
    """The logits; raise unless all are arrays (N, 1) in one dtype."""
    for values in logits:
        check_array(owner, "logits", values)
        if values.dtype.kind != "f":
            raise TypeError(f"{owner}: expected logits of a floating-point dtype, got {values.dtype}")
        if values.size == 0 or values.shape not in ((values.size, 1), (values.size,)):
            raise ValueError(f"{owner}: expected logits of shape (N, 1), one number a sample, got {values.shape}")
    if len({values.dtype for values in logits}) > 1:
        raise TypeError(f"{owner}: expected all logits in one dtype, got {' and '.join(str(v.dtype) for v in logits)}")
    return logits


def check_real_label(owner, real_label):
    """The label of real samples as a float; raise unless it is one that smoothing may give them."""
    if not is_number(real_label) or not 0.5 < real_label <= 1:
        raise ValueError(f"{owner}: real_label must be above 0.5 and at most 1, got {real_label!r}")
    return float(real_label)


def check_labels(owner, labels, n, classes=None):
    """Raise unless the array `labels` holds one whole number a sample, (n,), from 0 to classes - 1; or is None, for 0 classes.
    Without `classes` any number from 0 up is one."""
    if classes == 0:
        if labels is not None:
            raise ValueError(f"{owner}: got labels, but there are no classes; a conditional GAN is made with classes=")
        return
    highest = math.inf if classes is None else classes - 1
    needs = f"{owner}: labels must be an array of whole numbers from 0 to {highest}, one a sample, ({n},)"
    if not isinstance(labels, (np.ndarray, xp.ndarray)):
        raise ValueError(f"{needs}, got {brief(labels)}")
    if labels.shape != (n,) or labels.dtype.kind not in "iu":
        remedies = {(n, classes): "; labels.argmax(axis=1) reads one-hot rows", (n, 1): "; labels[:, 0] has that shape",
                    (n,): "; labels.astype(int) converts"}
        raise ValueError(f"{needs}, got {labels.shape} {labels.dtype}{remedies.get(labels.shape, '')}")
    if isinstance(labels, np.ndarray) and n and not 0 <= labels.min() <= labels.max() <= highest:
        raise ValueError(f"{needs}, got {labels.min()} to {labels.max()}")


def one_hot(owner, labels, n, classes, dtype):
    """(n, classes): a 1 where the label is, else 0. On a GPU the row of a label that is no class is NaN, as 0/0: it cannot be
    seen without waiting, and must not pass in silence."""
    check_labels(owner, labels, n, classes)
    check_array(owner, "labels", labels)
    rows = (labels[:, None] == xp.arange(classes)).astype(dtype)
    return rows / rows.sum(axis=1, keepdims=True)


# --- data ---

def check_array(owner, name, x):
    """Raise unless x is an array on the device in use."""
    if not isinstance(x, xp.ndarray):
        raise TypeError(f"{owner}: {name} must be an array on {device()!r}, got {kind(x)}; minigan.asarray converts")


def check_alike(owner, y, target):
    """Raise unless the two arrays have one shape and dtype, and an element at least."""
    check_array(owner, "target", target)
    if y.shape != target.shape or y.dtype != target.dtype or y.size == 0:
        raise ValueError(f"{owner}: expected two arrays alike and not empty, got {y.shape} {y.dtype} and {target.shape} "
                         f"{target.dtype}")


def check_between(owner, name, x, low, high):
    """Raise unless all numbers of the array x are from low to high; on a GPU they are not looked at."""
    if isinstance(x, np.ndarray) and not ((low <= x) & (x <= high)).all():
        raise ValueError(f"{owner}: {name} must be numbers from {low} to {high}, got {x.min()} to {x.max()}")


def check_data(owner, x):
    """Raise unless x is an array on the host, of one sample or more, all floating-point numbers and finite."""
    if not isinstance(x, np.ndarray):
        raise TypeError(f"{owner}: the data must be a NumPy array, (N, ...), got {kind(x)}; minigan.to_numpy converts")
    if x.ndim == 0 or x.size == 0:
        raise ValueError(f"{owner}: the data must have at least one sample, got an array of shape {x.shape}")
    if x.dtype.kind != "f":
        raise TypeError(f"{owner}: the data must be floating-point numbers, got {x.dtype}; {BYTES}")
    check_finite(owner, x)


def check_batch(owner, **batches):
    """Raise if a sample of the batches, given as name=array, is not finite. One is enough to spoil all parameters, so this is
    looked at in every step; but not on a GPU, which would have to be waited for."""
    for name, x in batches.items() if device() == "cpu" else ():
        if isinstance(x, np.ndarray) and not np.isfinite(x).all():
            check_finite(owner, np.atleast_1d(x), f"the {name} batch")


def check_samples(owner, real, fake):
    """Raise unless real samples, on the device or on the host, have the shape and dtype of those that G makes, and are finite
    numbers."""
    check_batch(owner, real=real)
    if not hasattr(getattr(real, "dtype", None), "kind") or (real.shape[1:], real.dtype) == (fake.shape[1:], fake.dtype):
        return                                         # D checks what else a batch must be
    shape = real.shape[1:]
    remedies = {(*shape[1:], *shape[:1]): "; the channels come last: x.transpose(0, 2, 3, 1)",
                (*shape, 1): "; x[..., None] adds an axis of channels",
                shape: f"; {BYTES if real.dtype.kind in 'iu' else f'x.astype({str(fake.dtype)!r}) converts'}"}
    raise ValueError(f"{owner}: real samples are {shape} {real.dtype}, but G makes {fake.shape[1:]} {fake.dtype}"
                     f"{remedies.get(fake.shape[1:], '')}")


def check_finite(owner, x, of="the data", first=0):
    """Raise if a sample of x (N, ...) is not finite: its number, counted from `first`. On a GPU this waits for the device."""
    isfinite = xp.isfinite if isinstance(x, xp.ndarray) else np.isfinite
    for i in range(0, len(x), 1000):                   # in portions, to save memory
        bad = ~isfinite(x[i:i + 1000])
        if bad.any():
            n = int(bad.reshape(len(bad), -1).any(axis=1).argmax())
            raise ValueError(f"{owner}: sample {first + i + n} of {of} is not finite (NaN or infinite)")


# --- words ---

def brief(value):
    """A value in a few words, for a sentence."""
    text = repr(value)
    return text if len(text) <= 60 and "\n" not in text else kind(value)


def kind(value):
    return f"{type(value).__module__}.{type(value).__name__}".removeprefix("builtins.")
