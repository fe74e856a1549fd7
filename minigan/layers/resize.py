"""Two ways from a small image to a large one that learn nothing themselves; a convolution before or after them does.

A ConvTranspose2D learns and enlarges in one. Where its stride does not divide its kernel, some pixels of the large image are
painted by more patches than their neighbours: the checkerboard of many generators. These two layers treat all pixels alike:

    sub-pixel            Conv2D(C, F·r²), PixelShuffle(r)      the products are made at the small size: cheap
    resize convolution   UpSample2D(r), Conv2D(C, F)           r² times the products, and neighbours are alike from the start
"""
from minigan.backend import xp
from minigan.layers.layer import Layer
from minigan.sums import pairwise_sum


class PixelShuffle(Layer):
    """The r² groups of channels of one pixel become a block of r x r pixels. Each number moves, none changes.

    Shapes    x (N, H, W, r·r·C) -> y (N, H·r, W·r, C)
    Forward   y[n, h·r + i, w·r + j, c] = x[n, h, w, (i·r + j)·C + c]
    Backward  dx[n, h, w, (i·r + j)·C + c] = dy[n, h·r + i, w·r + j, c]
    Why       a permutation: every gradient goes back to where its number came from.
    Source    Shi et al. 2016, arXiv:1609.05158, eq. 4; the order of the channels is that of TensorFlow's depth_to_space
              (PyTorch's PixelShuffle has c first: c·r² + i·r + j)
    """

    smallest_share = 128

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
    Why       x[n, h, w, c] is copied to factor² places and collects the gradient from all of them.
    Source    Odena, Dumoulin & Olah 2016, "Deconvolution and Checkerboard Artifacts", Distill, doi:10.23915/distill.00003
    """

    smallest_share = 128

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
