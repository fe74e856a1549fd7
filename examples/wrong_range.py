"""Data in [0, 1] for a generator that ends in tanh: it trains, without an error, and pays for it with every pixel.

    python examples/wrong_range.py      about 5 s; leaves range.png in runs/wrong_range

pixels / 255 lie in [0, 1], tanh in [-1, 1]. So half of what G can say is impossible in the data, and D tells a fake by the
first pixel below 0. And paper, half of each image, has the value 0, in the middle of tanh, where the smallest change of a
weight shows. At -1 tanh is flat: whatever is negative enough is paper. The right scaling is pixels / 127.5 - 1.
"""
try:
    import lesson
    import numpy as np

    import minigan as mg
    from minigan import metrics, plots
    from minigan.training.doctor import Doctor
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None

BATCH = 64


def main():
    args = lesson.arguments(__doc__, "wrong_range", steps=(1000, 1, "training steps of each GAN"),
                            seed=(0, 0, "of weights, noise and batches"))
    x, labels = mg.datasets.digits()                   # in [-1, 1], paper -1
    judge = metrics.Classifier(x, labels, epochs=30)   # sees every image in [-1, 1]

    wrong, said = train((x + 1) / 2, args)
    right, silence = train(x, args)

    below = [(images < paper - 0.02).mean() for images, paper in ((wrong, 0), (right, -1))]
    lesson.compare("pixels below the paper, which the data never are", *(f"{share:.0%}" for share in below))
    lesson.compare("share of samples whose digit a classifier is sure of (p > 0.9)",
                   *(f"{judge.verdict(images).confident:.0%}" for images in (np.clip(2 * wrong - 1, -1, 1), right)))
    print("  what minigan.training.doctor says of the wrong one:", *said)
    print("  and of the right one:", *silence or ["nothing"])
    figure, axes = lesson.panels("wrong: data in [0, 1], paper is 0, grey", "right: data in [-1, 1], paper is -1, black")
    for ax, fakes in zip(axes, (wrong, right)):
        lesson.images(ax, fakes[:36])
    path = args.out / "range.png"
    plots.save_picture(path, plots.rasterize(figure))
    print(f"wrote {path}")


def train(x, args):
    """1000 samples of a small GAN trained on x, and what the doctor has to say about it."""
    host, noise, doctor = mg.host_rng(args.seed), mg.rng([args.seed, 1]), Doctor()
    gan = mg.GAN(*lesson.small_networks(host), mg.losses.NonSaturating(), mg.optimizers.Adam(1e-3), mg.optimizers.Adam(1e-3))
    sentences = []
    for step in range(1, args.steps + 1):
        real, z = mg.asarray(x[host.integers(len(x), size=BATCH)]), gan.noise(BATCH, noise)
        gan.train_step(real, z)
        if step % 100 == 0 or step == args.steps:
            doctor.look(gan, real, z)
            sentences += doctor.advice()
    return mg.to_numpy(gan.sample(1000, args.seed)), sentences


if __name__ == "__main__":
    main()
