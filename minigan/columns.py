"""The patches of images as rows of a matrix: im2col writes them there, and col2im, its adjoint, adds them back.

What the two are for, and what makes them adjoint, stands in minigan/layers/convolution.py. This file is about how the
numbers get from one place to the other.

On a CPU both are a few copies and sums of large blocks, which stay in its caches. On a GPU each such line would be a kernel
that gets its numbers from the main memory and puts them back there: with patches of 4 x 4 taps and stride 2, col2im would
read or write 23 numbers for each number of the image, where 5 are enough: a tap of each of the 4 patches over it, and the
sum. So there each of the two is one kernel, some lines of CUDA (which is C++), run once for each element b = out[i] of the
result, all side by side. From i they find out where they are, the last axis first: the channel is i modulo C, the tap's
column i / C modulo K, and so on.

For this, col2im is turned round. A patch must not add itself to the pixels under it, since others do so at the same time; but
a pixel can collect from the patches over it. It does so in the order of the lines for the CPU: even the bits are the same.
"""
from minigan.backend import device, kernel, xp

IM2COL = """
    Index rest = i;                                    // cols[n, oh, ow, ki, kj, c] = x[n, h, w, c], or 0 outside
    const int c = rest % C;   rest /= C;
    const int kj = rest % K;  rest /= K;
    const int ki = rest % K;  rest /= K;
    const int w = int(rest % OW) * S + kj - left;  rest /= OW;
    const int h = int(rest % OH) * S + ki - top;   rest /= OH;         // and now rest is n
    b = 0 <= h && h < H && 0 <= w && w < W ? a[((rest * H + h) * W + w) * C + c] : T(0);
"""
COL2IM = """
    Index rest = i;                                    // x[n, h - top, w - left, c] = sum of cols[n, oh, ow, ki, kj, c]:
    const int c = rest % C;  rest /= C;
    const int w = int(rest % W) + left;  rest /= W;    // here h and w are those in the padded image
    const int h = int(rest % H) + top;   rest /= H;
    T sum = 0;
    for (int kj = w % S; kj < K && kj <= w; kj += S) { // w = ow S + kj: the same remainder as kj
        const int ow = (w - kj) / S;
        T column = 0;
        for (int ki = h % S; ki < K && ki <= h; ki += S) {
            const int oh = (h - ki) / S;
            if (oh < OH && ow < OW) column += a[((((rest * OH + oh) * OW + ow) * K + ki) * K + kj) * C + c];
        }
        sum += column;
    }
    b = sum;
"""


def pad_and_count(size, K, S, padding):
    """(before, after, outputs) along an axis of `size` pixels: the zeros to add on either side, the kernel's positions."""
    if padding == "same":
        outputs = -(-size // S)                        # ⌈size / S⌉
        total = max((outputs - 1) * S + K - size, 0)
        return total // 2, total - total // 2, outputs
    pad = 0 if padding == "valid" else padding
    return pad, pad, (size + 2 * pad - K) // S + 1


def im2col(x, kernel_size, stride, padding):
    """Every patch of the images as a row: x (N, H, W, C) -> (N·OH·OW, K·K·C)."""
    K, S = kernel_size, stride
    N, H, W, C = x.shape
    top, bottom, OH = pad_and_count(H, K, S, padding)
    left, right, OW = pad_and_count(W, K, S, padding)
    if device() != "cpu":
        cols = xp.empty((N * OH * OW, K * K * C), x.dtype)
        x, wide_cols = wide(x, cols)
        run("im2col", IM2COL, x, wide_cols, C=x.shape[3], K=K, S=S, H=H, W=W, OH=OH, OW=OW, top=top, left=left)
        return cols
    if top or bottom or left or right:
        image, x = x, xp.zeros((N, top + H + bottom, left + W + right, C), x.dtype)
        x[:, top:top + H, left:left + W] = image
    n, h, w, c = x.strides                             # bytes from one image, row, pixel, channel to the next
    patches = xp.lib.stride_tricks.as_strided(x, (N, OH, OW, K, K, C), (n, S * h, S * w, h, w, c))     # a view of x
    return patches.reshape(N * OH * OW, K * K * C)     # here it is copied (unless K = S = 1)


def col2im(cols, shape, kernel_size, stride, padding, out=None):
    """The adjoint of im2col: adds every row, as a patch, into images of `shape`: (N·OH·OW, K·K·C) -> (N, H, W, C).
    They are written into `out`, if it is given."""
    K, S = kernel_size, stride
    N, H, W, C = shape
    top, bottom, OH = pad_and_count(H, K, S, padding)
    left, right, OW = pad_and_count(W, K, S, padding)
    if device() != "cpu":
        x = xp.empty(shape, cols.dtype) if out is None else out
        run("col2im", COL2IM, cols, x, C=C, K=K, S=S, H=H, W=W, OH=OH, OW=OW, top=top, left=left)
        return x
    patches = cols.reshape(N, OH, OW, K, K, C)
    rows = xp.zeros((N, top + H + bottom, OW, K, C), cols.dtype)
    for i in range(K):                                 # row i of all patches at once; among these none overlap
        rows[:, i:i + OH * S:S] += patches[:, :, :, i]
    x = xp.zeros((N, top + H + bottom, left + W + right, C), cols.dtype)
    for j in range(K):                                 # then their columns, in the same way
        x[:, :, j:j + OW * S:S] += rows[:, :, :, j]
    x = x[:, top:top + H, left:left + W]
    if out is None:
        return x
    out[...] = x
    return out


# --- on a GPU ---

def run(name, text, a, out, **sizes):
    """Run the kernel `text` for each element of `out`. The sizes become part of the text: to divide by a number that it knows,
    a compiler needs no division, which is slow on a GPU (CUDA C++ Best Practices Guide, on division and modulo)."""
    index = "unsigned int" if max(a.size, out.size) < 2 ** 31 else "long long"
    constants = ", ".join(f"{size} = {value}" for size, value in sizes.items())
    kernel(name, f"typedef {index} Index; const int {constants};{text}")(a, out)


def wide(x, cols):
    """Both, in one piece of memory each, as numbers of 16 bytes, if possible: im2col only copies, and so it can take several
    channels at once."""
    x = xp.ascontiguousarray(x)
    possible = x.shape[3] * x.itemsize % 16 == 0 and x.data.ptr % 16 == 0
    return (x.view("complex128"), cols.view("complex128")) if possible else (x, cols)
