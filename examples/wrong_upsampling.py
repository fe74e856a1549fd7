"""Chequerboards: why a generator with 5 x 5 kernels and stride 2 paints them, and what 4 x 4 kernels or resizing change.

    python examples/wrong_upsampling.py      about 5 s; leaves chequerboard.png in runs/wrong_upsampling

A transposed convolution of stride 2 paints a K x K patch for every pixel, two pixels apart. How many patches cover a pixel?
With K = 4 always 2 x 2. With K = 5 it is 2 or 3 along each axis, in turn: 4, 6 or 9, so pixels are made of unequally many
terms. That is not all: also with K = 4 the four pixels of a 2 x 2 block are made with four different sets of taps, so an
untrained G is rough at the finest scale there is, with either. But with equal numbers of terms training can make the taps
agree. Resizing first and convolving then treats all pixels alike from the start.
Source    Odena, Dumoulin & Olah 2016, "Deconvolution and Checkerboard Artifacts", Distill
"""
try:
    import lesson
    import numpy as np

    import minigan as mg
    from minigan import plots
    from minigan.layers import BatchNorm, Conv2D, ConvTranspose2D, Dense, Flatten, LeakyReLU, Reshape, Sequential, Tanh
    from minigan.plots import Figure
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None

KINDS = {"wrong: 5 x 5, stride 2": 5, "better: 4 x 4, stride 2": 4, "right: resize, then 3 x 3": None}
NETWORKS = 40                           # untrained ones, for the mean


def twice(C, F, kernel_size, rng):
    """The layers that double an image: a transposed convolution, or for kernel_size None resizing and a convolution."""
    if kernel_size is None:
        return [mg.layers.UpSample2D(2), Conv2D(C, F, 3, rng=rng)]
    return [ConvTranspose2D(C, F, kernel_size, stride=2, rng=rng)]


def networks(kernel_size, rng):
    G = Sequential(Dense(32, 4 * 4 * 32, rng=rng), BatchNorm(512, momentum=0.9), LeakyReLU(0.2), Reshape(4, 4, 32),
                   *twice(32, 16, kernel_size, rng), BatchNorm(16, momentum=0.9), LeakyReLU(0.2),
                   *twice(16, 1, kernel_size, rng), Tanh())                                                        # 16
    D = Sequential(Conv2D(1, 16, 4, stride=2, rng=rng), LeakyReLU(0.2), Conv2D(16, 32, 4, stride=2, rng=rng), LeakyReLU(0.2),
                   Flatten(), Dense(512, 1, rng=rng))
    return G, D


def main():
    args = lesson.arguments(__doc__, "wrong_upsampling", steps=(100, 1, "training steps"), seed=(0, 0, "of weights and noise"))
    x, _ = mg.datasets.digits()
    x = mg.datasets.resize(x, 16)                      # smooth images: what is rough in fakes, G has put there

    figure = Figure(figsize=(10.5, 10.5), dpi=100, layout="constrained")
    axes = figure.subplots(3, 3)
    print(f"{'':<28}{'patches':>12}{'unevenness':>12}{'roughness':>12}{'roughness':>12}\n"
          f"{'':<28}{'over a pixel':>12}{'untrained':>12}{'untrained':>12}{f'{args.steps} steps':>12}")
    for column, (name, kernel_size) in zip(axes.T, KINDS.items()):
        counts = overlaps(kernel_size)
        before = untrained(kernel_size, args)
        after = train(x, kernel_size, args)
        print(f"{name:<28}{'/'.join(map(str, np.unique(counts))):>12}{unevenness(before):12.2f}{roughness(before):12.3f}"
              f"{roughness(after):12.3f}")
        column[0].set_title(f"{name}\npatches that cover each pixel", color=lesson.RIGHT if kernel_size is None else
                            lesson.WRONG if kernel_size == 5 else "0.2")
        draw_counts(column[0], counts)
        column[1].set_title("made by an untrained G")
        lesson.images(column[1], before[:9] / abs(before[:9]).max())
        column[2].set_title(f"after {args.steps} training steps")
        lesson.images(column[2], after[:9])
    print(f"{'real digits':<28}{'':36}{roughness(x):12.3f}")
    path = args.out / "chequerboard.png"
    plots.save_picture(path, plots.rasterize(figure))
    print(f"wrote {path}")


def overlaps(kernel_size):
    """How many patches cover each pixel inside a large image: a layer whose weights are all 1 counts them, given ones."""
    layers = twice(1, 1, kernel_size, mg.host_rng(0))
    layers[-1].W = np.ones(layers[-1].W.shape, "float32")
    counts = Sequential(*layers)(mg.asarray(np.ones((1, 8, 8, 1), "float32")))
    return mg.to_numpy(counts)[0, 4:10, 4:10, 0].round().astype(int)


def untrained(kernel_size, args):
    """Two images of each of many generators that have learned nothing."""
    z = mg.rng([args.seed, 1]).standard_normal((2, 32), dtype="float32")
    return np.concatenate([mg.to_numpy(networks(kernel_size, mg.host_rng([args.seed, i]))[0](z)) for i in range(NETWORKS)])


def train(x, kernel_size, args):
    host, noise = mg.host_rng(args.seed), mg.rng([args.seed, 2])
    gan = mg.GAN(*networks(kernel_size, host), mg.losses.NonSaturating(), mg.optimizers.Adam(1e-3), mg.optimizers.Adam(1e-3))
    for _ in range(args.steps):
        gan.train_step(mg.asarray(x[host.integers(len(x), size=32)]), gan.noise(32, noise))
    return mg.to_numpy(gan.sample(200, args.seed))


def unevenness(x):
    """The mean square of the pixels with an odd row and column over that of those with even ones, or its inverse."""
    inside = x[:, 4:-4, 4:-4]
    odd, even = (inside[:, i::2, i::2] ** 2 for i in (1, 0))
    ratio = odd.mean() / even.mean()
    return max(ratio, 1 / ratio)


def roughness(x):
    """The share of the variance in the finest stripes, light, dark, light: (2 x[h] - x[h-1] - x[h+1]) / 4, along both axes."""
    rows = (2 * x[:, 1:-1] - x[:, :-2] - x[:, 2:]) / 4
    columns = (2 * x[:, :, 1:-1] - x[:, :, :-2] - x[:, :, 2:]) / 4
    return ((rows ** 2).mean() + (columns ** 2).mean()) / 2 / x.var()


def draw_counts(ax, counts):
    ax.imshow(counts, cmap="Oranges", vmin=0, vmax=14)
    for (h, w), count in np.ndenumerate(counts):
        ax.text(w, h, count, ha="center", va="center")
    ax.set(xticks=[], yticks=[])


if __name__ == "__main__":
    main()
