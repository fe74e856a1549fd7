"""The loss mean (D(x) - D(G(z)))²: D is trained until it cannot tell real from fake any more.

    python examples/wrong_difference.py      a few seconds; leaves difference.png in runs/wrong_difference

It looks like least squares, and like something to push apart. But D minimises it, and it is smallest, zero, where a real image
and a fake get the same score: D learns not to judge, and what G is told from then on is noise. Least squares give each of the
two an aim of its own: mean (D(x) - 1)²/2 + mean D(G(z))²/2.

Both are shown without G moving: D looks at the points of a ring and at what an untrained G makes, and learns.
"""
try:
    import lesson

    import minigan as mg
    from minigan import plots
    from minigan.losses import LeastSquares
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None


class Difference(LeastSquares):
    """Wrong: D minimises mean (a - b)², a and b the logits of real and fake."""

    def discriminator(self, logits_real, logits_fake):
        apart = logits_real - logits_fake
        return (apart * apart).mean(), 2 * apart / len(apart), -2 * apart / len(apart)


def main():
    args = lesson.arguments(__doc__, "wrong_difference", steps=(1000, 10, "steps of D"),
                            seed=(0, 0, "of data, weights and noise"))
    wrong, right = (lesson.HeadStart(loss, args.steps, args.seed) for loss in (Difference(), mg.losses.LeastSquares()))
    lesson.compare("D's mean score of real points minus that of fakes, at the end", *(
        f"{run.score_real[-1] - run.score_fake[-1]:.4f}" for run in (wrong, right)))

    figure, axes = lesson.panels("wrong: D minimises the difference of its scores", "right: D pulls them to 1 and 0")
    for ax, run in zip(axes, (wrong, right)):
        ax.plot(run.score_real, color=plots.REAL, label="real")
        ax.plot(run.score_fake, color=plots.FAKE, label="fake")
        ax.set(xlabel="steps of D", ylabel="D's mean score", ylim=(-0.4, 1.4))
        ax.legend()
    axes[0].text(args.steps / 2, 0.1, "both lines, one upon the other", ha="center", color="0.4")
    path = args.out / "difference.png"
    plots.save_picture(path, plots.rasterize(figure))
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
