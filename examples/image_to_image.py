"""Paired image translation: G colours grey digits, and each of the ten has a colour of its own.

    python examples/image_to_image.py          about 20 s; leaves image_to_image.png in runs/image_to_image

The training images come in pairs: a grey digit, and the same digit in colour on dark blue paper. The hue stands for the class:
0 is red, 1 orange ... up to 9, pink. No grey value gives it away, only the shape, so to choose the colour G has to see which
digit it is; nobody tells it the labels. D is conditional: it sees the grey digit beside the coloured one, and can reject a
colour that is fine in itself but wrong for this digit.

How many held-out digits get the right colour, the nearest of the ten to what G painted, shows whether that was learnt. A guess
would be right for one in ten. --adversarial 0 trains without D: the numbers stay about the same, for here one answer is right
and the L1 error alone finds it.
"""
try:
    import colorsys

    import lesson
    import numpy as np

    import minigan as mg
    from minigan.layers import Conv2D, ConvTranspose2D, LeakyReLU, ReLU, Residual, Sequential, Tanh
    from minigan.metrics import psnr
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None

SIZE = 16
BATCH = 32
F = 32                                                                  # channels inside G
INKS = np.array([colorsys.hsv_to_rgb(k / 10, 0.75, 1) for k in range(10)], "float32")
PAPER = np.array([0.05, 0.05, 0.25], "float32")


def main():
    args = lesson.arguments(__doc__, "image_to_image", steps=(1500, 1, "training steps"),
                            seed=(0, 0, "of the weights and the batches"),
                            adversarial=(0.05, 0, "weight of D's opinion, beside 1 for the L1 error"))
    host = mg.host_rng(args.seed)
    grey, labels = lesson.large_digits(SIZE)
    colour = painted(grey, INKS[labels])
    train, test = np.split(host.permutation(len(grey)), [1500])

    w = dict(rng=host)
    G = Sequential(
        Conv2D(1, F, 4, stride=2, **w), LeakyReLU(0.2),                 # 8
        Conv2D(F, 2 * F, 4, stride=2, **w), LeakyReLU(0.2),             # 4: from here on it sees the whole digit
        Residual(Conv2D(2 * F, 2 * F, 3, **w), ReLU(), Conv2D(2 * F, 2 * F, 3, **w)),
        Residual(Conv2D(2 * F, 2 * F, 3, **w), ReLU(), Conv2D(2 * F, 2 * F, 3, **w)),
        ConvTranspose2D(2 * F, F, 4, stride=2, **w), ReLU(),            # 8
        ConvTranspose2D(F, 3, 4, stride=2, **w), Tanh())                # 16
    D = Sequential(                                                     # one grey channel and three of colour
        Conv2D(4, 32, 4, stride=2, **w), LeakyReLU(0.2),
        Conv2D(32, 64, 4, stride=2, **w), LeakyReLU(0.2),
        Conv2D(64, 1, 4, padding="valid", **w))                         # one logit, about the whole image
    model = mg.Translation(G, D, mg.losses.LeastSquares(), mg.optimizers.Adam(2e-3), mg.optimizers.Adam(1e-3),
                           weight=1.0, adversarial=args.adversarial, conditional=True)

    def batch():
        i = train[host.integers(len(train), size=BATCH)]
        return mg.asarray(grey[i]), mg.asarray(colour[i])

    lesson.train(model, batch, args.steps)

    made = mg.to_numpy(G(mg.asarray(grey[test])))
    print(f"\n{len(test)} held-out digits           PSNR     right colour")
    rows = {"source": grey[test]}
    for name, images in (("all in the mean colour", painted(grey[test], INKS.mean(axis=0))), ("G", made)):
        right = (nearest_ink(grey[test], images) == labels[test]).mean()
        print(f"{name:<30}{psnr(images, colour[test]):6.2f} dB   {right:6.1%}")
        rows[f"{name}: {psnr(images, colour[test]):.1f} dB, {right:.0%} in the right colour"] = images
    rows["truth"] = colour[test]

    lesson.save_digits(args.out / "image_to_image.png", rows, labels[test])
    print(f"wrote {args.out / 'image_to_image.png'}")


def painted(grey, ink):
    """Each grey digit (N, SIZE, SIZE, 1) in its ink, (N, 3) or one for all (3,), on the paper: (N, SIZE, SIZE, 3)."""
    share = (grey + 1) / 2                                              # of ink in a pixel
    return 2 * (share * ink.reshape(-1, 1, 1, 3) + (1 - share) * PAPER) - 1


def nearest_ink(grey, images):
    """The class whose ink is nearest to the mean colour of the digit's inner pixels: (N,)."""
    inner = grey > 0.8
    ink = ((images + 1) / 2 * inner).sum(axis=(1, 2)) / inner.sum(axis=(1, 2))                  # (N, 3)
    return ((ink[:, None] - INKS) ** 2).sum(axis=2).argmin(axis=1)


if __name__ == "__main__":
    main()
