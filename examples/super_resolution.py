"""Super-resolution: a large image of a small one, and what it costs to make it look real.

    python examples/super_resolution.py                        4x4 pixels to 16x16: about 20 s; leaves super_resolution.png
    python examples/super_resolution.py --factor 2             8x8 pixels to 16x16
    python examples/super_resolution.py --upsampling resize    UpSample2D and a convolution in place of PixelShuffle

Two generators start from the same weights and see the same batches. The first is trained on the L1 error alone, the second has
a discriminator as well. Both are measured on digits that no training step has seen, in two ways:

    PSNR        how near each pixel is to the true one: higher is nearer, and 6 dB are half the error
    sharpness   how much neighbouring pixels differ, as a share of what they differ in the true images: 100 % is right

At 4 x many digits fit the same 16 grey values. L1 alone paints what lies between them, a little grey; D sends that back, so
the second generator decides. Its images are sharper, and where it decided wrongly they are further from the truth: its PSNR is
lower. Nearly nothing is in doubt at 2 x, and there D has nearly nothing to say.

(The bundled digits have 8x8 pixels. Here they are enlarged to 16x16, and their soft edges are made steep by a tanh.)
"""
try:
    import lesson
    import numpy as np

    import minigan as mg
    from minigan.layers import Conv2D, LeakyReLU, PixelShuffle, ReLU, Residual, Sequential, Tanh, UpSample2D
    from minigan.metrics import psnr
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None

SIZE = 16
BATCH = 32
F = 32                  # channels inside G


def main():
    args = lesson.arguments(__doc__, "super_resolution", steps=(1500, 1, "training steps of each generator"),
                            seed=(0, 0, "of the weights and the batches"), factor=(4, [2, 4], "how much larger"),
                            upsampling=("subpixel", ["subpixel", "resize"], "how G enlarges: subpixel or resize"),
                            adversarial=(0.3, 0, "weight of D's opinion, beside 1 for the L1 error"))
    high, labels = lesson.large_digits(SIZE)
    low = mg.datasets.resize(high, SIZE // args.factor)                 # averages over all pixels covered
    train, test = np.split(mg.host_rng(args.seed).permutation(len(high)), [1500])

    source, truth = mg.asarray(low[test]), high[test]
    made = {"nearest neighbour": mg.to_numpy(UpSample2D(args.factor)(source)), "bilinear": mg.datasets.resize(low[test], SIZE)}
    for name, adversarial in (("L1 alone", 0.0), ("L1 and a discriminator", args.adversarial)):
        print(f"--- {name}")
        G = trained_generator(args, low[train], high[train], adversarial)
        made[name] = mg.to_numpy(G(source))

    print(f"\n{args.factor} x, {len(test)} held-out digits   PSNR       sharpness")
    captions = {}
    for name, images in made.items():
        share = sharpness(images) / sharpness(truth)
        print(f"{name:<30}{psnr(images, truth):6.2f} dB   {share:7.1%}")
        captions[f"{name}: {psnr(images, truth):.1f} dB, sharpness {share:.0%}"] = images

    rows = {f"source, {low.shape[1]}x{low.shape[1]} pixels": low[test], **captions, "truth": truth}
    lesson.save_digits(args.out / "super_resolution.png", rows, labels[test])
    print(f"wrote {args.out / 'super_resolution.png'}")


def trained_generator(args, low, high, adversarial):
    w = dict(rng=mg.host_rng([args.seed, 1]))
    r = args.factor
    G = Sequential(
        Conv2D(1, F, 5, **w), ReLU(),                                   # all at the small size, which is cheap
        Residual(Conv2D(F, F, 3, **w), ReLU(), Conv2D(F, F, 3, **w)),
        *([Conv2D(F, r * r, 3, **w), PixelShuffle(r)] if args.upsampling == "subpixel" else
          [UpSample2D(r), Conv2D(F, 1, 5, **w)]),
        Tanh())
    D = Sequential(                                                     # 16 -> 8 -> 4 -> 2x2 logits, one for each quarter
        Conv2D(1, 16, 4, stride=2, **w), LeakyReLU(0.2),
        Conv2D(16, 32, 4, stride=2, **w), LeakyReLU(0.2),
        Conv2D(32, 64, 4, stride=2, **w), LeakyReLU(0.2),
        Conv2D(64, 1, 3, **w))
    model = mg.Translation(G, D, mg.losses.LeastSquares(), mg.optimizers.Adam(2e-3), mg.optimizers.Adam(1e-3),
                           weight=1.0, adversarial=adversarial)
    host = mg.host_rng([args.seed, 2])

    def batch():
        i = host.integers(len(low), size=BATCH)
        return mg.asarray(low[i]), mg.asarray(high[i])

    lesson.train(model, batch, args.steps)
    return G


def sharpness(x):
    """The mean difference of neighbouring pixels."""
    return np.abs(np.diff(x, axis=1)).mean() + np.abs(np.diff(x, axis=2)).mean()


if __name__ == "__main__":
    main()
