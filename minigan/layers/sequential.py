"""Sequential, the chain of layers: the chain rule."""
from minigan.engine import over_shards
from minigan.layers.network import Network


class Sequential(Network):
    """A chain of layers, y = f_L(… f_2(f_1(x))).

    Shapes    those of the first layer's x and of the last one's y
    Forward   x_l = f_l(x_{l-1})
    Backward  the chain rule from the last layer to the first: dx_{l-1} = backward of f_l at dx_l. Without input_grad it ends
              at the first layer that has parameters, and does nothing if none has or param_grads is false
    Cache     the caches of the layers, in their order
    Double    up:   g_l, what each layer's backward is given, is found again from dy;  v_l, s_l = double_backward of f_l at
                    v_{l-1}, from the first layer to the last;  u = v_L
              down: s = s_1 + ...: from the last layer to the first, s_l is added where it arises and passed on by backward
    Why       ∂L/∂x_{l-1} = ∂L/∂x_l · ∂x_l/∂x_{l-1}, and backward of f_l is the product with ∂x_l/∂x_{l-1}. The parameters of
              all layers are one vector, theta, and their gradients another, dtheta (network.py).
    Source    Rumelhart, Hinton & Williams 1986
    """

    samples = "independent"

    @over_shards
    def forward(self, x, train=True):
        caches = []
        for layer in self.layers:
            x, cache = layer.forward(x, train)
            caches.append(cache)
        return x, caches

    @over_shards
    def backward(self, dy, cache, param_grads=True, input_grad=True):
        layers, lowest = self.layers, 0
        if not input_grad:                  # then no gradient is needed from below the first layer with parameters
            with_parameters = (i for i, layer in enumerate(layers) if param_grads and layer.size)
            lowest = next(with_parameters, len(layers))
        for i in reversed(range(lowest, len(layers))):
            dy = layers[i].backward(dy, cache[i], param_grads, input_grad or i > lowest)
        return dy if input_grad else None

    @over_shards
    def double_backward(self, v, dy, cache):
        """The backward pass is read as a second forward pass, and gone through backward: the derivation is in penalties.py."""
        layers = self.layers
        g = [dy]                            # what each layer's backward was given, from the last layer to the first
        for layer, kept in reversed([*zip(layers, cache)][1:]):                # the first one's result is not needed
            g.append(layer.backward(g[-1], kept, param_grads=False))
        terms = []
        for layer, kept, upstream in zip(layers, cache, reversed(g)):
            v, s = layer.double_backward(v, upstream, kept)
            terms.append(s)
        s = None                            # ∂P/∂x, on its way down through the forward pass
        for layer, kept, term in reversed([*zip(layers, cache, terms)]):
            if s is not None:
                s = layer.backward(s, kept)
            s = term if s is None else s if term is None else s + term
        return v, s
