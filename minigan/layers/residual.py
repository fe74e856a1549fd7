"""Two layers made of other layers: a network that computes a change, and one that fills a hole."""
from minigan.backend import xp
from minigan.layers.layer import Layer
from minigan.layers.sequential import Sequential


class Residual(Layer):
    """What the layers of `body` compute is added to x: they only learn the difference to it.

    Shapes    x, y any; body keeps the shape
    Forward   y = x + body(x)
    Backward  dx = dy + body's dx
    Cache     the body's
    Double    u = v + body's u      s = body's s
    Why       x goes two ways, so its gradient is the sum of what comes back on both. On the direct way nothing can weaken it:
              deep networks of such blocks still train.
    Source    He, Zhang, Ren & Sun 2016, arXiv:1512.03385, eq. 1; without a ReLU after the sum, as argued for in their
              arXiv:1603.05027, section 2
    """

    samples = "independent"

    def __init__(self, *layers):
        self.body = Sequential(*layers)

    def forward(self, x, train=True):
        change, cache = self.body.forward(x, train)
        if change.shape != x.shape:
            raise ValueError(f"{self}: its layers must keep the shape of x; they made {change.shape} of {x.shape}")
        return x + change, cache

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        dx = self.body.backward(dy, cache, param_grads, input_grad)
        return dy + dx if input_grad else None

    def double_backward(self, v, dy, cache):
        u, s = self.body.double_backward(v, dy, cache)
        return v + u, s


class FillIn(Layer):
    """What the layers of `body` paint is seen where the mask is 1; where it is 0 the image stays as it was, exactly.

    Shapes    x (N, H, W, C + 1): an image and, as its last channel, the mask -> y (N, H, W, C);  body maps x to (N, H, W, C)
    Forward   y = mask · body(x) + (1 - mask) · image
    Backward  into body goes mask · dy, and what comes back is added to
              dimage = (1 - mask) · dy      dmask = Σ over c of dy · (body(x) - image)
    Cache     image, mask, body(x), and the body's
    Why       the product rule, once for each factor. Where the image is known mask · dy is zero, so nothing is learnt there.
    Source    the masked loss of Pathak et al. 2016, arXiv:1604.07379, eq. 1, made a property of the image itself
    """

    samples = "independent"

    def __init__(self, *layers):
        self.body = Sequential(*layers)

    def forward(self, x, train=True):
        self.check_input(x, ("N", "H", "W", "C"))
        image, mask = x[..., :-1], x[..., -1:]
        painted, cache = self.body.forward(x, train)
        if painted.shape != image.shape:
            raise ValueError(f"{self}: its layers must paint {image.shape}, for {x.shape} with the mask as the last channel; "
                             f"they made {painted.shape}")
        return mask * painted + (1 - mask) * image, (image, mask, painted, cache)

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        image, mask, painted, cache = cache
        self.check_upstream(dy, image.shape, image.dtype)
        dx = self.body.backward(mask * dy, cache, param_grads, input_grad)
        if not input_grad:
            return None
        dmask = (dy * (painted - image)).sum(axis=3, keepdims=True)
        return dx + xp.concatenate([(1 - mask) * dy, dmask], axis=3)
