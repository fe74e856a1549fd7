"""Zeros around an image, and the positions that a kernel then has in it."""


def pad_and_count(size: int, K: int, S: int, padding: str | int) -> tuple[int, int, int]:
    """(before, after, outputs) along an axis of `size` pixels: the zeros to add on either side, the kernel's positions.

    K, S      the kernel's taps and its stride
    padding   "same", ⌈size / S⌉ outputs, "valid", no zeros, or a number of zeros for either side
    """
    if padding == "same":
        outputs = -(-size // S)                        # ⌈size / S⌉
        total = max((outputs - 1) * S + K - size, 0)
        return total // 2, total - total // 2, outputs
    pad = 0 if padding == "valid" else int(padding)
    return pad, pad, (size + 2 * pad - K) // S + 1
