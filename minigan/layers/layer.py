"""What every layer has in common.

A layer is a function y = f(x; W) together with its derivative, written as two methods, the one directly above the other:

    y, cache = layer.forward(x, train=True)
    dx       = layer.backward(dy, cache, param_grads=True, input_grad=True)

dy is the upstream gradient ∂L/∂y of some loss L. backward applies the chain rule: it returns dx = ∂L/∂x and ADDS ∂L/∂W
to layer.dW. All that backward needs of the forward pass travels in `cache`; no activation stays on the layer. So a
discriminator can be given real images, then fakes, and go back through either pass, in any order, any number of times. (Many
hand-written GANs keep activations on `self`. Their second forward pass overwrites the first one's: the gradient is wrong.)

The cache holds no copies, but often x or y itself. So neither may be changed in place, as by y *= 2, before backward has run.
The parameters are not in the cache: backward uses the current ones, so it comes before the optimizer's step.
"""
from typing import Any

from minigan.backend import Array
from minigan.layers.checks import Checks
from minigan.layers.parameters import Owner


class Layer(Owner, Checks):
    """Base of all layers. A subclass writes `forward` and `backward`; one with weights calls `add_parameter` (parameters.py).

    name      where the layer is in its network, "D.0": for messages
    samples   how the samples of a batch depend on each other: "independent", y_n depends on x_n only; "summed", y_n depends
              on the others through sums over the batch, taken with batch_sum; "mixed", in any way, which is the default
    group     the number of samples that become one: more than 1 in Pack only
    """

    name = ""
    samples = "mixed"
    group = 1

    def forward(self, x: Array, train: bool = True) -> tuple[Array, Any]:
        """(y, cache) of a batch x (N, ...). `train` chooses between training and evaluation where they differ."""
        raise NotImplementedError(f"{self} has no forward")

    def backward(self, dy: Array, cache: Any, param_grads: bool = True, input_grad: bool = True) -> Array | None:
        """dx for the upstream gradient dy, of the forward pass that made the cache; the parameters' gradients are added to
        dW, db ... It writes into neither dy nor the cache, and two calls with one cache add twice.

        param_grads  False: dW stays as it is. So the gradient of G's loss passes through D
        input_grad   False: no dx is computed, and None returned. So a step of D computes no gradient of the images
        """
        raise NotImplementedError(f"{self} has no backward")

    def double_backward(self, v: Array, dy: Array, cache: Any) -> tuple[Array, Array | None]:
        """The derivative of backward, for gradient penalties (minigan/penalties.py): for a penalty P with v = ∂P/∂dx, add
        ∂P/∂W to dW ... and return (u, s).

        u  ∂P/∂dy, for the layer above
        s  ∂P/∂x, what comes through the cache while dy is held constant; None where backward does not depend on x
        """
        raise NotImplementedError(f"{self} has no double_backward, which a gradient penalty needs")

    def __call__(self, x: Array) -> Array:
        """The layer as a plain function, for evaluation."""
        return self.forward(x, train=False)[0]

    def __str__(self):
        return f'{type(self).__name__} "{self.name}"' if self.name else type(self).__name__

    def __repr__(self):
        return str(self)
