"""A convolution with a pencil: a 4 x 4 image, a 3 x 3 kernel, stride 2, and its transpose. Every number printed.

    python examples/conv_by_hand.py          a second; leaves conv_by_hand.png in runs/conv_by_hand

A convolution is linear: each output is a weighted sum of pixels. So with the image as a vector of 16 numbers and the output as
one of 4, it is a matrix A (4, 16), most of whose entries are zero, and the nine weights stand in each row. Going back through
y = A x is dx = Aᵀ dy, as for every matrix. Aᵀ (16, 4) makes a large image of a small one: that is the transposed convolution.
Aᵀ is called the adjoint of A, as <A x, y> = <x, Aᵀ y> for all x and y, with <a, b> = Σ a·b.
"""
try:
    import lesson
    import numpy as np

    import minigan as mg
    from minigan import plots
    from minigan.layers.convolution import conv, conv_adjoint, conv_weight_grad
    from minigan.layers.patches import im2col
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None

K, S = 3, 2                                            # taps of the kernel, and the stride
x = np.array([[1.0, 0, 2, 1], [0, 1, 0, 3], [2, 0, 1, 0], [1, 2, 0, 1]])
W = np.array([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])
dy = np.array([[1.0, 2], [-1, 1]])


def matrix():
    """A (4, 16): its column j is the output for the image that is 1 at pixel j and 0 elsewhere."""
    A = np.zeros((4, 16))
    for oh in range(2):                                # "same" pads nothing before and one row and column behind
        for ow in range(2):
            for i in range(K):
                for j in range(K):
                    if oh * S + i < 4 and ow * S + j < 4:              # a tap beyond the edge sees a zero
                        A[2 * oh + ow, 4 * (oh * S + i) + ow * S + j] = W[i, j]
    return A


def minigan_numbers():
    """(cols, y, dW, dx) from minigan, whose images are (N, H, W, C)."""
    image, kernel, upstream = (mg.asarray(a) for a in (x.reshape(1, 4, 4, 1), W.reshape(3, 3, 1, 1), dy.reshape(1, 2, 2, 1)))
    found = (im2col(image, K, S, "same"), conv(image, kernel, S, "same"), conv_weight_grad(image, upstream, K, S, "same"),
             conv_adjoint(upstream, kernel, image.shape, S, "same"))
    return [mg.to_numpy(a) for a in found]


def show(name, value, pencil=""):
    for i, row in enumerate(np.atleast_2d(value)):
        numbers = " ".join(f"{number:4.0f}" for number in row)
        print(f"  {name if i == 0 else '':<20}{numbers}   {pencil if i == 0 else ''}".rstrip())


def main():
    args = lesson.arguments(__doc__, "conv_by_hand")
    A, (cols, y, dW, dx) = matrix(), minigan_numbers()
    print("FORWARD")
    show("x", x)
    show("W", W)
    show("cols = im2col(x)", cols, "a row for each patch: rows 0 to 2 and columns 0 to 2 of x")
    show("y = cols W", y.reshape(2, 2), "1·1 + 2·(-1) + 2·1 + 1·(-1): a row of cols times W")
    show("y = A x", (A @ x.ravel()).reshape(2, 2), "the same, with the matrix of the picture")
    print("\nBACKWARD")
    show("dy", dy)
    show("dW = colsᵀ dy", dW.reshape(3, 3), "1·1 + 2·2 + 2·(-1) + 1·1: what each weight saw, times dy")
    show("dx = col2im(dy Wᵀ)", dx.reshape(4, 4), "each dy paints the kernel at its place; where two meet, they add")
    show("dx = Aᵀ dy", (A.T @ dy.ravel()).reshape(4, 4))
    print("\nIS IT TRUE?")
    print(f"  <conv(x), dy> = {np.sum(y.ravel() * dy.ravel()):g}    <x, conv_adjoint(dy)> = {np.sum(x * dx.reshape(4, 4)):g}")
    apart = np.abs(np.concatenate([A @ x.ravel() - y.ravel(), A.T @ dy.ravel() - dx.ravel()])).max()
    print(f"  largest difference between A and minigan: {apart:g}")

    figure, axes = lesson.panels("x, and the patch of y[0, 0]", "y = A x", "A: a row for each output",
                                 "Aᵀ: a row for each pixel", "dx = Aᵀ dy", width=2.9, height=3.6)
    for ax, values in zip(axes, (x, y.reshape(2, 2), A, A.T, dx.reshape(4, 4))):
        ax.imshow(values, cmap="RdBu_r", vmin=-4, vmax=4, aspect="auto" if values.shape == (4, 16) else "equal")
        ax.set(xticks=[], yticks=[])
        for (row, column), value in np.ndenumerate(values):
            ax.text(column, row, f"{value:g}".replace("-", "−"), ha="center", va="center",
                    fontsize=7 if values.size > 16 else 10, color="0.75" if value == 0 else "black")
    axes[0].plot([-0.5, 2.5, 2.5, -0.5, -0.5], [-0.5, -0.5, 2.5, 2.5, -0.5], color="black", linewidth=2)
    path = args.out / "conv_by_hand.png"
    plots.save_picture(path, plots.rasterize(figure))
    print(f"\nwrote {path}")


if __name__ == "__main__":
    main()
