"""BatchNorm with a pencil: four numbers, forward, and backward twice: stage by stage, and in the closed form.

    python examples/batch_norm_by_hand.py          a second; leaves batch_norm_by_hand.png in runs/batch_norm_by_hand

One channel, a batch of four. y does not change if all x are shifted, nor if all are stretched around their mean. So a loss of
y cannot change either, and its gradient dx has no part along these two directions, (1, 1, 1, 1) and x̂: whatever dy is.
"""
try:
    import lesson
    import numpy as np

    import minigan as mg
    from minigan import plots
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None

x, dy = np.array([1.0, 2.0, 4.0, 9.0]), np.array([1.0, 0.0, -1.0, 2.0])
gamma, beta, eps, M = 2.0, 0.5, 1e-9, 4                # eps is small here, so that y does not feel the scale of x


def forward():
    mean = x.sum() / M
    var = ((x - mean) ** 2).sum() / M                  # divides by M, not by M - 1
    inv_std = (var + eps) ** -0.5
    x_hat = (x - mean) * inv_std
    return mean, var, inv_std, x_hat, gamma * x_hat + beta


def backward_staged(mean, inv_std, x_hat):
    """The five lines of `forward` in reverse."""
    dx_hat = gamma * dy                                # y = gamma x_hat + beta
    dinv_std = (dx_hat * (x - mean)).sum()             # x_hat = (x - mean) inv_std
    dx, dmean = dx_hat * inv_std, -(dx_hat * inv_std).sum()
    dvar = dinv_std * -0.5 * inv_std ** 3              # inv_std = (var + eps)^(-1/2)
    dx = dx + dvar * 2 * (x - mean) / M                # var = Σ (x - mean)²/M
    dx = dx + dmean / M                                # mean = Σ x/M
    return dx_hat, dinv_std, dvar, dmean, dx


def backward_closed(inv_std, x_hat):
    dbeta, dgamma = dy.sum(), (dy * x_hat).sum()
    return dbeta, dgamma, gamma * inv_std * (dy - dbeta / M - x_hat * dgamma / M)


def minigan_gradient():
    layer = mg.layers.BatchNorm(1, eps=eps, dtype="float64")
    layer.gamma[...], layer.beta[...] = gamma, beta
    _, cache = layer.forward(mg.asarray(x.reshape(4, 1)))
    return mg.to_numpy(layer.backward(mg.asarray(dy.reshape(4, 1)), cache)).ravel()


def show(formula, value, pencil=""):
    print(f"  {formula:<46}" + " ".join(f"{number:8.4f}" for number in np.atleast_1d(value)) + f"   {pencil}".rstrip())


def main():
    args = lesson.arguments(__doc__, "batch_norm_by_hand")
    mean, var, inv_std, x_hat, y = forward()
    dx_hat, dinv_std, dvar, dmean, staged = backward_staged(mean, inv_std, x_hat)
    dbeta, dgamma, closed = backward_closed(inv_std, x_hat)
    print("FORWARD")
    show("x", x)
    show("1  mean = Σ x/M", mean, "(1 + 2 + 4 + 9)/4")
    show("2  var = Σ (x - mean)²/M", var, "(9 + 4 + 0 + 25)/4")
    show("3  inv_std = 1/√(var + eps)", inv_std, "1/√9.5")
    show("4  x̂ = (x - mean) inv_std", x_hat, f"-3 · {inv_std:.4f}")
    show("5  y = γ x̂ + β", y)
    print("\nBACKWARD, STAGED")
    show("dy", dy)
    show("5  dx̂ = γ dy", dx_hat)
    show("4  dinv_std = Σ dx̂ (x - mean)", dinv_std, "2·(-3) + 0 + (-2)·0 + 4·5")
    show("3  dvar = -½ inv_std³ dinv_std", dvar)
    show("4  dmean = -inv_std Σ dx̂", dmean)
    show("dx = dx̂ inv_std + dvar 2 (x - mean)/M + dmean/M", staged)
    print("\nBACKWARD, CLOSED")
    show("dβ = Σ dy", dbeta)
    show("dγ = Σ dy x̂", dgamma)
    show("dx = γ inv_std (dy - dβ/M - x̂ dγ/M)", closed)
    show("minigan's dx", minigan_gradient())
    print("\nTHE TWO DIRECTIONS THAT dx CAN NEVER HAVE")
    show("<dx, (1, 1, 1, 1)>", abs(closed.sum()), "a shift of all x does not change y")
    show("<dx, x̂>", abs((closed * x_hat).sum()), "nor does a stretch, up to eps")

    figure, axes = lesson.panels("dy: pulls at y", "its part along (1, 1, 1, 1) is taken out",
                                 "and its part along x̂: dx/(γ inv_std)", width=4.2, height=3.4)
    steps = [dy, dy - dbeta / M, dy - dbeta / M - x_hat * dgamma / M]
    gone = [None, np.full(4, dbeta / M), x_hat * dgamma / M]
    for ax, left, out in zip(axes, steps, gone):
        ax.axhline(0, color="0.6", linewidth=1)
        ax.bar(x, left, width=0.35, color="#2166ac", label="what is left")
        if out is not None:
            ax.bar(x + 0.4, out, width=0.35, color="#f4a582", label="what was taken out")
            ax.legend(fontsize=8)
        ax.set(ylim=(-2.2, 2.4), xticks=x, xlabel="x")
    path = args.out / "batch_norm_by_hand.png"
    plots.save_picture(path, plots.rasterize(figure))
    print(f"\nwrote {path}")


if __name__ == "__main__":
    main()
