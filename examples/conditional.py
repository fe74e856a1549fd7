"""A conditional GAN: it draws the digit that it is asked for. Does it obey, and does the noise still matter?

    python examples/conditional.py          under a minute; leaves conditional.png and confusion.png in runs/conditional

G gets the label behind its noise, D behind the pixels (Mirza & Osindero 2014, arXiv:1411.1784). D never sees an image without
its label, real or fake, so what it learns is whether the two belong together as they do in the data. To a G that draws a
perfect 3 when it was asked for a 5, D answers "fake", and the gradient leads to a 5. Nobody tells D about wrong labels: the
fakes of a G that does not obey yet are its examples.

Three questions at the end, none of which the losses answer:

    does it obey?                    a classifier, trained on real digits, is asked what the samples are
    does the noise matter?           how much the samples of one class differ, beside real ones; a G that has learned ten
                                     pictures by heart would obey perfectly, with a variety of 0 %
    does D look at the label?        its mean score of real digits with their own labels, and with wrong ones
"""
try:
    import lesson
    import numpy as np

    import minigan as mg
    from minigan import metrics, plots
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None

BATCH = 64
LR = 6e-4
AVERAGE = 0.99          # G's parameters circle around a good place; their average over the last 100 steps or so lies in it
CLASSES = 10


def main():
    args = lesson.arguments(__doc__, "conditional", steps=(2000, 1, "training steps"),
                            seed=(0, 0, "of the weights, the batches and the noise"))
    x, labels = mg.datasets.digits()
    gan = trained_gan(args, x, labels)

    samples, asked = mg.to_numpy(gan.sample(2000, seed=args.seed)), np.arange(2000) % CLASSES      # 0, 1 ... 9, 0, 1 ...
    judge = metrics.Classifier(x, labels)
    taken_for = judge.probabilities(samples).argmax(axis=1)
    confusion = np.array([np.bincount(taken_for[asked == k], minlength=CLASSES) for k in range(CLASSES)])
    report(confusion, variety(samples, asked) / variety(x, labels))
    print(f"as asked: {(taken_for == asked).mean():.1%} of {len(samples)} samples "
          f"(of held-out real digits the classifier gets {judge.accuracy:.1%} right)")
    print(f"variety within a class: {variety(samples, asked).mean() / variety(x, labels).mean():.0%} of that of real digits")
    own, wrong = (mean_score(gan, x, given) for given in (labels, (labels + 1) % CLASSES))
    print(f"D's mean score of real digits: {own:.2f} with their own labels, {wrong:.2f} with wrong ones")

    # One noise for each row: two samples in a row differ by their label alone, two in a column by their noise alone.
    z = np.repeat(mg.to_numpy(gan.noise(8, mg.rng([args.seed, 2]))), CLASSES, axis=0)              # (80, 100)
    digits = mg.asarray(np.tile(np.arange(CLASSES), 8))
    grid = gan.G_average(gan.with_labels(mg.asarray(z), digits))
    save_pictures(args.out, mg.to_numpy(grid), confusion)
    print(f"wrote {args.out / 'conditional.png'} and {args.out / 'confusion.png'}")


def trained_gan(args, x, labels):
    host, noise = mg.host_rng(args.seed), mg.rng([args.seed, 1])
    # G takes 100 numbers of noise and 10 of a one-hot label; D takes images of 1 + 10 channels, the label at every pixel.
    G, D = mg.models.build("mlp_gan", host, x.shape[1:], classes=CLASSES)
    gan = mg.GAN(G, D, mg.losses.LeastSquares(), mg.optimizers.Adam(LR), mg.optimizers.Adam(LR), classes=CLASSES,
                 average=AVERAGE)
    for step in range(1, args.steps + 1):
        i = host.integers(len(x), size=BATCH)
        # The fakes are asked to be what the real ones of the batch are: the same labels for both.
        loss_D, loss_G = gan.train_step(mg.asarray(x[i]), gan.noise(BATCH, noise), mg.asarray(labels[i]))
        if step % max(1, args.steps // 5) == 0:
            print(f"step {step:5d}   loss_D {float(loss_D):.3f}   loss_G {float(loss_G):.3f}")
    return gan


def variety(x, labels):
    """(10,): the standard deviation of a pixel within each class, as a mean over the pixels."""
    return np.array([x[labels == k].std(axis=0).mean() for k in range(CLASSES)])


def mean_score(gan, x, labels):
    logits, _ = gan.discriminate(mg.asarray(x), mg.asarray(labels))
    return float(logits.mean())


def report(confusion, variety):
    print("\nasked   taken for" + "".join(f"{k:5d}" for k in range(CLASSES)) + "   as asked   variety")
    for k, row in enumerate(confusion):
        counts = "".join(f"{count or '.':>5}" for count in row)
        print(f"{k:5d}            {counts}   {row[k] / row.sum():8.1%}   {variety[k]:7.0%}")
    print()


def save_pictures(out, grid, confusion):
    figure, [ax] = lesson.panels("one noise for each row, one label for each column", width=6.4, height=5.4)
    lesson.images(ax, grid, columns=CLASSES)
    side = grid.shape[2] + 1                           # of an image with its margin
    ax.set_xticks(side * (np.arange(CLASSES) + 0.5), [f'"{k}"' for k in range(CLASSES)])
    ax.set_ylabel("eight noises", fontsize=9, color="0.4")
    plots.save_picture(out / "conditional.png", plots.rasterize(figure))

    figure, [ax] = lesson.panels("what the classifier takes the samples for, % of a row", width=5.6, height=5.2)
    percent = 100 * confusion / confusion.sum(axis=1, keepdims=True)
    ax.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    for (row, column), value in np.ndenumerate(percent):
        if value >= 0.05:
            ax.text(column, row, f"{value:.3g}", ha="center", va="center", fontsize=8, color="white" if value > 50 else "0.2")
    ax.set(xticks=range(CLASSES), yticks=range(CLASSES), xlabel="taken for", ylabel="asked")
    plots.save_picture(out / "confusion.png", plots.rasterize(figure))


if __name__ == "__main__":
    main()
