"""CycleGAN: from one kind of image to another and back, learnt without a single pair.

    python examples/cyclegan.py                               about a minute; leaves cyclegan.png in runs/cyclegan
    python examples/cyclegan.py --paper light                 goes wrong, and the cycle loss falls all the same
    python examples/cyclegan.py --paper light --identity 0    goes well again

A are digits in white on black, B digits in orange ink on dark blue paper. The two come from different handwritten digits, so
for no image of A is the right translation among the images of B. D_B only says whether an image looks like one of B. That the
digit stays the same digit comes from the way back: G_BA has to find the first image again in the second.

The program made B, so it knows what the right translation of a digit would be. The networks never see it; it only measures, on
held-out digits, how far G_AB is from it. Watch the cycle loss fall, and the error with it.

The identity loss wants images of B to stay as G_AB finds them; so G_AB rather keeps what is bright bright. That helps where it
is right. With --paper light B is dark blue on yellow: white has to become blue and black yellow, and there the same wish leads
astray. What is white turns yellow, and blue fills the gaps: the cycle is closed all the same, around a wrong picture. A low
cycle loss says that nothing is lost on the way, not that the translation is right. Without the identity loss most seeds find
the right one, but nothing forces them to: --seed 2 does not.
"""
try:
    import lesson
    import numpy as np

    import minigan as mg
    from minigan.layers import Conv2D, InstanceNorm, LeakyReLU, ReLU, Residual, Sequential, Tanh
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None

SIZE = 16
BATCH = 16
F = 16                                                                  # channels inside the Gs
INK_AND_PAPER = {"dark": ([1.0, 0.6, -0.6], [-0.7, -0.7, 0.1]), "light": ([-0.8, -0.6, 0.2], [1.0, 0.8, 0.0])}


def main():
    args = lesson.arguments(__doc__, "cyclegan", steps=(1000, 1, "training steps"),
                            seed=(0, 0, "of the weights, the batches and the pools"),
                            paper=("dark", ["dark", "light"], "of B: dark or light"),
                            identity=(0.5, 0, "weight of the identity loss, as a part of the cycle loss'"))
    host = mg.host_rng(args.seed)
    x, labels = lesson.large_digits(SIZE)
    a = mg.datasets.to_channels(x, 3)
    ink, paper = np.array(INK_AND_PAPER[args.paper], "float32")
    b = 0.5 * (1 + a) * ink + 0.5 * (1 - a) * paper
    only_a, only_b, test = np.split(host.permutation(len(x)), [750, 1500])           # no digit is in two of them

    model = mg.CycleGAN(generator(host), generator(host), discriminator(host), discriminator(host), mg.losses.LeastSquares(),
                        [mg.optimizers.Adam(1e-3) for _ in range(4)], identity=args.identity, rng=mg.host_rng([args.seed, 1]))

    def batch():
        return mg.asarray(a[host.choice(only_a, BATCH)]), mg.asarray(b[host.choice(only_b, BATCH)])

    rows = lesson.train(model, batch, args.steps)
    print(f"\ncycle loss, of both ways: {rows[0]['cycle']:.3f} at first, {rows[-1]['cycle']:.3f} at the end")

    there = mg.to_numpy(model.G_AB(mg.asarray(a[test])))
    back = mg.to_numpy(model.G_BA(mg.asarray(there)))
    print(f"{len(test)} held-out digits: mean |error| per pixel, in [-1, 1]")
    print(f"  a itself, against the right b   {error(a[test], b[test]):.3f}")
    print(f"  G_AB(a), against the right b    {error(there, b[test]):.3f}")
    print(f"  G_BA(G_AB(a)), against a        {error(back, a[test]):.3f}")

    rows = {"before: a": a[test], f"after: G_AB(a), mean error {error(there, b[test]):.2f}": there,
            "the right b, which no network saw": b[test],
            f"and back: G_BA(G_AB(a)), mean error {error(back, a[test]):.2f}": back}
    lesson.save_digits(args.out / "cyclegan.png", rows, labels[test])
    print(f"wrote {args.out / 'cyclegan.png'}")


def error(x, y):
    return np.abs(x - y).mean()


def generator(rng):
    return Sequential(
        Conv2D(3, F, 3, rng=rng), InstanceNorm(F), ReLU(),
        block(rng), block(rng),
        Conv2D(F, 3, 3, rng=rng), Tanh())


def block(rng):
    return Residual(Conv2D(F, F, 3, rng=rng), InstanceNorm(F), ReLU(), Conv2D(F, F, 3, rng=rng), InstanceNorm(F))


def discriminator(rng):
    return Sequential(
        Conv2D(3, 16, 4, stride=2, rng=rng), LeakyReLU(0.2),
        Conv2D(16, 32, 4, stride=2, rng=rng), InstanceNorm(32), LeakyReLU(0.2),
        Conv2D(32, 1, 3, rng=rng))                                      # 4x4 logits, each about a patch


if __name__ == "__main__":
    main()
