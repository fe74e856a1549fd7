"""What a network is made of, as plain numbers and texts: a file can hold them, and the network be made of them again.

    {"kind": "Sequential", "layers": [{"kind": "Dense", "I": 100, "O": 64, "bias": true}, {"kind": "Tanh"}], "name": "G"}

A layer keeps what its constructor was given under the same name. So nothing is written here for each kind of layer.
"""
import importlib
import inspect
from typing import Any

from minigan.backend import host_rng
from minigan.backend import rng as device_rng
from minigan.layers.layer import Layer
from minigan.layers.random_layer import RandomLayer

BEGINNING = ("rng", "dtype", "initializer")            # what a layer begins with; its arrays are kept elsewhere


def describe(layer: Layer) -> dict[str, Any]:
    """The kind of a layer, and what its constructor was given; of a network, all of that for every layer.

    Errors    ValueError that names a layer which is not one of minigan's: who reads the description could not make it
    """
    kind = type(layer)
    if find(kind.__name__) is not kind:
        raise ValueError(f"{layer} is not one of minigan's layers")
    given = {}
    for name in inspect.signature(kind).parameters:
        if name not in BEGINNING:
            holder = vars(layer).get("body", layer) if name == "layers" else layer         # Residual has a body
            given[name] = encode(getattr(holder, name))
    return {"kind": kind.__name__} | given


def encode(value):
    if isinstance(value, Layer):
        return describe(value)
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    return value.item() if hasattr(value, "item") else value           # a NumPy number


def words(layer: Layer) -> str:
    """A layer as it would be made: Dense(100, 64, bias=False). What is as by default is left out."""
    inside = getattr(layer, "layers", None)
    if inside is not None:
        return f"{type(layer).__name__} of {len(inside)} layers"
    given = []
    for name, parameter in inspect.signature(type(layer)).parameters.items():
        if name in BEGINNING or not hasattr(layer, name):
            continue
        value = getattr(layer, name)
        if isinstance(value, Layer):
            given.append(words(value))
        elif parameter.default is parameter.empty:
            given += [repr(item) for item in (value if parameter.kind is parameter.VAR_POSITIONAL else [value])]
        elif value != parameter.default:
            given.append(f"{name}={value!r}")
    return f"{type(layer).__name__}({', '.join(given)})"


def make(description: Any, dtype: str = "float32") -> Any:
    """The layer of this description, with arrays that are to be replaced. Raises ValueError if it describes none."""
    try:
        kind: Any = find(description["kind"])
        given = {name: decode(value, dtype) for name, value in description.items() if name != "kind"}
        takes = inspect.signature(kind).parameters
        listed = [item for name in takes if takes[name].kind is inspect.Parameter.VAR_POSITIONAL for item in given.pop(name)]
        first = {"dtype": dtype, "rng": device_rng(0) if issubclass(kind, RandomLayer) else host_rng(0)}
        return kind(*listed, **given, **{name: value for name, value in first.items() if name in takes})
    except (AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"{description!r:.80} describes no layer ({error})") from None


def decode(value, dtype):
    if isinstance(value, list):
        return [decode(item, dtype) for item in value]
    return make(value, dtype) if isinstance(value, dict) else value


def find(name) -> type[Layer] | None:
    """The class of minigan's layers with this name, or None."""
    kind = getattr(importlib.import_module("minigan.layers"), name, None)
    return kind if isinstance(kind, type) and issubclass(kind, Layer) else None
