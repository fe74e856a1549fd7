"""The sentences for wrong shapes, dtypes and devices: each layer checks what it gets, with one line a call."""
from numbers import Real

from minigan.arguments import check_whole
from minigan.backend import Array, device, xp

FLOATS = ("float32", "float64")        # float16 would overflow in every sum


class Checks:
    """What a layer requires of its input x, of its upstream gradient dy, and of the arguments that it is made with."""

    def check_upstream(self, dy: Array, shape: tuple[int, ...], dtype) -> None:
        """Raise unless the upstream gradient has the shape and dtype of the output that it belongs to."""
        if not isinstance(dy, xp.ndarray) or dy.shape != shape or dy.dtype != dtype:
            got = f"{dy.shape} {dy.dtype}" if isinstance(dy, xp.ndarray) else type(dy).__name__
            raise ValueError(f"{self}: backward expected dy {shape} {dtype}, got {got}")

    def check_sizes(self, **sizes: int) -> None:
        """Raise unless all are positive whole numbers."""
        check_whole(self, 1, **sizes)

    def check_numbers(self, **numbers: float) -> None:
        """Raise unless all are real numbers; the layer checks their range."""
        for name, value in numbers.items():
            if not isinstance(value, Real):
                raise TypeError(f"{self}: {name} must be a number, got {value!r}")

    def check_input(self, x: Array, shape: tuple, dtype=None) -> None:
        """Raise one clear error unless x is an array on this device with this shape, where letters stand for any size
        and a leading "..." for any axes."""
        if not isinstance(x, xp.ndarray):
            kind = f"{type(x).__module__}.{type(x).__name__}"
            raise TypeError(f"{self}: expected an array on {device()!r}, got {kind}; minigan.backend.asarray converts")
        sizes = x.shape[-1:] if shape[0] == "..." else x.shape
        wanted = shape[-1:] if shape[0] == "..." else shape
        if len(sizes) != len(wanted) or any(w != n for w, n in zip(wanted, sizes) if not isinstance(w, str)):
            raise ValueError(f"{self}: expected ({', '.join(map(str, shape))}), got {x.shape}")
        if x.size == 0:
            raise ValueError(f"{self}: got an empty batch, shape {x.shape}; it needs at least one sample")
        if x.dtype not in FLOATS or (dtype is not None and x.dtype != dtype):
            raise TypeError(f"{self}: expected {dtype or 'float32 or float64'}, got {x.dtype}; nothing is cast "
                            "silently: convert the data with astype, or build the layer with dtype=")
