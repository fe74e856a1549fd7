"""Arrays, batches and whole data sets."""
import numpy as np

from minigan.arguments.words import kind
from minigan.backend import device, xp

BYTES = 'pixels from 0 to 255 become those from -1 to 1 by x.astype("float32") / 127.5 - 1'


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
    anything = "; minigan.datasets.pixels(x) does all of it for images: bytes by x / 127.5 - 1, a last axis for the channels"
    remedies = {(*shape[1:], *shape[:1]): "; the channels come last: x.transpose(0, 2, 3, 1)",
                (*shape, 1): "; x[..., None] adds an axis of channels",
                shape: f"; {BYTES if real.dtype.kind in 'iu' else f'x.astype({str(fake.dtype)!r}) converts'}"}
    one_is_wrong = real.dtype == fake.dtype or shape == fake.shape[1:]
    raise ValueError(f"{owner}: real samples are {shape} {real.dtype}, but G makes {fake.shape[1:]} {fake.dtype}"
                     f"{remedies.get(fake.shape[1:], '') if one_is_wrong else anything}")


def check_finite(owner, x, of="the data", first=0):
    """Raise if a sample of x (N, ...) is not finite: its number, counted from `first`. On a GPU this waits for the device."""
    isfinite = xp.isfinite if isinstance(x, xp.ndarray) else np.isfinite
    for i in range(0, len(x), 1000):                   # in portions, to save memory
        bad = ~isfinite(x[i:i + 1000])
        if bad.any():
            n = int(bad.reshape(len(bad), -1).any(axis=1).argmax())
            raise ValueError(f"{owner}: sample {first + i + n} of {of} is not finite (NaN or infinite)")
