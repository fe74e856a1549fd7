"""Convolution as one matrix product, and the transposed convolution as its adjoint.

A convolution slides a kernel of K x K taps over an image in steps of S (the stride). At output position (oh, ow) it sees
the patch of the padded image that starts at (oh·S, ow·S), and it is a Dense layer on that patch:

    y[n, oh, ow, f] = Σ_i Σ_j Σ_c  x_padded[n, oh·S + i, ow·S + j, c] · W[i, j, c, f]  (+ b[f])

(Mathematicians call this a cross-correlation, and turn the kernel over for a convolution. Deep learning does not.)

`im2col` writes every patch into one row of a matrix. (The name, "image to columns", is MATLAB's and Caffe's, where the patches
are columns.) With W and dy as matrices too, (K·K·C, F) and (N·OH·OW, F), everything is known from Dense:

    cols = im2col(x)                  (N·OH·OW, K·K·C)
    y    = cols W                     (N·OH·OW, F)
    dW   = colsᵀ dy                   (K·K·C, F), as in Dense
    dx   = col2im(dy Wᵀ)              as in Dense, then the patches go back to where they came from

im2col only copies numbers: it is a linear map, a matrix of zeros and ones. Going backward through a linear map is applying
its transpose, as dx = dy Wᵀ for y = x W; the transpose is also called the adjoint. What was copied to several patches collects
the gradient from all of them. That is `col2im`: it adds every patch into the image. With <a, b> = Σ a·b over all elements, the
two are adjoint if <im2col(x), c> = <x, col2im(c)> for all x and c: one identity, which can be tested without a look into the
two functions.

So one convolution needs three functions: `conv` (x to y), `conv_adjoint` (dy to dx), `conv_weight_grad` (x and dy to dW).
A transposed convolution is the layer whose forward is conv_adjoint: it makes a large image of a small one, as a generator
needs. The adjoint of the adjoint is conv, so its backward is conv, and dW is the same function with the two images exchanged:

                       forward          dx               dW
    Conv2D             conv             conv_adjoint     conv_weight_grad(x, dy)
    ConvTranspose2D    conv_adjoint     conv             conv_weight_grad(dy, x)

"same" padding is TensorFlow's: OH = ⌈H / S⌉ outputs need max((OH-1)·S + K - H, 0) extra pixels, the smaller half before,
the larger after; K 5 with S 2 on an even H pads 1 and 2.

Source    Dumoulin & Visin 2016, arXiv:1603.07285 (arithmetic, chapter 4: transposed); Chellapilla, Puri & Simard 2006, "High
          performance convolutional neural networks for document processing" (patches as rows, there called unrolling)
"""
import numpy as np

from minigan.backend import Array
from minigan.engine import accelerated, channel_sum
from minigan.layers.initializers import glorot_uniform
from minigan.layers.layer import Layer
from minigan.layers.patches import col2im, im2col
from minigan.padding import pad_and_count


@accelerated
def conv(x: Array, W: Array, stride: int, padding: str | int) -> Array:
    """Convolution: x (N, H, W, C), W (K, K, C, F) -> (N, OH, OW, F)."""
    K, _, C, F = W.shape
    OH, OW = (pad_and_count(size, K, stride, padding)[2] for size in x.shape[1:3])
    cols = im2col(x, K, stride, padding)
    y = cols @ W.reshape(K * K * C, F)                 # (N OH OW, F) = (N OH OW, K K C) @ (K K C, F)
    return y.reshape(-1, OH, OW, F)


@accelerated
def conv_adjoint(y: Array, W: Array, shape: tuple[int, ...], stride: int, padding: str | int) -> Array:
    """The adjoint of conv, <conv(x), y> = <x, conv_adjoint(y)>: y (N, OH, OW, F), W (K, K, C, F) -> shape (N, H, W, C)."""
    K, _, C, F = W.shape
    cols = y.reshape(-1, F) @ W.reshape(K * K * C, F).T        # (N OH OW, K K C) = (N OH OW, F) @ (F, K K C)
    return col2im(cols, shape, K, stride, padding)


@accelerated
def conv_weight_grad(x: Array, dy: Array, kernel_size: int, stride: int, padding: str | int) -> Array:
    """The gradient of <conv(x), dy> with respect to W: x (N, H, W, C), dy (N, OH, OW, F) -> (K, K, C, F)."""
    K, C, F = kernel_size, x.shape[3], dy.shape[3]
    dW = im2col(x, K, stride, padding).T @ dy.reshape(-1, F)   # (K K C, F) = (K K C, N OH OW) @ (N OH OW, F)
    return dW.reshape(K, K, C, F)


class _Convolution(Layer):
    """What the two layers share: their arguments, and the checks of these."""

    samples = "independent"

    def __init__(self, C, F, kernel_size, stride, padding, bias, weight_shape, rng, dtype, initializer):
        self.check_sizes(C=C, F=F, kernel_size=kernel_size, stride=stride)
        whole = isinstance(padding, (int, np.integer)) and not isinstance(padding, bool) and padding >= 0
        if not whole and padding not in ("same", "valid"):
            raise ValueError(f'{self}: padding must be "same", "valid" or a whole number of at least 0, got {padding!r}')
        self.C, self.F, self.kernel_size, self.stride = C, F, kernel_size, stride
        self.padding, self.bias = padding, bias
        self.add_weight("W", weight_shape, initializer, rng, dtype)
        if bias:
            self.add_parameter("b", np.zeros(F), dtype)


