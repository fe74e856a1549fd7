"""Adam with a pencil: its first three steps in one coordinate, with and without bias correction.

    python examples/adam_by_hand.py          a second; leaves adam_by_hand.png in runs/adam_by_hand

m is a running mean of the gradient and v one of its square. Both begin at 0, so the first means are too small: after t steps
their weights add up to 1 - βᵗ, not to 1. Dividing by that mends them. Without it the root of v, whose β is nearer to 1, is too
small by far more than m, and the first steps are several times too long.
"""
try:
    import lesson
    import numpy as np

    import minigan as mg
    from minigan import plots
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None

LR, BETA1, BETA2, EPS = 0.1, 0.9, 0.999, 1e-8
GRADIENTS = (4.0, 2.0, -1.0)


def adam(gradients, corrected):
    """A row (t, gradient, m, v, m̂, v̂, step, θ) for each step from θ = 0."""
    m = v = theta = 0.0
    rows = []
    for t, d in enumerate(gradients, 1):
        m = BETA1 * m + (1 - BETA1) * d
        v = BETA2 * v + (1 - BETA2) * d * d
        m_hat, v_hat = (m / (1 - BETA1 ** t), v / (1 - BETA2 ** t)) if corrected else (m, v)
        step = LR * m_hat / (v_hat ** 0.5 + EPS)
        theta -= step
        rows.append((t, d, m, v, m_hat, v_hat, step, theta))
    return rows


def minigan_thetas():
    network = mg.Sequential(mg.layers.Dense(1, 1, bias=False, dtype="float64"))
    optimizer = mg.optimizers.Adam(LR, BETA1, BETA2, EPS)
    network.theta[...] = 0
    optimizer.bind(network)
    thetas = []
    for d in GRADIENTS:
        network.dtheta[...] = d
        optimizer.step()
        thetas.append(float(network.theta[0]))
    return thetas


def main():
    args = lesson.arguments(__doc__, "adam_by_hand")
    for corrected in (True, False):
        print(f"{'WITH' if corrected else 'WITHOUT'} BIAS CORRECTION"
              f"\n  t  gradient         m         v        m̂         v̂      step         θ")
        for t, d, m, v, m_hat, v_hat, step, theta in adam(GRADIENTS, corrected):
            print(f"  {t}  {d:8.4f}  {m:8.4f}  {v:8.4f}  {m_hat:8.4f}  {v_hat:8.4f}  {step:8.4f}  {theta:8.4f}")
        print()
    print("With a pencil, t = 1: m = 0.1·4 = 0.4, m̂ = 0.4/(1 - 0.9) = 4;  v = 0.001·16 = 0.016, v̂ = 0.016/0.001 = 16;")
    print("step = 0.1·4/√16 = 0.1: the learning rate, whatever the gradient. Without: 0.1·0.4/√0.016 = 0.3162.")
    thetas = minigan_thetas()
    apart = max(abs(theta - row[-1]) for theta, row in zip(thetas, adam(GRADIENTS, True)))
    print(f"\nIS IT TRUE? minigan's θ: {', '.join(f'{theta:.4f}' for theta in thetas)}; apart {apart:.0e}")

    figure, axes = lesson.panels("right: with bias correction", "wrong: without", width=4.8, height=3.6)
    gradients = np.random.default_rng(0).normal(1, 0.3, 60)
    for ax, corrected in zip(axes, (True, False)):
        for scale, colour in ((0.01, "#92c5de"), (1, "#4393c3"), (100, "#053061")):
            steps = [row[-2] for row in adam(scale * gradients, corrected)]
            ax.plot(range(1, 61), steps, color=colour, linewidth=2 / (1 + (scale > 1)), label=f"gradients of about {scale:g}")
        ax.axhline(LR, color="0.6", linestyle=":")
        ax.set(ylim=(0, 0.9), xlabel="step", ylabel="length of the step (lr = 0.1)")
    axes[0].legend(fontsize=8)
    path = args.out / "adam_by_hand.png"
    plots.save_picture(path, plots.rasterize(figure))
    print(f"\nwrote {path}")


if __name__ == "__main__":
    main()
