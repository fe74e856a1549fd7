"""Layers that change the shape only: they move numbers, or copy them, and learn nothing.

Two of them make a large image of a small one, with a convolution before or after. A ConvTranspose2D learns and enlarges in
one, but where its stride does not divide its kernel, some pixels of the large image are painted by more patches than their
neighbours: the checkerboard of many generators. These treat all pixels alike:

    sub-pixel            Conv2D(C, F·r²), PixelShuffle(r)      its kernel covers r·K pixels of the large image
    resize convolution   UpSample2D(r), Conv2D(C, F)           its kernel covers K of them; neighbours begin alike
Both cost the same number of products. Sub-pixel has r² times the weights and r² times fewer patches.
"""
import math

from minigan.backend import xp
from minigan.engine import pairwise_sum
from minigan.layers.layer import Layer


class Flatten(Layer):
    """All axes but the first as one: the numbers stay, so the gradient only changes its shape back.

    Shapes    x (N, ...) -> y (N, I), with I the product of the sizes
    Forward   y = x, in another shape
    Backward  dx = dy, in the shape of x
    Cache     shape and dtype of x
    Double    u = v, in the shape of dy      s: none
    Source    Keras, layer Flatten (channels last)
    """

    samples = "independent"

    def forward(self, x, train=True):
        self.check_input(x, ("...", "I"))
        return x.reshape(x.shape[0], -1), (x.shape, x.dtype)

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        shape, dtype = cache
        self.check_upstream(dy, (shape[0], math.prod(shape[1:])), dtype)
        return dy.reshape(shape) if input_grad else None

    def double_backward(self, v, dy, cache):
        return v.reshape(dy.shape), None


class Reshape(Layer):
    """Every sample in the given shape: how the vector that a Dense layer makes becomes a small image.

    Shapes    x (N, ...) -> y (N, *shape)
    Forward   y = x, in another shape
    Backward  dx = dy, in the shape of x
    Cache     shape and dtype of x
    Double    u = v, in the shape of dy      s: none
    Source    Keras, layer Reshape (channels last)
    """

    samples = "independent"

    def __init__(self, *shape):
        self.check_sizes(**{f"shape[{i}]": size for i, size in enumerate(shape)})
        self.shape = shape

    def forward(self, x, train=True):
        self.check_input(x, ("...", "I"))
        if math.prod(x.shape[1:]) != math.prod(self.shape):
            raise ValueError(f"{self}: expected {math.prod(self.shape)} numbers a sample, to make {self.shape}, got {x.shape}")
        return x.reshape(-1, *self.shape), (x.shape, x.dtype)

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        shape, dtype = cache
        self.check_upstream(dy, (shape[0], *self.shape), dtype)
        return dy.reshape(shape) if input_grad else None

    def double_backward(self, v, dy, cache):
        return v.reshape(dy.shape), None


