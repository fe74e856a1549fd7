"""A gradient penalty with a pencil: the gradient of a gradient, in a critic of two layers and for one sample.

    python examples/penalty_by_hand.py          a second; leaves penalty_by_hand.png in runs/penalty_by_hand

A critic is a D whose output y is a score, not a probability. Its mean score of real samples minus that of fakes is a distance
between the two only if D is nowhere steeper than 1. So the penalty P = (‖g‖ - 1)² wants the slope of D at x, g = ∂y/∂x, to
have the length 1. How does P change with the weights?

The backward pass that finds g is itself three lines: from dy = 1, up at the score, down to g2 = ∂y/∂a, g1 = ∂y/∂h and g.
They are gone through in reverse, so this time upward, from g to that 1:

    v0, v1, v2    ∂P/∂g, ∂P/∂g1, ∂P/∂g2; each line adds to the weight that stands in it
    u             ∂P/∂(that 1). If D had a layer more, its v would be this; here nothing comes after it
    s             ∂P/∂h. The line g1 = g2 (1 - a²) depends on h, too, through the slope of tanh; s goes down to W1 and b1 like
                  every upstream gradient

A d before a weight means ∂P/∂(that weight).
"""
try:
    import lesson
    import numpy as np

    import minigan as mg
    from minigan import plots
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None

x = np.array([[1.0, 2.0]])
W1, b1 = np.array([[0.5, -0.5], [0.25, 0.5]]), np.array([0.5, 0.0])
W2, b2 = np.array([[2.0], [-1.0]]), np.array([0.5])


def passes():
    """Forward to the score, and back to g, the gradient at x."""
    h = x @ W1 + b1
    a = np.tanh(h)
    y = a @ W2 + b2
    g2 = np.ones((1, 1)) @ W2.T                        # ∂y/∂a, from dy = 1
    g1 = g2 * (1 - a ** 2)                             # ∂y/∂h
    return h, a, y, g2, g1, g1 @ W1.T                  # ∂y/∂x


def penalty():
    return float((np.linalg.norm(passes()[-1]) - 1) ** 2)


def double_backward(a, g2, g1, g):
    """The three lines of the backward pass, from its last to its first; then what entered at h goes down as usual."""
    length = np.linalg.norm(g)
    v0 = 2 * (length - 1) * g / length                 # ∂P/∂g
    v1, dW1 = v0 @ W1, v0.T @ g1                       # g = g1 W1ᵀ
    v2 = v1 * (1 - a ** 2)                             # g1 = g2 · (1 - a²)
    s = v1 * g2 * -2 * a * (1 - a ** 2)                # ... and a = tanh h: (1 - tanh²)' = -2 tanh (1 - tanh²)
    u, dW2 = v2 @ W2, v2.T @ np.ones((1, 1))           # g2 = 1 W2ᵀ
    dW1 = dW1 + x.T @ s                                # h = x W1 + b1, an ordinary backward pass from dh = s
    return {"v0": v0, "v1": v1, "v2": v2, "u": u, "s": s, "W1": dW1, "W2": dW2, "b1": s[0], "b2": np.zeros(1)}


def minigan_gradients():
    D = mg.Sequential(mg.layers.Dense(2, 2, dtype="float64"), mg.layers.Tanh(), mg.layers.Dense(2, 1, dtype="float64"))
    for array, value in ((D[0].W, W1), (D[0].b, b1), (D[2].W, W2), (D[2].b, b2)):
        array[...] = mg.asarray(value)
    D.zero_grad()
    mg.penalties.gradient_norm(D, mg.asarray(x), weight=1.0, target=1.0)
    return {"W1": D[0].dW, "b1": D[0].db, "W2": D[2].dW, "b2": D[2].db}


def show(formula, value, pencil=""):
    for i, row in enumerate(np.atleast_2d(value)):
        print(f"  {formula if i == 0 else '':<36}" + " ".join(f"{number:9.5f}" for number in row)
              + (f"   {pencil}" if pencil and i == 0 else ""))


