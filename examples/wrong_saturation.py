"""Losses that are flat just where G needs them: the surer D is of the fakes, the less G learns.

    python examples/wrong_saturation.py      about 15 s; leaves sigmoid.png and minimax.png in runs/wrong_saturation

By the chain rule all that G hears of its loss goes through ∂loss_G/∂logit. Two losses that tutorials show let this slope go to
0 where D is sure that an image is a fake. That is where each GAN begins: the first fakes are easy to tell.

    a sigmoid before least squares    the squares are taken of p = s(logit), and s' = p (1 - p) is near 0 at both ends
    log(1 - D(G(z)))                  the minimax game as it is written. No mistake in mathematics, but a game that G cannot
                                      start to play; the paper that has it says so itself (Goodfellow et al. 2014, section 3)

Each stands beside the one to take: least squares of D's output itself, and - log D(G(z)). First D gets a head start, and
learns to tell the points of a ring from what an untrained G makes; then G joins in. In the second game, and with some seeds in
the first, G recovers all the same: Adam divides by the size of the gradient, and hides that it is small.
"""
try:
    import lesson
    import numpy as np

    import minigan as mg
    from minigan import metrics, plots
    from minigan.losses import LeastSquares, Minimax, NonSaturating, sigmoid
    from minigan.training import schedules
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None


class SigmoidLeastSquares(LeastSquares):
    """Wrong: D ends in a sigmoid, p = s(logit). By the chain rule every gradient gets the factor s' = p (1 - p)."""

    def discriminator(self, logits_real, logits_fake):
        p, q = sigmoid(logits_real), sigmoid(logits_fake)
        value, dp, dq = super().discriminator(p, q)
        return value, dp * p * (1 - p), dq * q * (1 - q)

    def generator(self, logits_fake):
        q = sigmoid(logits_fake)
        value, dq = super().generator(q)
        return value, dq * q * (1 - q)


GAMES = [("sigmoid.png", "a sigmoid between D and the least squares, against none", SigmoidLeastSquares(), LeastSquares(),
          "squares behind a sigmoid", "squares of D's output itself"),
         ("minimax.png", "G minimises log(1 - D(G(z))), against maximising log D(G(z))", Minimax(), NonSaturating(),
          "log(1 - D(G(z))), saturating", "- log D(G(z)), non-saturating")]


def main():
    args = lesson.arguments(__doc__, "wrong_saturation", steps=(1000, 10, "steps of D alone"),
                            seed=(0, 0, "of data, weights and noise"))
    steps = args.steps * 3 // 2
    for name, question, wrong, right, name_wrong, name_right in GAMES:
        print(question)
        runs = [lesson.HeadStart(loss, args.steps, args.seed) for loss in (wrong, right)]
        lesson.compare("D's mean logit for the fakes, at the end", *(f"{run.score_fake[-1]:.1f}" for run in runs))
        lesson.compare("the slope of G's loss there", *(f"{slope(run, run.score_fake[-1]):.2g}" for run in runs))
        lesson.compare("the gradient that reaches a fake", *(f"{run.gradient[-1]:.2g}" for run in runs))
        figure = steepness(runs, (f"wrong: {name_wrong}", f"right: {name_right}"))
        plots.save_picture(args.out / name, plots.rasterize(figure))
        found = [go_on(run, steps) for run in runs]
        lesson.compare(f"modes of 8 after {steps} more steps of both; points within 3 sigma",
                       *(f"{modes.modes}, {modes.high_quality:.0%}" for modes in found))
    print("wrote", *(args.out / name for name, *_ in GAMES))


def slope(run, logit):
    """|∂loss_G/∂logit| of a fake with this logit."""
    _, dlogits = run.gan.loss.generator(mg.asarray(np.array([[logit]], "float32")))
    return abs(float(dlogits[0, 0]))


def go_on(run, steps):
    """Then G joins in: the modes that it finds."""
    falling = schedules.constant_then_linear(1, 0, steps)
    lr = run.gan.optimizer_D.lr
    for step in range(steps):
        run.gan.optimizer_D.lr = run.gan.optimizer_G.lr = lr * falling(step)
        run.gan.train_step(*run.batch())
    return metrics.modes(mg.to_numpy(run.gan.sample(2500, seed=0)), mg.datasets.ring_centres(), sigma=0.01)


def steepness(runs, names):
    """The cause on the left: G's slope for each logit; the effect on the right: the gradient that reaches the fakes."""
    figure, (cause, effect) = lesson.panels("the slope of G's loss; the dot is where D puts the fakes in the end",
                                            "the gradient that reaches the fakes, while D learns")
    logits = np.linspace(-12, 8, 401)
    for run, name, colour in zip(runs, names, (lesson.WRONG, lesson.RIGHT)):
        cause.plot(logits, [slope(run, logit) for logit in logits], color=colour, label=name)
        cause.plot(run.score_fake[-1], slope(run, run.score_fake[-1]), "o", color=colour, markersize=9)
        effect.semilogy(run.gradient, color=colour, linewidth=1, label=name)
    cause.set(xlabel="D's logit for the fake", ylabel="|∂loss_G / ∂logit|", ylim=(-0.05, 1.6))
    effect.set(xlabel="steps of D", ylabel="mean norm of ∂loss_G / ∂fake, times N")
    for ax in (cause, effect):
        ax.grid(color="0.93")
    cause.legend(fontsize=8, loc="best")
    return figure


if __name__ == "__main__":
    main()
