"""Inpainting: a hole in an image, filled with what fits to its surroundings.

    python examples/inpainting.py          about 20 s; leaves inpainting.png in runs/inpainting

G gets the image with a hole, and the mask, 1 where the hole is. Its last layer, FillIn, takes G's painting inside the hole and
the image around it, so the known pixels are not only kept nearly: they stay, bit for bit. D sees whole digits, filled or true.

The error is measured inside the holes of digits that no training step has seen, against two guesses that take no network: the
colour of the paper, and the mean of all training images at that place (of all fillings that do not look at the image, the one
with the smallest squared error). --adversarial 0 trains without D, on the L1 error alone: compare the numbers.
"""
try:
    import lesson
    import numpy as np

    import minigan as mg
    from minigan.layers import Conv2D, ConvTranspose2D, FillIn, LeakyReLU, ReLU, Residual, Sequential, Tanh
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None

SIZE, HOLE = 16, 8
BATCH = 32
F = 32                  # channels inside G


def main():
    args = lesson.arguments(__doc__, "inpainting", steps=(1500, 1, "training steps"),
                            seed=(0, 0, "of the weights, the batches and the holes"),
                            adversarial=(0.1, 0, "weight of D's opinion, beside 1 for the L1 error"))
    host = mg.host_rng(args.seed)
    x, labels = lesson.large_digits(SIZE)
    train, test = np.split(host.permutation(len(x)), [1500])

    w = dict(rng=host)
    G = Sequential(FillIn(                                              # image and mask: two channels
        Conv2D(2, F, 4, stride=2, **w), LeakyReLU(0.2),                 # 8
        Conv2D(F, 2 * F, 4, stride=2, **w), LeakyReLU(0.2),             # 4: from here on a hole is not too wide to look across
        Residual(Conv2D(2 * F, 2 * F, 3, **w), ReLU(), Conv2D(2 * F, 2 * F, 3, **w)),
        ConvTranspose2D(2 * F, F, 4, stride=2, **w), ReLU(),            # 8
        ConvTranspose2D(F, 1, 4, stride=2, **w), Tanh()))               # 16
    D = Sequential(
        Conv2D(1, 16, 4, stride=2, **w), LeakyReLU(0.2),
        Conv2D(16, 32, 4, stride=2, **w), LeakyReLU(0.2),
        Conv2D(32, 1, 3, **w))                                          # 4x4 logits, each about a patch
    model = mg.Translation(G, D, mg.losses.LeastSquares(), mg.optimizers.Adam(2e-3), mg.optimizers.Adam(1e-3),
                           weight=1.0, adversarial=args.adversarial)

    def batch():
        target = x[train[host.integers(len(train), size=BATCH)]]
        return mg.asarray(with_holes(target, host)), mg.asarray(target)

    lesson.train(model, batch, args.steps)

    truth, source = x[test], with_holes(x[test], mg.host_rng([args.seed, 1]))
    mask = source[..., 1:]
    made = {"paper": fill(source, -1.0), "mean of the training images": fill(source, x[train].mean(axis=0)),
            "G": mg.to_numpy(G(mg.asarray(source)))}
    kept = np.broadcast_to(mask == 0, truth.shape)
    assert np.array_equal(made["G"][kept], truth[kept])
    print(f"\nall {kept.sum():,} known pixels of {len(test)} held-out digits are kept, bit for bit")
    print(f"{'error inside the hole':<32}mean |error|   root mean square")
    captions = {}
    for name, images in made.items():
        error = (images - truth)[mask == 1]
        print(f"{name:<32}{np.abs(error).mean():12.3f}   {np.sqrt((error ** 2).mean()):16.3f}")
        captions[f"filled with {name}: mean error {np.abs(error).mean():.2f}"] = images

    rows = {"source": fill(source, 0.0), **captions, "truth": truth}
    lesson.save_digits(args.out / "inpainting.png", rows, labels[test])
    print(f"wrote {args.out / 'inpainting.png'}")


def with_holes(images, rng):
    """The images (N, SIZE, SIZE, 1), grey (0) in a square somewhere, and as second channel the mask: 1 in that square."""
    mask = np.zeros_like(images)
    for i, (top, left) in enumerate(rng.integers(SIZE - HOLE + 1, size=(len(images), 2))):
        mask[i, top:top + HOLE, left:left + HOLE] = 1
    return np.concatenate([(1 - mask) * images, mask], axis=3)


def fill(source, colour):
    image, mask = source[..., :1], source[..., 1:]
    return mask * np.float32(colour) + (1 - mask) * image


if __name__ == "__main__":
    main()
