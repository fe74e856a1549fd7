"""Spectral normalization: a matrix turns the circle into an ellipse, and is divided by its longer half axis.

    python examples/spectral_norm_by_hand.py          a second; leaves spectral_norm_by_hand.png in runs/spectral_norm_by_hand

A layer y = x W maps all x of length 1, a circle, onto an ellipse. Its longer half axis, sigma, is how much W stretches at
most: the largest singular value. Power iteration finds it: p and q, two unit vectors, each the best for the other, p <- W
q/‖W q‖, q <- Wᵀ p/‖Wᵀ p‖, and sigma = pᵀ W q. W/sigma stretches nothing, so that a D of such layers is nowhere steeper than
1.
"""
try:
    import lesson
    import numpy as np

    import minigan as mg
    from minigan import plots
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None

W = np.array([[1.5, 0.5], [-0.3, 1.0]])


def power_iteration(rounds):
    """(p, q, sigma) after each round, from q = (0, 1)."""
    q, found = np.array([0.0, 1.0]), []
    for _ in range(rounds):
        p = W @ q / np.linalg.norm(W @ q)
        q = W.T @ p / np.linalg.norm(W.T @ p)
        found.append((p, q, p @ W @ q))
    return found


def minigan_sigma():
    layer = mg.layers.SpectralNorm(mg.layers.Dense(2, 2, dtype="float64"), iterations=20, rng=mg.host_rng(0))
    layer.layer.W[...] = mg.asarray(W)
    _, (_, W_hat, *_) = layer.forward(mg.asarray(np.eye(2)))
    return W[0, 0] / float(W_hat[0, 0])


def main():
    args = lesson.arguments(__doc__, "spectral_norm_by_hand")
    found = power_iteration(6)
    print("round         p                 q           sigma")
    for i, (p, q, sigma) in enumerate(found, 1):
        print(f"{i:3d}   ({p[0]:7.4f}, {p[1]:7.4f})  ({q[0]:7.4f}, {q[1]:7.4f})  {sigma:7.4f}")
    print(f"NumPy's largest singular value {np.linalg.svd(W)[1][0]:.4f}, minigan's {minigan_sigma():.4f}")

    p, q, sigma = found[-1]
    angle = np.linspace(0, 2 * np.pi, 200)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    figure, axes = lesson.panels("x of length 1, and p", f"x W: at most {sigma:.2f} long, along q", "x W/sigma: at most 1",
                                 width=3.6, height=3.8)
    for ax, points, arrow in zip(axes, (circle, circle @ W, circle @ W / sigma), (p, sigma * q, q)):
        ax.plot(*circle.T, color="0.8")
        ax.plot(*points.T, color="#2166ac")
        ax.annotate("", arrow, (0, 0), arrowprops={"arrowstyle": "-|>", "color": "#b2182b"})
        ax.set(aspect="equal", xlim=(-1.9, 1.9), ylim=(-1.9, 1.9))
    path = args.out / "spectral_norm_by_hand.png"
    plots.save_picture(path, plots.rasterize(figure))
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
