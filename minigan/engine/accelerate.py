"""`accelerated`: a definition that is read, and a faster equal of it that runs. The choice between them is made here.

An equal gets the definition as its first argument, for the cases that it leaves to it, then what the definition gets. It
computes the same, to rounding: tests/test_accelerate.py holds each against its definition. With MINIGAN_PLAIN=1 in the
environment there are no equals: what runs is, line by line, what the layers show.
"""
import functools
import inspect
import os
from collections.abc import Callable
from typing import cast

from minigan.backend import F, device
from minigan.engine import kernels, pieces, tiles

ON_CPU: dict[str, Callable | None] = {
    "conv": tiles.conv, "conv_adjoint": tiles.conv_adjoint, "conv_weight_grad": tiles.conv_weight_grad, "hypot": pieces.hypot}
ON_GPU: dict[str, Callable | None] = {
    "conv": pieces.conv, "conv_adjoint": pieces.conv_adjoint, "conv_weight_grad": pieces.conv_weight_grad,
    "gather": kernels.gather, "scatter_add": kernels.scatter_add}


def accelerated(definition: F) -> F:
    """Decorator of a function that the engine may have a faster equal of."""
    signature = inspect.signature(definition)

    @functools.wraps(definition)
    def computed(*arguments, **named):
        if named:
            arguments = signature.bind(*arguments, **named).args
        equal = chosen(definition.__name__)
        return definition(*arguments) if equal is None else equal(definition, *arguments)

    return cast(F, computed)


def chosen(name: str) -> Callable | None:
    """The equal that runs in place of the definition of this name, or None."""
    if plain():
        return None
    return (ON_CPU if device() == "cpu" else ON_GPU).get(name)


def plain() -> bool:
    """Whether the definitions run alone: MINIGAN_PLAIN=1."""
    return os.environ.get("MINIGAN_PLAIN") == "1"


def use_plain(alone: bool) -> None:
    """Let the definitions run alone from now on, or not. The last bits of a run depend on it; so a resumed run keeps it."""
    os.environ["MINIGAN_PLAIN"] = "1" if alone else "0"
