"""How the W and dW of a layer become pieces of its network's theta and dtheta; names, walks and copies.

Every layer owns its parameters until a network is made of it. Then the network has all parameters in one vector, theta, and
all gradients in another, dtheta, and layer.W, layer.dW ... are views into these (`bind`). So nothing may put another array in
the place of layer.W: `layer.W = ...` writes into it.

    parameters()  (name, value, gradient) of all that training changes
    states()      (name, value) of what forward changes and a checkpoint must keep: BatchNorm's running statistics
    generators()  (name, generator) of all that draws random numbers

A layer made of other layers keeps them as attributes; they are found there (`children`).
"""
import contextlib
import copy
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from minigan.backend import Array, asarray, host_rng, next_stream, xp
from minigan.layers.checks import FLOATS

GROWING = (list, set, deque, Mapping)                  # values that layers can be put into


class Owner:
    """What a layer owns: parameters, states, a generator, and other layers."""

    rng = None                                 # the generator of a layer that draws random numbers
    parameter_names: tuple[str, ...] = ()
    state_names: tuple[str, ...] = ()
    array_names: tuple[str, ...] = ()          # all arrays that the layer owns
    in_network = False
    child_names: tuple[str, ...] = ()          # of a layer in a network, whose layers are fixed

    def add_parameter(self, name: str, value: np.ndarray, dtype: str) -> None:
        """Make the host array `value` a trained parameter: self.W with its gradient self.dW, if the name is "W"."""
        value = value.astype(dtype)
        if value.dtype not in FLOATS:
            raise TypeError(f"{self}: dtype must be float32 or float64, got {dtype!r}")
        vars(self)[name], vars(self)["d" + name] = asarray(value), xp.zeros(value.shape, dtype)
        self.parameter_names += (name,)
        self.array_names += (name, "d" + name)

    def add_weight(self, name: str, shape: tuple[int, ...], initializer: Callable, rng: np.random.Generator | None,
                   dtype: str) -> None:
        """A parameter drawn by `initializer` from the host generator `rng`; without one, from a stream of its own
        (backend.seed)."""
        rng = host_rng(next_stream()) if rng is None else rng
        if not isinstance(rng, np.random.Generator):
            raise TypeError(f"{self}: rng must be a host generator, minigan.backend.host_rng(seed), got {rng!r}")
        value = initializer(rng, shape)
        if value.shape != shape:
            raise ValueError(f"{self}: the initializer must return an array of shape {shape}, got {value.shape}")
        self.add_parameter(name, value, dtype)

    def add_state(self, name: str, value: np.ndarray, dtype: str) -> None:
        """Make the host array `value` part of what a checkpoint keeps, though no gradient changes it."""
        vars(self)[name] = asarray(value.astype(dtype))
        self.state_names += (name,)
        self.array_names += (name,)

    def __setattr__(self, name, value):
        """layer.W = ... writes into the array W, which is a piece of the network's theta, and keeps it there."""
        if name not in self.array_names:
            if self.in_network and any(layers_in(value)):
                raise TypeError(f"{self}: the layers of a network are fixed when it is made; nothing would train self.{name}")
            return super().__setattr__(name, value)
        array = vars(self)[name]
        if value is not array:                         # as it is after layer.W += ...
            value = asarray(value)
            if value.shape != array.shape:
                raise ValueError(f"{self}: {name} has shape {array.shape}, got {value.shape}")
            array[...] = value

    @property
    def children(self) -> dict[str, Any]:
        looked_through = GROWING if self.in_network else object        # in a network only what may have grown since
        for name, value in vars(self).items():
            if isinstance(value, looked_through) and not isinstance(value, Owner) and any(layers_in(value)):
                raise TypeError(f"{self}: self.{name} is a {type(value).__name__} with layers, which nothing would train; "
                                "make it a Sequential, or give each layer an attribute of its own")
        names = self.child_names if self.in_network else vars(self)
        return {name: vars(self)[name] for name in names if isinstance(vars(self)[name], Owner)}

    def walk(self, path: str = "") -> Iterator[tuple[str, Any]]:
        """(path, layer) of this layer and of all inside it; "3.body.0" is layer 0 of the attribute body of layer 3."""
        yield path, self
        for name, child in self.children.items():
            yield from child.walk(f"{path}.{name}" if path else name)

    def parameters(self) -> Iterator[tuple[str, Array, Array]]:
        for path, layer in self.walk():
            for name in layer.parameter_names:
                yield f"{path}.{name}".lstrip("."), getattr(layer, name), getattr(layer, "d" + name)

    @property
    def size(self) -> int:
        """The number of parameters."""
        return sum(value.size for _, value, _ in self.parameters())

    def states(self) -> Iterator[tuple[str, Array]]:
        for path, layer in self.walk():
            for name in layer.state_names:
                yield f"{path}.{name}".lstrip("."), getattr(layer, name)

    @contextlib.contextmanager
    def keep_states(self) -> Iterator[None]:
        """After the block the states are what they were before: for a forward pass in training that must leave no trace."""
        before = [(value, value.copy()) for _, value in self.states()]
        try:
            yield
        finally:
            for value, kept in before:
                value[...] = kept

    def generators(self) -> list:
        """(name, generator) of every layer inside that draws random numbers."""
        return [(f"{path}.rng".lstrip("."), layer.rng) for path, layer in self.walk() if layer.rng is not None]

    def zero_grad(self) -> None:
        """Forget all gradients: backward adds, so each step begins here."""
        for _, _, gradient in self.parameters():
            gradient[...] = 0

    # --- how a layer becomes part of a network ---

    def bind(self, theta, dtheta) -> None:
        """Move the parameters into this piece of the network's vectors; self.W, self.dW ... become views into it."""
        start = 0
        for name in self.parameter_names:
            for vector, attribute in ((theta, name), (dtheta, "d" + name)):
                value = getattr(self, attribute)
                view = vector[start:start + value.size].reshape(value.shape)
                view[...] = value
                vars(self)[attribute] = view
            start += value.size
        for child in self.children.values():
            stop = start + child.size
            child.bind(theta[start:stop], dtheta[start:stop])
            start = stop

    def with_gradients(self, dtheta) -> Any:
        """A copy that shares the parameters and writes its gradients into another vector: what one shard of a batch uses."""
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        start = 0
        for name in self.parameter_names:
            value = getattr(self, name)
            vars(twin)["d" + name] = dtheta[start:start + value.size].reshape(value.shape)
            start += value.size
        for name, child in self.children.items():
            twin.replace_child(name, child.with_gradients(dtheta[start:start + child.size]))
            start += child.size
        return twin

    def replace_child(self, name, layer):
        vars(self)[name] = layer

    def __copy__(self):
        return copy.deepcopy(self)             # a copy with the same arrays would take them out of their network

    def __setstate__(self, state):
        """A copy (copy.deepcopy, pickle) owns its arrays, so it belongs to no network yet."""
        vars(self).update(state, in_network=False)


def layers_in(value) -> Iterator:
    """Every layer in a value: itself, or those in a list, tuple, set, deque, mapping or array of objects, however deep."""
    if isinstance(value, Owner):
        yield value
    elif isinstance(value, (list, tuple, set, frozenset, deque, Mapping)) or str(getattr(value, "dtype", "")) == "object":
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from layers_in(item)
