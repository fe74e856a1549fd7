"""Logits and labels."""
import math

import numpy as np

from minigan.arguments.data import check_array
from minigan.arguments.values import is_number
from minigan.arguments.words import brief
from minigan.backend import xp


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
