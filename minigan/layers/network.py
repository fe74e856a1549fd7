"""Network: many layers, and one vector that holds all their parameters.

theta holds all parameters and dtheta all gradients, each in one block of memory into which layer.W, layer.dW ... are views. So
an optimizer is a few lines on two vectors, as papers write it; a checkpoint is one array.
"""
import contextlib
import math
from typing import Any

from minigan.backend import Array, xp
from minigan.layers.architecture import words
from minigan.layers.layer import Layer


class Network(Layer):
    """The layers of a network, by number, with their parameters in theta and dtheta."""

    layers: list[Layer]
    made_of: tuple[Layer, ...]
    theta: Array
    dtheta: Array
    array_names = ("theta", "dtheta")

    def __init__(self, *layers, name=""):
        for i, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                raise TypeError(f"Sequential takes layers, got {type(layer).__name__} as number {i}")
            if belongs_to_a_network(layer) or any(layer is other for other in layers[:i]):
                raise ValueError(f"Sequential: number {i}, {layer}, belongs to a network already; take a part of that "
                                 "network as network[a:b], or an independent copy with copy.deepcopy")
        self._consist_of(layers)
        self._gather()
        self.rename(name)

    def _consist_of(self, layers):
        vars(self).update(layers=list(layers), made_of=tuple(layers))

    @property
    def children(self) -> dict[str, Any]:
        if tuple(self.layers) != self.made_of:
            raise TypeError(f"{self}: its layers were changed, but those of a network are fixed when it is made; make a new "
                            "Sequential")
        return {str(i): layer for i, layer in enumerate(self.layers)}

    @property
    def size(self) -> int:
        return self.theta.size if "theta" in vars(self) else super().size

    def replace_child(self, name, layer):
        self._consist_of([*self.layers[:int(name)], layer, *self.layers[int(name) + 1:]])

    def zero_grad(self) -> None:
        self.dtheta[...] = 0

    def rename(self, name: str) -> None:
        """Name the network and, after it, all layers inside: D, D.0, D.1 ..."""
        for path, layer in self.walk(name):
            layer.name = path

    def group_size(self) -> int:
        """How many samples become one on the way through the network."""
        return math.prod(layer.group for _, layer in self.walk())

    def summary(self, input_shape: tuple[int, ...]) -> None:
        """Print layer, output shape and parameters, as for inputs of this shape (without the batch axis)."""
        print(self.table(input_shape))

    def table(self, input_shape: tuple[int, ...] | None = None) -> str:
        """A line for each layer; without the shape of the input, the shapes are missing."""
        x = None if input_shape is None else xp.zeros((self.group_size(), *input_shape), self.theta.dtype)
        rows = [("layer", "" if x is None else "output shape", "parameters")]
        for i, layer in enumerate(self.layers):
            x = None if x is None else layer(x)
            shape = "" if x is None else f"({', '.join(['N', *map(str, x.shape[1:])])})"
            rows.append((f"{i} {words(layer)}", shape, f"{layer.size:,}"))
        rows.append(("total", "", f"{self.size:,}"))
        wide, wider = (max(len(row[column]) for row in rows) + 2 for column in (0, 1))
        return "\n".join(f"{a:<{wide}}{b:<{wider}}{c:>10}" for a, b, c in rows)

    def __repr__(self):
        """The table, with shapes if the first layer says what it takes."""
        I = getattr(self.layers[0], "I", None) if self.layers else None
        with contextlib.suppress(ValueError, TypeError):          # a chain that does not fit together has no shapes
            return f"{self}\n{self.table(I and (I,))}"
        return f"{self}\n{self.table()}"

    # --- the vectors theta and dtheta ---

    def _gather(self):
        dtypes = {str(value.dtype) for _, value, _ in self.parameters()} or {"float32"}
        if len(dtypes) > 1:
            raise TypeError(f"Sequential: all layers need the same dtype, got {' and '.join(sorted(dtypes))}")
        seen = [id(layer) for _, layer in self.walk()]
        if len(set(seen)) < len(seen):
            raise ValueError("Sequential: one layer is in two places, and would be trained twice; copy.deepcopy makes another "
                             "one")
        dtype = dtypes.pop()
        self.bind(xp.empty(self.size, dtype), xp.empty(self.size, dtype))
        for _, layer in self.walk():
            layer.child_names = tuple(layer.children)
            layer.in_network = layer is not self

    def bind(self, theta, dtheta):
        super().bind(theta, dtheta)
        vars(self)["theta"], vars(self)["dtheta"] = theta, dtheta

    def __setstate__(self, state):
        super().__setstate__(state)
        self._gather()                      # a copied view is no view any more

    def __len__(self):
        return len(self.layers)

    def __getitem__(self, index):
        """network[3] is a layer; network[:3] the network of the first three, which shares their parameters."""
        if not isinstance(index, slice):
            return self.layers[index]
        start, _, step = index.indices(len(self.layers))
        if step != 1:
            raise ValueError(f"{self}: a part of a network is network[a:b], got a step of {step}")
        part = object.__new__(type(self))
        part._consist_of(self.layers[index])
        part.name, part.in_network = self.name, True
        before = sum(layer.size for layer in self.layers[:start])
        vars(part)["theta"] = self.theta[before:before + part.size]
        vars(part)["dtheta"] = self.dtheta[before:before + part.size]
        return part


def belongs_to_a_network(layer) -> bool:
    """Whether the layer, or one inside it, has its parameters in the theta of a network. A network that is itself free
    may join another network: it takes all of its layers along."""
    inside = () if isinstance(layer, Network) else layer.children.values()
    return layer.in_network or any(belongs_to_a_network(child) for child in inside)