def main():
    args = lesson.arguments(__doc__, "penalty_by_hand")
    h, a, y, g2, g1, g = passes()
    d = double_backward(a, g2, g1, g)
    print("FORWARD, AND BACK TO x")
    for name, value in (("h = x W1 + b1", h), ("a = tanh h", a), ("y = a W2 + b2", y), ("g2 = 1 W2ᵀ", g2),
                        ("g1 = g2 (1 - a²)", g1), ("g = g1 W1ᵀ", g)):
        show(name, value)
    show("P = (‖g‖ - 1)²", penalty(), f"‖g‖ = {np.linalg.norm(g):.5f}")
    print("\nBACKWARD THROUGH THE BACKWARD PASS")
    show("v0 = 2 (‖g‖ - 1) g/‖g‖", d["v0"], "∂P/∂g")
    show("v1 = v0 W1", d["v1"], "∂P/∂g1: as a forward pass, without the bias")
    show("v2 = v1 (1 - a²)", d["v2"], "∂P/∂g2")
    show("u  = v2 W2", d["u"], "∂P/∂(the 1 at the top)")
    show("s  = v1 g2 (-2a (1 - a²))", d["s"], "∂P/∂h, through the slope of tanh")
    print("\nTHE GRADIENTS")
    show("dW2 = v2ᵀ 1", d["W2"])
    show("dW1 = v0ᵀ g1 + xᵀ s", d["W1"])
    show("db1 = s", d["b1"], "and db2 = 0: it shifts y, and no slope")

    theirs = {name: mg.to_numpy(value) for name, value in minigan_gradients().items()}
    print("\nIS IT TRUE?\n              by hand   differences   apart     minigan   apart")
    for name, array in (("W1", W1), ("b1", b1), ("W2", W2), ("b2", b2)):
        for i, index in enumerate(np.ndindex(array.shape)):
            mine, minigan = d[name][index], theirs[name][index]
            slope, _ = mg.gradcheck.central_difference(penalty, array, i)
            print(f"  {f'd{name}{list(index)}':<10} {mine:9.5f}     {slope:9.5f}   {abs(mine - slope):5.0e}   {minigan:9.5f}"
                  f"   {abs(mine - minigan):5.0e}")

    before = surface()
    for _ in range(60):                                # steps on P alone
        h, a, y, g2, g1, g = passes()
        d = double_backward(a, g2, g1, g)
        for name, array in (("W1", W1), ("b1", b1), ("W2", W2)):
            array -= 0.1 * d[name]
    figure, axes = lesson.panels("D before: too flat at x", "after 60 steps on the penalty", width=4.6, height=3.8)
    for ax, (axis, values, slope) in zip(axes, (before, surface())):
        ax.contourf(axis, axis + 1, values, 24, cmap="viridis")
        ax.contour(axis, axis + 1, values, np.arange(-6, 6, 0.5), colors="white", linewidths=0.6)
        ax.plot(*x[0], "o", color="white")
        ax.annotate("", x[0] + slope, x[0], arrowprops={"arrowstyle": "-|>", "color": "white"})
        ax.text(*(x[0] + [0.1, 0.15]), f"‖g‖ = {np.linalg.norm(slope):.3f}", color="white")
        ax.set(aspect="equal", xlabel="white lines: D's height, in steps of 0.5")
    path = args.out / "penalty_by_hand.png"
    plots.save_picture(path, plots.rasterize(figure))
    print(f"\nwrote {path}")


def surface():
    """(axis, D around x, g)"""
    axis = np.linspace(-1, 3, 80)
    X, Y = np.meshgrid(axis, axis + 1)
    values = np.tanh(np.stack([X, Y], axis=-1) @ W1 + b1) @ W2 + b2
    return axis, values[..., 0], passes()[-1][0]


if __name__ == "__main__":
    main()
