"""Random transformations of images, and their adjoints: augmentation through which a gradient can pass.

With few real images D learns them by heart. Transformed images help. But if only the real ones are transformed, D learns that
real images look transformed, and G copies that: its images have cut-out squares. So D has to see every image, real and fake,
through a random transformation T of the same kind, in the step of G too. These layers do that, in front of D:

    D = Sequential(RandomShift(4, rng=rng(1)), Brightness(0.5, rng=rng(2)), Conv2D(...), ...)

    D step    D(T(x)), D(T(G(z)))       G step    D(T(G(z))), and the gradient comes back to G through T

Each T but Brightness is linear: it moves pixels or sets them to zero. So the gradient goes back through its adjoint T*, the
map with <T(x), dy> = <x, T*(dy)>: of the same drawn T, which the cache remembers. Moving pixels is undone by moving them
back, and what has been set to zero gets no gradient. T is drawn for every sample by itself, at each call, and in training
only.

On real images alone, as a data pipeline does it, the same layers serve: `x, _ = layer.forward(x)` on the real batch. That
is right where the transformed images are as real as the others (a face and its mirror image), as G will make them too.

Source    Zhao, Liu, Lin, Zhu & Han 2020, arXiv:2006.10738 (DiffAugment: brightness, translation, cutout)
"""
from minigan.backend import Array, asarray, xp
from minigan.engine import shard_rng
from minigan.layers.random_layer import RandomLayer


class Augmentation(RandomLayer):
    """Base of the augmentations: a subclass defines how T is drawn, what it does to images, and what its adjoint does.

    Shapes    x, y (N, H, W, C)
    Forward   y = T(x), with T drawn for each sample; in evaluation y = x
    Backward  dx = T*(dy)
    Cache     T as it was drawn, shape and dtype of x
    Double    u = T(v), since the adjoint of T* is T      s: none
    Why       y_i = Σⱼ T_ij x_j for all pixels i, so ∂L/∂x_j = Σᵢ T_ij dy_i: the transposed matrix
    Source    Zhao et al. 2020, arXiv:2006.10738
    """

    def forward(self, x, train=True):
        self.check_input(x, ("N", "H", "W", "C"))
        T = self.draw(x.shape, shard_rng(self.rng)) if train else None
        return self.transform(x, T) if train else x, (T, x.shape, x.dtype)

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        T, shape, dtype = cache
        self.check_upstream(dy, shape, dtype)
        if not input_grad:
            return None
        return dy if T is None else self.adjoint(dy, T)

    def double_backward(self, v, dy, cache):
        T, _, _ = cache
        return v if T is None else self.transform(v, T), None

    def draw(self, shape, rng):
        """What T is for each of the N images: arrays from the generator `rng`."""
        raise NotImplementedError(f"{self} has no draw")

    def transform(self, x, T):
        raise NotImplementedError(f"{self} has no transform")

    def adjoint(self, dy, T):
        raise NotImplementedError(f"{self} has no adjoint")


class RandomFlip(Augmentation):
    """Every image is mirrored, left to right, with probability 1/2.

    Shapes    x, y (N, H, W, C)
    Forward   y_hw = x_h,(W-1-w) for the mirrored images, x_hw for the others
    Backward  the same mirroring of dy
    Why       mirroring twice changes nothing, and it exchanges pixels in pairs: its matrix is symmetric, so T* = T
    Source    Krizhevsky, Sutskever & Hinton 2012, section 4.1
    """

    def draw(self, shape, rng):
        return asarray(rng.random((shape[0], 1, 1, 1), dtype="float32")) < 0.5

    def transform(self, x, mirrored):
        return xp.where(mirrored, x[:, :, ::-1], x)

    adjoint = transform                        # T* = T


class RandomRotate90(Augmentation):
    """Every image, a square, is turned by 0, 1, 2 or 3 quarter turns, each with probability 1/4.

    Shapes    x, y (N, H, H, C)
    Forward   y = x turned k times by 90° anticlockwise
    Backward  dx = dy turned k times by 90° clockwise
    Why       a turn moves pixels and loses none, so its adjoint is its inverse: turning back
    Source    Cohen & Welling 2016, arXiv:1602.07576 (the group of these turns, C4)
    """

    def draw(self, shape, rng):
        if shape[1] != shape[2]:
            raise ValueError(f"{self}: only square images keep their shape when turned, got {shape}")
        return asarray(rng.integers(4, size=(shape[0], 1, 1, 1)))

    def transform(self, x, turns):
        for k in (1, 2, 3):
            x = xp.where(turns == k, xp.rot90(x, k, axes=(1, 2)), x)       # an image is turned at most once: at its own k
        return x

    def adjoint(self, dy, turns):
        return self.transform(dy, (4 - turns) % 4)