class Conv2D(_Convolution):
    """Every output pixel is a weighted sum of the K x K patch of the input under it, with the same weights everywhere.

    Shapes    x (N, H, W, C) -> y (N, OH, OW, F);  W (K, K, C, F), b (F,)
              OH = ⌈H/S⌉ for padding "same", ⌊(H + 2p - K)/S⌋ + 1 for p pixels on every side, p = 0 for "valid"
    Forward   y = conv(x, W) + b
    Backward  dx = conv_adjoint(dy, W)      dW = im2col(x)ᵀ dy      db = Σ dy over n, oh, ow
    Cache     x
    Double    u = conv(v, W)      dW += im2col(v)ᵀ dy      s: none
    Why       a Dense layer on patches; the derivation is at the top of this file. Double: dx is bilinear in dy and W, as in
              Dense, so v takes the place of x.
    Source    LeCun et al. 1989; Dumoulin & Visin 2016, arXiv:1603.07285
    """

    def __init__(self, C, F, kernel_size, stride=1, padding="same", bias=True,
                 *, rng=None, dtype="float32", initializer=glorot_uniform):
        shape = (kernel_size, kernel_size, C, F)
        super().__init__(C, F, kernel_size, stride, padding, bias, shape, rng, dtype, initializer)

    def forward(self, x, train=True):
        self.check_input(x, ("N", "H", "W", self.C), self.W.dtype)
        if min(self.output_shape(x.shape)) < 1:
            raise ValueError(f"{self}: a kernel of {self.kernel_size} does not fit into images of shape {x.shape} "
                             f"with padding {self.padding!r}")
        y = conv(x, self.W, self.stride, self.padding)
        if self.bias:
            y += self.b
        return y, x

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        x = cache
        self.check_upstream(dy, self.output_shape(x.shape), x.dtype)
        if param_grads:
            self.dW += conv_weight_grad(x, dy, self.kernel_size, self.stride, self.padding)
            if self.bias:
                self.db += channel_sum(dy)
        return conv_adjoint(dy, self.W, x.shape, self.stride, self.padding) if input_grad else None

    def double_backward(self, v, dy, cache):
        self.dW += conv_weight_grad(v, dy, self.kernel_size, self.stride, self.padding)
        return conv(v, self.W, self.stride, self.padding), None

    def output_shape(self, shape) -> tuple[int, ...]:
        N, *sizes, _ = shape
        return N, *(pad_and_count(size, self.kernel_size, self.stride, self.padding)[2] for size in sizes), self.F


class ConvTranspose2D(_Convolution):
    """The adjoint of a convolution F -> C, as a layer C -> F: every input pixel paints a weighted K x K patch.

    Shapes    x (N, H, W, C) -> y (N, OH, OW, F);  W (K, K, F, C), the W of the convolution F -> C, so F comes first; b (F,)
              OH = H·S for padding "same", (H - 1)·S + K - 2p for p pixels on every side, p = 0 for "valid"
    Forward   y = conv_adjoint(x, W) + b
    Backward  dx = conv(dy, W)      dW = im2col(dy)ᵀ x      db = Σ dy over n, oh, ow
    Cache     x
    Double    u = conv_adjoint(v, W)      dW += im2col(dy)ᵀ v      s: none
    Why       without b, L changes as <dy, y> = <dy, conv_adjoint(x)> = <conv(dy), x>; comparing with <dx, x>, dx is conv(dy).
              For dW it is as if dy were the input of that convolution and x its upstream gradient.
    Source    Long, Shelhamer & Darrell 2015, arXiv:1411.4038, section 3.3 (backwards convolution); Dumoulin & Visin 2016,
              chapter 4. It is not a deconvolution, as it is often called: it inverts nothing
    """

    def __init__(self, C, F, kernel_size, stride=1, padding="same", bias=True,
                 *, rng=None, dtype="float32", initializer=glorot_uniform):
        shape = (kernel_size, kernel_size, F, C)
        super().__init__(C, F, kernel_size, stride, padding, bias, shape, rng, dtype, initializer)

    def forward(self, x, train=True):
        self.check_input(x, ("N", "H", "W", self.C), self.W.dtype)
        y = conv_adjoint(x, self.W, self.output_shape(x.shape), self.stride, self.padding)
        if self.bias:
            y += self.b
        return y, x

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        x = cache
        self.check_upstream(dy, self.output_shape(x.shape), x.dtype)
        if param_grads:
            self.dW += conv_weight_grad(dy, x, self.kernel_size, self.stride, self.padding)
            if self.bias:
                self.db += channel_sum(dy)
        return conv(dy, self.W, self.stride, self.padding) if input_grad else None

    def double_backward(self, v, dy, cache):
        self.dW += conv_weight_grad(dy, v, self.kernel_size, self.stride, self.padding)
        return conv_adjoint(v, self.W, dy.shape, self.stride, self.padding), None

    def output_shape(self, shape) -> tuple[int, ...]:
        """H·S and W·S for padding "same"; else the smallest images that the convolution maps onto images of `shape`."""
        K, S, p = self.kernel_size, self.stride, 0 if self.padding == "valid" else self.padding
        N, *sizes, _ = shape
        sizes = [H * S if p == "same" else (H - 1) * S + K - 2 * p for H in sizes]
        if min(sizes) < 1:
            raise ValueError(f"{self}: padding {p} leaves nothing of images of shape {shape}; it crops "
                             f"{2 * p} of {(min(shape[1:3]) - 1) * S + K} pixels")
        return N, *sizes, self.F
