"""The patches of images as rows of a matrix: im2col writes them there, and col2im, its adjoint, adds them back.

What the two are for, and what makes them adjoint, is in convolution.py. A kernel of K x K taps moves over the padded image in
steps of S; at position (oh, ow) it sees the patch whose first pixel is (oh·S, ow·S). `top` and `left` are the zeros above the
image and left of it.

    im2col    cols[n, oh, ow, i, j, c] = padded[n, oh·S + i, ow·S + j, c]
    col2im    padded[n, h, w, c] = Σ cols[n, oh, ow, i, j, c] over all with oh·S + i = h and ow·S + j = w; then the frame of
              zeros is cut off
"""
from minigan.backend import Array, xp
from minigan.engine import accelerated
from minigan.padding import pad_and_count


def im2col(x: Array, kernel_size: int, stride: int, padding: str | int) -> Array:
    """Every patch of the images as a row: x (N, H, W, C) -> (N·OH·OW, K·K·C)."""
    top, _, OH = pad_and_count(x.shape[1], kernel_size, stride, padding)
    left, _, OW = pad_and_count(x.shape[2], kernel_size, stride, padding)
    return gather(x, kernel_size, stride, top, left, OH, OW)


def col2im(cols: Array, shape: tuple[int, ...], kernel_size: int, stride: int, padding: str | int) -> Array:
    """The adjoint of im2col: adds every row, as a patch, into images of `shape`: (N·OH·OW, K·K·C) -> (N, H, W, C)."""
    top, _, OH = pad_and_count(shape[1], kernel_size, stride, padding)
    left, _, OW = pad_and_count(shape[2], kernel_size, stride, padding)
    return scatter_add(cols, shape, kernel_size, stride, top, left, OH, OW)


@accelerated
def gather(x, K, S, top, left, OH, OW):
    (N, H, W, C), tall, wide = x.shape, (OH - 1) * S + K, (OW - 1) * S + K         # the part of the frame that patches reach
    if top or left or tall > H or wide > W:
        padded = xp.zeros((N, max(tall, top + H), max(wide, left + W), C), x.dtype)
        padded[:, top:top + H, left:left + W] = x
        x = padded
    n, h, w, c = x.strides                             # bytes from one image, row, pixel, channel to the next
    patches = xp.lib.stride_tricks.as_strided(x, (N, OH, OW, K, K, C), (n, S * h, S * w, h, w, c))     # a view of x
    return patches.reshape(N * OH * OW, K * K * C)     # here it is copied (unless K = S = 1)


@accelerated
def scatter_add(cols, shape, K, S, top, left, OH, OW):
    (N, H, W, C), tall, wide = shape, (OH - 1) * S + K, (OW - 1) * S + K
    patches = cols.reshape(N, OH, OW, K, K, C)
    rows = xp.zeros((N, max(tall, top + H), OW, K, C), cols.dtype)
    for i in range(K):                                 # row i of all patches at once; among these none overlap
        rows[:, i:i + OH * S:S] += patches[:, :, :, i]
    x = xp.zeros((N, rows.shape[1], max(wide, left + W), C), cols.dtype)
    for j in range(K):                                 # then their columns, in the same way
        x[:, :, j:j + OW * S:S] += rows[:, :, :, j]
    return x[:, top:top + H, left:left + W]
