"""Three losses that tutorials show, and what they do: each beside the one to take.

    python examples/wrong_losses.py      about 15 s; leaves three pictures in runs/wrong_losses

All three are looked at in the same experiment: D learns to tell the points of a ring from what an untrained G makes, and G
waits. So D gets better with every step. A good pair of losses makes it a good judge, and still tells G where to go.
"""
import numpy as np

import minigan as mg
from minigan import lesson, metrics, plots
from minigan.losses import LeastSquares, Minimax, NonSaturating, sigmoid

BATCH = 128
LR = 1e-3


class Difference(LeastSquares):
    """Wrong: D minimises mean (a - b)². That is smallest where real and fake get the same score: D learns not to judge."""

    def discriminator(self, logits_real, logits_fake):
        apart = logits_real - logits_fake
        return (apart * apart).mean(), 2 * apart / len(apart), -2 * apart / len(apart)


class SigmoidLeastSquares(LeastSquares):
    """Wrong: D ends in a sigmoid, p = s(logit), and the squares are taken of p. By the chain rule every gradient gets the
    factor s' = p (1 - p), and where D is sure, p near 0 or 1, nothing is left of it."""

    def discriminator(self, logits_real, logits_fake):
        p, q = sigmoid(logits_real), sigmoid(logits_fake)
        value, dp, dq = super().discriminator(p, q)
        return value, dp * p * (1 - p), dq * q * (1 - q)

    def generator(self, logits_fake):
        q = sigmoid(logits_fake)
        value, dq = super().generator(q)
        return value, dq * q * (1 - q)


def main():
    args = lesson.arguments(__doc__, "wrong_losses", steps=(1000, 10, "steps of D"), seed=(0, 0, "of data, weights and noise"))

    print("1. D's loss mean (D(x) - D(G(z)))², against least squares, mean (D(x) - 1)²/2 + mean D(G(z))²/2")
    wrong, right = head_start(Difference(), args), head_start(LeastSquares(), args)
    lesson.compare("D's mean score of real points minus that of fakes, at the end", f"{wrong.gap:.4f}", f"{right.gap:.4f}")
    figure, axes = lesson.panels("wrong: D minimises the difference of its scores", "right: D pulls them to 1 and 0")
    for ax, trace in zip(axes, (wrong, right)):
        ax.plot(trace.score_real, color=plots.REAL, label="real")
        ax.plot(trace.score_fake, color=plots.FAKE, label="fake")
        ax.set(xlabel="steps of D", ylabel="D's mean score", ylim=(-0.4, 1.4))
        ax.legend()
    axes[0].text(args.steps / 2, 0.1, "both lines, one upon the other", ha="center", color="0.4")
    save(args, "difference.png", figure)

    print("2. a sigmoid between D and the least squares, against none")
    wrong = head_start(SigmoidLeastSquares(), args)
    report(wrong, right, args)
    save(args, "sigmoid.png", steepness(wrong, right, "squares behind a sigmoid", "squares of D's output itself"))

    # No mistake in mathematics, but a game that G cannot start to play; the paper that has it says so itself.
    print("3. G minimises log(1 - D(G(z))), the minimax game as it is written, against maximising log D(G(z))")
    wrong, right = head_start(Minimax(), args), head_start(NonSaturating(), args)
    report(wrong, right, args)
    save(args, "minimax.png", steepness(wrong, right, "log(1 - D(G(z))), saturating", "- log D(G(z)), non-saturating"))
    print("In 3, and with other seeds in 2, G recovers: Adam divides by the size of the gradient, and hides that it is small.")
    print("wrote", *(args.out / name for name in ("difference.png", "sigmoid.png", "minimax.png")))


