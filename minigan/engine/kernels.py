"""im2col and col2im on a GPU: one kernel each, some lines of CUDA (which is C++), for `gather` and `scatter_add` of
minigan/layers/patches.py.

There the lines of NumPy are a few copies and sums of large blocks, which stay in the caches of a CPU. On a GPU each would be a
kernel that gets its numbers from the main memory and puts them back there. With patches of 4 x 4 taps and stride 2, col2im
would then read or write 23 numbers for each number of the image. Five are enough: a tap of each of the 4 patches over it, and
the sum.

The text of a kernel runs once for each element b = out[i] of the result, all side by side. From i it finds out where it is,
the last axis first: the channel is i modulo C, the tap's column i / C modulo K, and so on.

For this, col2im is turned round. A patch must not add itself to the pixels under it, since others do so at the same time; but
a pixel can collect from the patches over it. It does so in the order of the lines of NumPy: even the bits are the same.
"""
import functools

from minigan.backend import array_module, xp

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


def gather(definition, x, K, S, top, left, OH, OW):
    N, H, W, C = x.shape
    cols = xp.empty((N * OH * OW, K * K * C), x.dtype)
    x, out = in_words(xp.ascontiguousarray(x), cols)
    run("im2col", IM2COL, x, out, C=x.shape[3], K=K, S=S, H=H, W=W, OH=OH, OW=OW, top=top, left=left)
    return cols


def in_words(x, cols):
    """(x, cols) seen as arrays of numbers of 16 bytes, complex128, if the channels can be. im2col changes no number, so it may
    take four of float32 at once: a quarter of the elements, each of which has to find out where it is."""
    if x.shape[3] * x.itemsize % 16 or x.data.ptr % 16 or cols.data.ptr % 16:
        return x, cols
    return x.view("complex128"), cols.view("complex128")


def scatter_add(definition, cols, shape, K, S, top, left, OH, OW):
    _, H, W, C = shape
    x = xp.empty(shape, cols.dtype)
    run("col2im", COL2IM, cols, x, C=C, K=K, S=S, H=H, W=W, OH=OH, OW=OW, top=top, left=left)
    return x


def run(name, text, a, out, **sizes):
    """Run the kernel `text` for each element of `out`. The sizes become constants in the text, so the compiler replaces the
    divisions by them, which are slow on a GPU (CUDA C++ Best Practices Guide, on division and modulo)."""
    index = "unsigned int" if max(a.size, out.size) < 2 ** 31 else "long long"
    constants = ", ".join(f"{size} = {value}" for size, value in sizes.items())
    kernel(name, f"typedef {index} Index; const int {constants};{text}")(a, out)


def kernel(name, text):
    """`text`, some lines of CUDA, as a function kernel(a, out). They run once for each element b of the array `out`, which is
    number i of it, all side by side; a[j] are the elements of the array `a`, and T is the type of both. It is compiled at its
    first use."""
    return _kernel(array_module(), name, text)


@functools.cache
def _kernel(module, name, text):
    return module.ElementwiseKernel("raw T a", "T b", text, name)
