"""Spectral normalization: a layer whose kernel, as a matrix, stretches no vector.

The kernel W is read as a matrix (R, F) with the F output channels as columns and all other axes as rows: for Dense that is
W (I, O) itself, for Conv2D (K·K·C, F), for ConvTranspose2D (K·K·C, F) too, although its W is (K, K, F, C). How much a matrix
stretches at most is its largest singular value,

    sigma(W) = max pᵀ W q  over unit vectors p (R, 1) on the input side and q (F, 1) on the output side

and W_hat = W / sigma has the largest singular value 1. Power iteration finds p and q: each is the best for the other,

    p <- W q / ‖W q‖        q <- Wᵀ p / ‖Wᵀ p‖        sigma = pᵀ W q

W changes little from step to step, so one round per step, which starts with the last p and q, is enough to follow it. So p
and q are a state, as BatchNorm's running statistics: every forward pass in training moves them, the one over real images and
the one over fakes. Until they have converged sigma is found a few percent too small.

Backward. The inner layer computes with W_hat and finds dW_hat = ∂L/∂W_hat. Move W by a small δ. With p and q held constant
sigma moves by pᵀ δ q = <p qᵀ, δ>, where <A, B> = Σ A·B over all elements, and

    W_hat moves by   δ / sigma  -  W <p qᵀ, δ> / sigma²
    L moves by       <dW_hat, δ> / sigma  -  <dW_hat, W> <p qᵀ, δ> / sigma²
                     = < (dW_hat - <dW_hat, W_hat> p qᵀ) / sigma , δ >

so that dW = (dW_hat - <dW_hat, W_hat> p qᵀ) / sigma. Why it must be so: scaling W does not change W_hat, and indeed <dW, W> =
<dW_hat, W_hat> - <dW_hat, W_hat> pᵀ W q / sigma = 0. And why p and q may be held constant although they depend on W: they
make pᵀ W q as large as unit vectors can, so at this maximum a small move of theirs does not change it (to first order). Until
they have converged this gradient is approximate.

For a convolution sigma belongs to this matrix, not to the map from image to image. The map stretches at most K times as much
as the matrix, as every pixel occurs in at most K·K patches.

Source    Miyato, Kataoka, Koyama & Yoshida 2018, arXiv:1802.05957, sections 2.1 to 2.3 and algorithm 1
"""
import copy

import numpy as np

from minigan.backend import host_rng, next_stream, xp
from minigan.engine import once_per_batch
from minigan.layers.convolution import Conv2D, ConvTranspose2D
from minigan.layers.dense import Dense
from minigan.layers.layer import Layer
from minigan.layers.sequential import Sequential