class head_start:
    """D learns for some steps, against a G that stays as it is. Noted before each step:

    score_real, score_fake    D's mean logits
    gradient                  the mean norm of ∂loss_G/∂fake, times N: how hard each fake is pushed
    """

    def __init__(self, loss, args):
        self.host, self.noise = mg.host_rng(args.seed), mg.rng([args.seed, 1])
        self.x, _ = mg.datasets.ring(20_000, self.host)
        self.gan = mg.GAN(*mg.models.toy_mlp(self.host), loss, mg.optimizers.Adam(LR), mg.optimizers.Adam(LR))
        G, D, rows = self.gan.G, self.gan.D, []
        for _ in range(args.steps + 1):
            real, z = self.batch()
            fake = G(z)
            logits_real, cache_real = D.forward(real)
            logits_fake, cache_fake = D.forward(fake)

            _, dlogits = loss.generator(logits_fake)                   # how G would be pushed now
            dfake = D.backward(dlogits, cache_fake, param_grads=False)
            norms = (dfake * dfake).sum(axis=1) ** 0.5
            rows.append([float(value.mean()) for value in (logits_real, logits_fake, BATCH * norms)])

            _, dlogits_real, dlogits_fake = loss.discriminator(logits_real, logits_fake)
            D.zero_grad()
            D.backward(dlogits_real, cache_real, input_grad=False)
            D.backward(dlogits_fake, cache_fake, input_grad=False)
            self.gan.optimizer_D.step()
        self.score_real, self.score_fake, self.gradient = np.array(rows).T
        self.gap = self.score_real[-1] - self.score_fake[-1]

    def batch(self):
        return mg.asarray(self.x[self.host.integers(len(self.x), size=BATCH)]), self.gan.noise(BATCH, self.noise)

    def go_on(self, steps):
        """Then G joins in: the modes that it finds, and the share of its points near one."""
        for step in range(steps):
            self.gan.optimizer_D.lr = self.gan.optimizer_G.lr = LR * min(1.0, 2 * (1 - step / steps))
            self.gan.train_step(*self.batch())
        found = metrics.modes(mg.to_numpy(self.gan.sample(2500, seed=0)), mg.datasets.ring_centres(), sigma=0.01)
        return f"{found.modes}, {found.high_quality:.0%}"

    def slope(self, logit):
        """|∂loss_G/∂logit| of a fake with this logit."""
        return abs(float(self.gan.loss.generator(mg.asarray(np.array([[logit]], "float32")))[1][0, 0]))


def report(wrong, right, args):
    lesson.compare("D's mean logit for the fakes, at the end", *(f"{run.score_fake[-1]:.1f}" for run in (wrong, right)))
    lesson.compare("the slope of G's loss there", *(f"{run.slope(run.score_fake[-1]):.2g}" for run in (wrong, right)))
    lesson.compare("the gradient that reaches a fake", *(f"{run.gradient[-1]:.2g}" for run in (wrong, right)))
    steps = args.steps * 3 // 2
    found = [run.go_on(steps) for run in (wrong, right)]
    lesson.compare(f"modes of 8 after {steps} more steps of both; points within 3 sigma", *found)


def steepness(wrong, right, name_wrong, name_right):
    """The cause on the left: G's slope for each logit; the effect on the right: the gradient that reaches the fakes."""
    figure, (cause, effect) = lesson.panels("the slope of G's loss; the dot is where D puts the fakes in the end",
                                            "the gradient that reaches the fakes, while D learns")
    logits = np.linspace(-12, 8, 401)
    for run, name, colour in ((wrong, f"wrong: {name_wrong}", lesson.WRONG), (right, f"right: {name_right}", lesson.RIGHT)):
        cause.plot(logits, [run.slope(logit) for logit in logits], color=colour, label=name)
        cause.plot(run.score_fake[-1], run.slope(run.score_fake[-1]), "o", color=colour, markersize=9)
        effect.semilogy(run.gradient, color=colour, linewidth=1, label=name)
    cause.set(xlabel="D's logit for the fake", ylabel="|∂loss_G / ∂logit|", ylim=(-0.05, 1.6))
    effect.set(xlabel="steps of D", ylabel="mean norm of ∂loss_G / ∂fake, times N")
    for ax in (cause, effect):
        ax.grid(color="0.93")
    cause.legend(fontsize=8, loc="upper right")
    return figure


def save(args, name, figure):
    plots.save_picture(args.out / name, plots.rasterize(figure))


if __name__ == "__main__":
    main()
