"""Pack: a discriminator that looks at several samples at once, and so sees when they are all the same."""
from minigan.backend import xp
from minigan.layers.layer import Layer


class Pack(Layer):
    """Groups of m consecutive samples become one, side by side in the channels: the first layer of a PacGAN's D.

    Shapes    x (N, ..., C) -> y (N/m, ..., m·C);  points (N, 2) -> (N/m, 2m), images (N, H, W, C) -> (N/m, H, W, m·C)
    Forward   y_n = [x_nm, x_(nm+1) ... x_(nm+m-1)] along the last axis
    Backward  dx = dy, in the order and the shape of x: each number went to one place, and its gradient comes back from there
    Why       one sample of a collapsed G can be perfect; m of them together are too much alike, and D learns to see that.
              The loss then has N/m logits, and every logit is about m samples, all real or all fake.
    Source    Lin, Khetan, Fanti & Oh 2018, "PacGAN: The power of two samples in generative adversarial networks",
              arXiv:1712.04086, section 2
    """

    # Batches stay whole (smallest_share is None): a cut in the middle of a group would tear it apart.

    def __init__(self, m):
        self.check_sizes(m=m)
        self.m = self.group = m

    def forward(self, x, train=True):
        self.check_input(x, ("...", "C"))
        if x.ndim < 2 or len(x) % self.m:
            raise ValueError(f"{self}: expected (N, ..., C) with N a multiple of m = {self.m}, got {x.shape}")
        N, *middle, C = x.shape
        groups = xp.moveaxis(x.reshape(-1, self.m, *middle, C), 1, -2)         # (N/m, m, ..., C) -> (N/m, ..., m, C)
        return groups.reshape(N // self.m, *middle, self.m * C), (x.shape, x.dtype)

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        (N, *middle, C), dtype = cache
        self.check_upstream(dy, (N // self.m, *middle, self.m * C), dtype)
        groups = xp.moveaxis(dy.reshape(-1, *middle, self.m, C), -2, 1)        # (N/m, ..., m, C) -> (N/m, m, ..., C)
        return groups.reshape(N, *middle, C) if input_grad else None

    def double_backward(self, v, dy, cache):
        return self.forward(v)[0], None                # dx only orders the numbers of dy, so u orders those of v back
