"""What the host computes anew in each training step, and the one door through which it reaches the formulas.

A step that is captured as a CUDA graph (capture.py) repeats the kernels of its first run, with the numbers of that run. So a
number that changes from step to step must come as an array, which is written before each launch; and a decision of the host,
on which the form of the step depends, must be taken again. On the CPU, and where nothing is captured, both are plain calls.
"""
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from minigan import backend

_capture = None                 # the minigan.engine.capture.Captured that is being captured now


def this_step(function: Callable[[], tuple[float, ...]], dtype) -> tuple:
    """function(), a tuple of Python floats that the host finds anew for each step: a learning rate that falls, the t in
    Adam's formula."""
    return function() if _capture is None else _capture.this_step(function, dtype)


def decided(function) -> Any:
    """function(); if that is true or false, a captured step is captured anew when it changes."""
    return function() if _capture is None else _capture.decided(function)


@contextlib.contextmanager
def capturing(capture) -> Iterator:
    """While the block runs, `this_step` and `decided` go to `capture`, the step that is being captured; gives CuPy."""
    global _capture
    _capture = capture
    try:
        yield backend.array_module()
    finally:
        _capture = None