class SpectralNorm(Layer):
    """The layer inside, with its kernel divided by the largest singular value of that.

    Shapes    those of the layer inside: a Dense, Conv2D or ConvTranspose2D;  p (R, 1), q (F, 1), with W as (R, F)
    Forward   y = layer(x) with W_hat = W / sigma in place of W,  sigma = pᵀ W q;  the bias stays as it is
              In training `iterations` rounds of power iteration move p and q first
    Backward  dx and db are the layer's, with W_hat;  dW = (dW_hat - <dW_hat, W_hat> p qᵀ) / sigma
    Cache     the layer's; W_hat, p, q and sigma of this pass, which no later pass changes
    Double    u and s are the layer's, with W_hat; its dW_hat is carried on to dW as in Backward
    Why       the derivation is at the top of this file.
    Source    Miyato et al. 2018, arXiv:1802.05957, section 2.3 (the gradient)
    """

    samples = "independent"

    def __init__(self, layer, iterations=1, *, rng=None):
        """rng: the host generator of the vectors that the power iteration begins with; without one, a stream of its own."""
        if not isinstance(layer, (Dense, Conv2D, ConvTranspose2D)):
            raise TypeError(f"{self}: takes a Dense, Conv2D or ConvTranspose2D, got {layer}")
        self.check_sizes(iterations=iterations)
        self.layer, self.iterations = layer, iterations
        R, F = self.matrix(layer.W).shape
        rng = host_rng(next_stream()) if rng is None else rng
        for name, size in (("p", R), ("q", F)):
            vector = rng.standard_normal((size, 1))
            self.add_state(name, vector / (vector * vector).sum() ** 0.5, layer.W.dtype)
        self.somewhere = self.p.copy()                 # a direction like any other
        self.power_iteration(self.scaled_kernel()[0], 20)              # near enough for an evaluation before any training

    def forward(self, x, train=True):
        W_hat, *pq_sigma = once_per_batch(lambda: self.normalized(train))
        y, cache = self.with_kernel(W_hat).forward(x, train)
        return y, (cache, W_hat, *pq_sigma)

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        cache, W_hat, *pq_sigma = cache
        dW_hat = xp.zeros_like(W_hat)
        dx = self.with_kernel(W_hat, dW_hat).backward(dy, cache, param_grads, input_grad)
        if param_grads:
            self.add_gradient(dW_hat, W_hat, *pq_sigma)
        return dx

    def double_backward(self, v, dy, cache):
        cache, W_hat, *pq_sigma = cache
        dW_hat = xp.zeros_like(W_hat)                  # ∂P/∂W_hat; from there to W as in backward
        result = self.with_kernel(W_hat, dW_hat).double_backward(v, dy, cache)
        self.add_gradient(dW_hat, W_hat, *pq_sigma)
        return result

    def normalized(self, train):
        """(W_hat, p, q, sigma), all of them arrays that no later pass changes."""
        W, largest = self.scaled_kernel()
        if train:
            self.power_iteration(W, self.iterations)
        p, q = self.p.copy(), self.q.copy()
        sigma = p.T @ self.matrix(W) @ q               # (1, 1)
        sigma += sigma == 0                            # a kernel of zeros is divided by 1
        return W / sigma, p, q, largest * sigma

    def scaled_kernel(self):
        """(W / largest |W|, largest |W|): it has the p and q of W, and nothing that is made of it overflows."""
        largest = xp.abs(self.layer.W).max()
        largest = largest + (largest == 0)
        return self.layer.W / largest, largest

    def power_iteration(self, W, rounds):
        M = self.matrix(W)
        for _ in range(rounds):
            self.p = direction(M @ self.q, self.somewhere)     # (R, 1) = (R, F) @ (F, 1)
            self.q = direction(M.T @ self.p, self.q)   # (F, 1) = (F, R) @ (R, 1)

    def add_gradient(self, dW_hat, W_hat, p, q, sigma):
        along_W = (dW_hat * W_hat).sum()
        self.layer.dW += (dW_hat - along_W * self.kernel(p @ q.T)) / sigma

    def matrix(self, W):
        """The kernel as (R, F). ConvTranspose2D has its output channels on axis 2 of (K, K, F, C), the others on the last."""
        W = W.transpose(0, 1, 3, 2) if isinstance(self.layer, ConvTranspose2D) else W
        return W.reshape(-1, W.shape[-1])

    def kernel(self, M):
        """A matrix (R, F) in the shape of the kernel: what `matrix` does, undone."""
        shape = self.layer.W.shape
        if isinstance(self.layer, ConvTranspose2D):
            return M.reshape(*shape[:2], shape[3], shape[2]).transpose(0, 1, 3, 2)
        return M.reshape(shape)

    def with_kernel(self, W, dW=None):
        """A copy of the layer inside with this kernel, and with this array for its gradient; b and db are the same arrays."""
        twin = object.__new__(type(self.layer))
        vars(twin).update(vars(self.layer), W=W, dW=dW)
        return twin


def direction(vector, otherwise):
    """vector / ‖vector‖; `otherwise` where that is no direction: of a kernel of zeros, or one that is not finite, or one that
    maps q to 0. So p and q are always directions, and converge again once the kernel is finite: q stays as it was, and p
    becomes some direction, since a kernel that maps q to 0 may map p to 0 as well."""
    length = xp.sqrt((vector * vector).sum())
    return xp.where(length > 0, vector / (length + (length == 0)), otherwise)        # NaN > 0 is false


def normalize(network: Layer, rng: np.random.Generator | None = None) -> Layer:
    """A copy of the network, or of a layer, in which every Dense and every convolution is inside a SpectralNorm. rng is the
    host generator of their first vectors."""
    if isinstance(network, Sequential):
        return Sequential(*(normalize(layer, rng) for layer in network.layers), name=network.name)
    layer = copy.deepcopy(network)                     # which belongs to no network yet
    if isinstance(layer, (Dense, Conv2D, ConvTranspose2D)):
        return SpectralNorm(layer, rng=rng)
    if not isinstance(layer, SpectralNorm):
        for name, child in layer.children.items():
            layer.replace_child(name, normalize(child, rng))
    return layer