class PixelShuffle(Layer):
    """The r² groups of channels of one pixel become a block of r x r pixels. Each number moves, none changes.

    Shapes    x (N, H, W, r·r·C) -> y (N, H·r, W·r, C)
    Forward   y[n, h·r + i, w·r + j, c] = x[n, h, w, (i·r + j)·C + c]
    Backward  dx[n, h, w, (i·r + j)·C + c] = dy[n, h·r + i, w·r + j, c]
    Cache     shape and dtype of x
    Double    u = forward of v      s: none
    Why       a permutation: every gradient goes back to where its number came from.
    Source    Shi et al. 2016, arXiv:1609.05158, eq. 4; the order of the channels is that of TensorFlow's depth_to_space
              (PyTorch's PixelShuffle has c first: c·r² + i·r + j)
    """

    samples = "independent"

    def __init__(self, r):
        self.check_sizes(r=r)
        self.r = r

    def forward(self, x, train=True):
        self.check_input(x, ("N", "H", "W", "C·r²"))
        r, (N, H, W, C) = self.r, x.shape
        if C % (r * r):
            raise ValueError(f"{self}: expected a multiple of {r * r} channels, for blocks of {r} x {r} pixels, got {x.shape}")
        blocks = x.reshape(N, H, W, r, r, C // (r * r)).transpose(0, 1, 3, 2, 4, 5)            # n h i w j c
        return blocks.reshape(N, H * r, W * r, C // (r * r)), (x.shape, x.dtype)

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        r, ((N, H, W, C), dtype) = self.r, cache
        self.check_upstream(dy, (N, H * r, W * r, C // (r * r)), dtype)
        blocks = dy.reshape(N, H, r, W, r, C // (r * r)).transpose(0, 1, 3, 2, 4, 5)           # n h w i j c
        return blocks.reshape(N, H, W, C) if input_grad else None

    def double_backward(self, v, dy, cache):
        return self.forward(v)[0], None


class UpSample2D(Layer):
    """Every pixel becomes a block of factor x factor equal pixels: the nearest neighbour.

    Shapes    x (N, H, W, C) -> y (N, H·factor, W·factor, C)
    Forward   y[n, h, w, c] = x[n, ⌊h/factor⌋, ⌊w/factor⌋, c]
    Backward  dx = the sum of dy over each block
    Cache     shape and dtype of x
    Double    u = forward of v      s: none
    Why       x[n, h, w, c] is copied to factor² places and collects the gradient from all of them.
    Source    Odena, Dumoulin & Olah 2016, "Deconvolution and Checkerboard Artifacts", Distill, doi:10.23915/distill.00003
    """

    samples = "independent"

    def __init__(self, factor):
        self.check_sizes(factor=factor)
        self.factor = factor

    def forward(self, x, train=True):
        self.check_input(x, ("N", "H", "W", "C"))
        return xp.repeat(xp.repeat(x, self.factor, axis=1), self.factor, axis=2), (x.shape, x.dtype)

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        f, ((N, H, W, C), dtype) = self.factor, cache
        self.check_upstream(dy, (N, H * f, W * f, C), dtype)
        if not input_grad:
            return None
        rows = pairwise_sum(dy.reshape(N * H, f, W * f * C))           # of each block: its rows are added, then its columns
        return pairwise_sum(rows.reshape(N * H * W, f, C)).reshape(N, H, W, C)

    def double_backward(self, v, dy, cache):
        return self.forward(v)[0], None


class Crop(Layer):
    """The middle H x W pixels of every image: for sizes that doubling does not reach, such as 30 from 4, 8, 16, 32.

    Shapes    x (N, at least H, at least W, C) -> y (N, H, W, C);  of an odd difference the larger half is cut off below, right
    Forward   y[n, h, w, c] = x[n, top + h, left + w, c]
    Backward  dx = dy in the middle, 0 around it, where x reaches no output
    Cache     shape and dtype of x
    Double    u = forward of v      s: none
    Source    Keras, layer CenterCrop
    """

    samples = "independent"

    def __init__(self, H, W):
        self.check_sizes(H=H, W=W)
        self.H, self.W = H, W

    def forward(self, x, train=True):
        self.check_input(x, ("N", "H", "W", "C"))
        if x.shape[1] < self.H or x.shape[2] < self.W:
            raise ValueError(f"{self}: expected images of at least {self.H} x {self.W} pixels, got {x.shape}")
        return x[self.middle(x.shape)], (x.shape, x.dtype)

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        shape, dtype = cache
        self.check_upstream(dy, (shape[0], self.H, self.W, shape[3]), dtype)
        dx = xp.zeros(shape, dtype)
        dx[self.middle(shape)] = dy
        return dx if input_grad else None

    def double_backward(self, v, dy, cache):
        return v[self.middle(v.shape)], None

    def middle(self, shape):
        top, left = (shape[1] - self.H) // 2, (shape[2] - self.W) // 2
        return slice(None), slice(top, top + self.H), slice(left, left + self.W)


class Pack(Layer):
    """Groups of m consecutive samples become one, side by side in the channels: the first layer of a PacGAN's D.

    Shapes    x (N, ..., C) -> y (N/m, ..., m·C);  points (N, 2) -> (N/m, 2m), images (N, H, W, C) -> (N/m, H, W, m·C)
    Forward   y[n] = [x[n·m], x[n·m + 1] ... x[n·m + m - 1]], side by side along the last axis
    Backward  dx = dy, in the order and the shape of x: each number went to one place, and its gradient comes back from there
    Cache     shape and dtype of x
    Double    u = forward of v      s: none
    Why       one sample of a collapsed G can be perfect; m of them together are too much alike, and D learns to see that.
              The loss then has N/m logits, and every logit is about m samples, all real or all fake.
    Source    Lin, Khetan, Fanti & Oh 2018, "PacGAN: The power of two samples in generative adversarial networks",
              arXiv:1712.04086, section 2
    """

    samples = "mixed"                          # a group goes through the network together

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
