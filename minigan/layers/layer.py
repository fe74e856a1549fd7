"""What every layer has in common.

A layer is a function y = f(x; W) together with its derivative, written as two methods, the one directly above the other:

    y, cache = layer.forward(x, train=True)
    dx       = layer.backward(dy, cache, param_grads=True, input_grad=True)

dy is the upstream gradient ∂L/∂y of some loss L. backward applies the chain rule: it returns dx = ∂L/∂x and ADDS ∂L/∂W
to layer.dW. Whatever backward needs to know of the forward pass travels in `cache`; no activation stays on the layer. (x and y
may be part of it, themselves and no copies: so neither may be written to, as by y *= 2, until backward has run.) So a
discriminator can look at real images, then at fakes, and go back through either pass, in any order, any number of times:
the point where hand-written GANs that keep activations on `self` get a wrong gradient. Only the parameters are taken as they
are at the moment, so backward comes before the optimizer's step. The cache holds no copies, but often x or y itself: they
belong to it until the last backward, and nobody may write into them before.
"""
import contextlib
import copy
from collections import deque
from collections.abc import Mapping
from numbers import Real

import numpy as np

from minigan.backend import asarray, device, host_rng, next_stream, xp
from minigan.checks import check_whole

FLOATS = ("float32", "float64")        # float16 would overflow in every sum


class Layer:
    """Base of all layers. A subclass writes `forward` and `backward`; one with weights calls `add_parameter`.

    parameters()  (name, value, gradient) of all that training changes
    states()      (name, value) of what forward changes and a checkpoint must keep: BatchNorm's running statistics
    rng           the generator of a layer that draws random numbers; None for all others
    name          where the layer sits in its network, "D.0": for messages
    smallest_share  for layers that treat each sample by itself: the batch may be cut for several cores, into shares of at
                  least so many samples (minigan/parallel.py). None, as here, keeps the batches of the whole network whole

    A layer made of other layers keeps them as attributes; they are found there (`children`).
    """

    name = ""
    rng = None
    parameter_names = ()
    state_names = ()
    array_names = ()                           # all arrays that the layer owns
    in_network = False
    smallest_share = None
    group = 1                                  # the number of samples that become one: more than 1 in Pack only

    def forward(self, x, train=True):
        raise NotImplementedError(f"{self} has no forward")

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        raise NotImplementedError(f"{self} has no backward")

    def double_backward(self, v, dy, cache):
        """The derivative of backward, for gradient penalties (minigan/penalties.py): for a penalty P with v = ∂P/∂dx, add
        ∂P/∂W to dW ... and return (u, s) = (∂P/∂dy, ∂P/∂x), s None where backward does not depend on x."""
        raise NotImplementedError(f"{self} has no double_backward, which a gradient penalty needs")

    def __call__(self, x):
        """The layer as a plain function, for evaluation."""
        return self.forward(x, train=False)[0]

    def __repr__(self):
        return f'{type(self).__name__} "{self.name}"' if self.name else type(self).__name__

    # --- what a layer owns ---

    def add_parameter(self, name, value, dtype):
        """Make the host array `value` a trained parameter: self.W with its gradient self.dW, if the name is "W"."""
        value = value.astype(dtype)
        if value.dtype not in FLOATS:
            raise TypeError(f"{self}: dtype must be float32 or float64, got {dtype!r}")
        vars(self)[name], vars(self)["d" + name] = asarray(value), xp.zeros(value.shape, dtype)
        self.parameter_names += (name,)
        self.array_names += (name, "d" + name)

    def add_weight(self, name, shape, initializer, rng, dtype):
        """A parameter drawn by `initializer` from the host generator `rng`; without one, from a stream of its own
        (backend.seed)."""
        rng = host_rng(next_stream()) if rng is None else rng
        if not isinstance(rng, np.random.Generator):
            raise TypeError(f"{self}: rng must be a host generator, minigan.backend.host_rng(seed), got {rng!r}")
        value = initializer(rng, shape)
        if value.shape != shape:
            raise ValueError(f"{self}: the initializer must return an array of shape {shape}, got {value.shape}")
        self.add_parameter(name, value, dtype)

    def add_state(self, name, value, dtype):
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
    def children(self):
        for name, value in vars(self).items():
            if not isinstance(value, Layer) and any(layers_in(value)):
                raise TypeError(f"{self}: self.{name} is a {type(value).__name__} with layers, which nothing would train; "
                                "make it a Sequential, or give each layer an attribute of its own")
        return {name: value for name, value in vars(self).items() if isinstance(value, Layer)}

    def walk(self, path=""):
        """(path, layer) of this layer and of all inside it; "3.body.0" is layer 0 of the attribute body of layer 3."""
        yield path, self
        for name, child in self.children.items():
            yield from child.walk(f"{path}.{name}" if path else name)

    def parameters(self):
        for path, layer in self.walk():
            for name in layer.parameter_names:
                yield f"{path}.{name}".lstrip("."), getattr(layer, name), getattr(layer, "d" + name)

    @property
    def size(self):
        """The number of parameters."""
        return sum(value.size for _, value, _ in self.parameters())

    def states(self):
        for path, layer in self.walk():
            for name in layer.state_names:
                yield f"{path}.{name}".lstrip("."), getattr(layer, name)

    @contextlib.contextmanager
    def keep_states(self):
        """After the block the states are what they were before: for a forward pass in training that shall leave no trace."""
        before = [(value, value.copy()) for _, value in self.states()]
        try:
            yield
        finally:
            for value, kept in before:
                value[...] = kept

    def generators(self):
        """(name, generator) of every layer inside that draws random numbers."""
        return [(f"{path}.rng".lstrip("."), layer.rng) for path, layer in self.walk() if layer.rng is not None]

    def zero_grad(self):
        """Forget all gradients: backward adds, so each step begins here."""
        for _, _, gradient in self.parameters():
            gradient[...] = 0

    # --- how a layer becomes part of a network ---

    def bind(self, theta, dtheta):
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

    def with_gradients(self, dtheta):
        """This layer again, but for its gradients, which are views into another vector: what one share of a batch uses."""
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

    # --- errors ---

    def check_upstream(self, dy, shape, dtype):
        """Raise unless the upstream gradient has the shape and dtype of the output that it belongs to."""
        if not isinstance(dy, xp.ndarray) or dy.shape != shape or dy.dtype != dtype:
            got = f"{dy.shape} {dy.dtype}" if isinstance(dy, xp.ndarray) else type(dy).__name__
            raise ValueError(f"{self}: backward expected dy {shape} {dtype}, got {got}")

    def check_sizes(self, **sizes):
        """Raise unless all are positive whole numbers."""
        check_whole(self, 1, **sizes)

    def check_numbers(self, **numbers):
        """Raise unless all are real numbers; the layer says which of them it takes."""
        for name, value in numbers.items():
            if not isinstance(value, Real):
                raise TypeError(f"{self}: {name} must be a number, got {value!r}")

    def check_input(self, x, shape, dtype=None):
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


def layers_in(value):
    """Every layer in a value: itself, or those in a list, tuple, set, deque, mapping or array of objects, however deep."""
    if isinstance(value, Layer):
        yield value
    elif isinstance(value, (list, tuple, set, frozenset, deque, Mapping)) or str(getattr(value, "dtype", "")) == "object":
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from layers_in(item)