class RandomShift(Augmentation):
    """Every image is moved by up to `pixels` pixels down or up and right or left; zeros come in: a random crop of the
    image with a frame of `pixels` zeros around it.

    Shapes    x, y (N, H, W, C)
    Forward   y_hw = x_(h+i-p),(w+j-p), or 0 where that is outside of the image; (i, j) is where the crop begins in the
              framed image, each drawn from 0 ... 2p; the middle, i = j = p, moves nothing
    Backward  dx = dy moved back: the crop at (2p - i, 2p - j)
    Why       each pixel of x that stays inside goes to one place of y, and collects the gradient from there. Pixels that
              are moved out of the image do not affect y, so their gradient is 0
    Source    Zhao et al. 2020, arXiv:2006.10738 (translation, by up to 1/8 of the size)
    """

    def __init__(self, pixels, rng=None):
        self.check_sizes(pixels=pixels)
        self.pixels = pixels
        super().__init__(rng)

    def draw(self, shape, rng):
        return xp.stack([asarray(rng.integers(2 * self.pixels + 1, size=(shape[0], 1, 1))) for _ in range(2)])

    def transform(self, x, start):
        (N, H, W, C), p = x.shape, self.pixels
        framed = xp.zeros((N, H + 2 * p, W + 2 * p, C), x.dtype)
        framed[:, p:p + H, p:p + W] = x
        row = xp.arange(H).reshape(1, H, 1) + start[0]                 # (N, H, 1) = (1, H, 1) + (N, 1, 1)
        column = xp.arange(W) + start[1]                               # (N, 1, W) = (W,) + (N, 1, 1)
        image = xp.arange(N).reshape(N, 1, 1)
        pixel = (image * (H + 2 * p) + row) * (W + 2 * p) + column     # (N, H, W): its number among all pixels of all images
        return xp.take(framed.reshape(-1, C), pixel, axis=0)

    def adjoint(self, dy, start):
        return self.transform(dy, 2 * self.pixels - start)


class Brightness(Augmentation):
    """Every image becomes brighter or darker by one number, drawn evenly from -strength to strength.

    Shapes    x, y (N, H, W, C)
    Forward   y = x + b,  b ~ U(-strength, strength), one number an image
    Backward  dx = dy
    Double    u = v      s: none
    Why       b does not depend on x
    Source    Zhao et al. 2020, arXiv:2006.10738 (there strength is 0.5, for pixels in [-1, 1])
    """

    def __init__(self, strength, rng=None):
        self.check_numbers(strength=strength)
        if not 0 <= strength < float("inf"):
            raise ValueError(f"{self}: strength must be a number of at least 0, got {strength!r}")
        self.strength = float(strength)
        super().__init__(rng)

    def draw(self, shape, rng):
        return self.strength * (2 * asarray(rng.random((shape[0], 1, 1, 1), dtype="float32")) - 1)

    def transform(self, x, b):
        return x + b.astype(x.dtype)

    def adjoint(self, dy, b):
        return dy

    def double_backward(self, v, dy, cache):
        return v, None                         # not transform(v): dx = dy does not contain b


class Cutout(Augmentation):
    """In every image a rectangle is set to zero: `share` of its height and of its width, rounded to pixels and centred on any
    pixel. So a share of 0.5 removes at most a quarter of the area.

    Shapes    x, y (N, H, W, C)
    Forward   y = mask · x, with mask 0 in the rectangle and 1 elsewhere; near the edge a part of it falls outside
    Backward  dx = mask · dy
    Why       the mask is a constant factor for each pixel, as in Dropout; its matrix is diagonal, so T* = T
    Source    DeVries & Taylor 2017, arXiv:1708.04552; Zhao et al. 2020, arXiv:2006.10738 (there share is 0.5)
    """

    def __init__(self, share, rng=None):
        self.check_numbers(share=share)
        if not 0 < share <= 1:
            raise ValueError(f"{self}: share must be above 0 and at most 1, got {share!r}")
        self.share = float(share)
        super().__init__(rng)

    def draw(self, shape, rng):
        N, H, W, _ = shape
        rows = self.cut(H, asarray(rng.integers(H, size=(N, 1, 1, 1))), (H, 1, 1))
        columns = self.cut(W, asarray(rng.integers(W, size=(N, 1, 1, 1))), (W, 1))
        return 1 - rows * columns                                      # (N, H, W, 1) of (N, H, 1, 1) and (N, 1, W, 1)

    def cut(self, size, centre, shape) -> Array:
        """1 where the rectangle is, along one axis, else 0."""
        length = int(self.share * size + 0.5)
        place = xp.arange(size).reshape(shape) - centre + length // 2
        return ((place >= 0) & (place < length)).astype("float32")

    def transform(self, x, mask):
        return mask.astype(x.dtype) * x

    adjoint = transform                        # T* = T
