"""Backpropagation with a pencil: two layers, two samples, every number printed, and three ways to be sure of them.

    python examples/backprop_by_hand.py          a second; leaves backprop_by_hand.png in runs/backprop_by_hand

The network is a discriminator of two Dense layers with a tanh between them. Its inputs are two fakes, and the loss is
the one that a generator minimises in a least squares GAN: D should say 1. A d before a name means the derivative of
this loss: dh is ∂loss/∂h, and has the shape of h. Rows are samples.
"""

try:
    import lesson
    import numpy as np

    import minigan as mg
    from minigan import plots
    from minigan.plots import FancyBboxPatch, Figure
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None

x = np.array([[1.0, 2.0], [-1.0, 1.0]])                             # (N, I) = (2, 2)
W1, b1 = np.array([[0.5, -0.5], [0.25, 0.5]]), np.array([0.5, 0.0])
W2, b2 = np.array([[2.0], [-1.0]]), np.array([0.5])


def forward():
    h = x @ W1 + b1
    a = np.tanh(h)
    y = a @ W2 + b2
    return h, a, y, ((y - 1) ** 2 / 2).mean()


def backward(a, y):
    """The lines of `forward` in reverse: each turns the derivative of its left side into those of its right side."""
    dy = (y - 1) / len(y)                                           # loss = Σ (y - 1)²/2N
    dW2, db2, da = a.T @ dy, dy.sum(axis=0), dy @ W2.T              # y = a W2 + b2
    dh = da * (1 - a ** 2)                                          # a = tanh h, and tanh' = 1 - tanh²
    dW1, db1, dx = x.T @ dh, dh.sum(axis=0), dh @ W1.T              # h = x W1 + b1
    return {"y": dy, "W2": dW2, "b2": db2, "a": da, "h": dh, "W1": dW1, "b1": db1, "x": dx}


def minigan_gradients():
    """The same from minigan's layers and loss, on whatever device is in use."""
    D = mg.Sequential(mg.layers.Dense(2, 2, dtype="float64"), mg.layers.Tanh(), mg.layers.Dense(2, 1, dtype="float64"))
    for array, value in ((D[0].W, W1), (D[0].b, b1), (D[2].W, W2), (D[2].b, b2)):
        array[...] = mg.asarray(value)
    y, cache = D.forward(mg.asarray(x))
    _, dy = mg.losses.LeastSquares().generator(y)
    D.zero_grad()                                                   # backward adds
    dx = D.backward(dy, cache)
    return {"W2": D[2].dW, "b2": D[2].db, "W1": D[0].dW, "b1": D[0].db, "x": dx}


def show(formula, value, pencil=""):
    """A formula, its value row by row, and how a pencil gets the first number."""
    for i, row in enumerate(np.atleast_2d(value)):
        numbers = " ".join(f"{number:8.4f}" for number in row)
        print(f"  {formula if i == 0 else '':<24}{numbers:<20}{pencil if i == 0 else ''}".rstrip())


def main():
    args = lesson.arguments(__doc__, "backprop_by_hand")

    h, a, y, loss = forward()
    d = backward(a, y)
    print("GIVEN")
    for name, value in (("x", x), ("W1", W1), ("b1", b1), ("W2", W2), ("b2", b2)):
        show(name, value)
    print("\nFORWARD                                       the first number with a pencil, up to rounding")
    show("h = x W1 + b1", h, f"{x[0, 0]:g}·{W1[0, 0]:g} + {x[0, 1]:g}·{W1[1, 0]:g} + {b1[0]:g}")
    show("a = tanh h", a, f"tanh {h[0, 0]:g}")
    show("y = a W2 + b2", y, f"{a[0, 0]:.4f}·{W2[0, 0]:g} + {a[0, 1]:.4f}·({W2[1, 0]:g}) + {b2[0]:g}")
    show("loss = mean (y - 1)²/2", loss, f"({y[0, 0] - 1:.4f}² + ({y[1, 0] - 1:.4f})²) / 4")
    print("\nBACKWARD")
    show("dy  = (y - 1)/N", d["y"], f"{y[0, 0] - 1:.4f} / 2")
    show("dW2 = aᵀ dy", d["W2"], f"{a[0, 0]:.4f}·{d['y'][0, 0]:.4f} + {a[1, 0]:.4f}·({d['y'][1, 0]:.4f})")
    show("db2 = Σ dy", d["b2"], f"{d['y'][0, 0]:.4f} + ({d['y'][1, 0]:.4f})")
    show("da  = dy W2ᵀ", d["a"], f"{d['y'][0, 0]:.4f}·{W2[0, 0]:g}")
    show("dh  = da · (1 - a²)", d["h"], f"{d['a'][0, 0]:.4f}·(1 - {a[0, 0]:.4f}²)")
    show("dW1 = xᵀ dh", d["W1"], f"{x[0, 0]:g}·{d['h'][0, 0]:.4f} + ({x[1, 0]:g})·({d['h'][1, 0]:.4f})")
    show("db1 = Σ dh", d["b1"], f"{d['h'][0, 0]:.4f} + ({d['h'][1, 0]:.4f})")
    show("dx  = dh W1ᵀ", d["x"], f"{d['h'][0, 0]:.4f}·{W1[0, 0]:g} + ({d['h'][0, 1]:.4f})·({W1[0, 1]:g})")
    print("  The generator that made x goes on from dx: to it dx is the upstream gradient, ∂loss/∂(its output).")

    theirs = {name: mg.to_numpy(value) for name, value in minigan_gradients().items()}
    print("\nIS IT TRUE? Move one number by h = 1e-5 up, then down: (loss_up - loss_down) / 2h.")
    print("And let minigan's own layers compute the same.\n")
    print("              by hand   differences   apart   minigan   apart")
    for name, array in (("W2", W2), ("b2", b2), ("W1", W1), ("b1", b1), ("x", x)):
        for i, index in enumerate(np.ndindex(array.shape)):
            mine, minigan = d[name][index], theirs[name][index]
            slope, _ = mg.gradcheck.central_difference(lambda: forward()[-1], array, i)
            print(f"  {f'd{name}{list(index)}':<10} {mine:8.4f}      {slope:8.4f}   {abs(mine - slope):5.0e}"
                  f"  {minigan:8.4f}   {abs(mine - minigan):5.0e}")

    path = args.out / "backprop_by_hand.png"
    draw(path, {"x": x, "W1": W1, "b1": b1, "h": h, "a": a, "W2": W2, "b2": b2, "y": y}, d, loss)
    print(f"\nwrote {path}")


def draw(path, v, d, loss):
    """The network as a picture measured in inches: values v in black, from left to right, and derivatives d in red."""
    figure = Figure(figsize=(13, 5.4), dpi=100)
    ax = figure.add_axes((0, 0, 1, 1), xlim=(0, 13), ylim=(0, 5.4))
    ax.axis("off")
    red, box = "#c00000", {"boxstyle": "round,pad=0.05", "fc": "#f5f7fa", "ec": "0.5", "zorder": 2}

    def text(X, Y, string, **style):
        ax.text(X, Y, string.replace("-", "−"), **{"ha": "center", "va": "center", "fontsize": 11, "zorder": 3} | style)

    def node(name, i, X, Y):
        ax.add_patch(FancyBboxPatch((X - 0.75, Y - 0.42), 1.5, 0.84, **box))
        text(X, Y + 0.27, f"{name}[:, {i}]", fontsize=9, color="0.4")
        for n, offset in enumerate((-0.37, 0.37)):
            text(X + offset, Y, f"{v[name][n, i]:.3f}")
            text(X + offset, Y - 0.27, f"{d[name][n, i]:.3f}", color=red)

    def parameter(name, index, X, Y):       # on a white ground, which hides the arrow below
        ground = {"boxstyle": "square,pad=0.12", "fc": "white", "ec": "none"}
        text(X, Y, f"{name + '  ' if name[0] == 'b' else ''}{v[name][index]:g} ", ha="right", fontsize=10, bbox=ground)
        text(X, Y, f" {d[name][index]:.3f}", ha="left", fontsize=10, bbox=ground, color=red)

    def arrow(X0, Y0, X1, Y1, colour="0.6"):
        style = {"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", (X1, Y1), (X0, Y0), arrowprops=style)

    rows, middle = (3.5, 1.7), 2.6
    for i, Y in enumerate(rows):
        for name, X in (("x", 1.1), ("h", 4.8), ("a", 7.3)):
            node(name, i, X, Y)
        for j, end in enumerate(rows):
            arrow(1.9, Y, 4.0, end)
            at = 0.5 if i == j else 0.27    # not in the middle, where two arrows cross
            parameter("W1", (i, j), 1.9 + at * 2.1, Y + at * (end - Y))
        parameter("b1", i, 4.8, Y + 0.64)
        arrow(5.6, Y, 6.5, Y)
        arrow(8.1, Y, 9.5, middle)
        parameter("W2", (i, 0), 8.8, (Y + middle) / 2)
    node("y", 0, 10.3, middle)
    parameter("b2", 0, 10.3, middle + 0.64)
    arrow(11.1, middle, 12.0, middle)
    text(12.3, middle, f"{loss:.3f}")

    text(6.5, 5.1, "Forward in black, backward in red; a box is one unit, for both samples", fontsize=13)
    for X, forwards, backwards in ((1.1, "x", "dx = dh W1ᵀ"), (4.8, "h = x W1 + b1", "dh = da · (1 - a²)"),
                                   (7.3, "a = tanh h", "da = dy W2ᵀ"), (10.3, "y = a W2 + b2", "dy = (y - 1)/N"),
                                   (12.05, "loss = mean (y - 1)²/2", "")):
        text(X, 4.6, forwards)
        text(X, 0.75, backwards, color=red)
    for X0, X1 in ((9.5, 8.1), (6.5, 5.7), (3.9, 1.9)):
        arrow(X0, 0.75, X1, 0.75, red)
    text(2.95, 0.35, "dW1 = xᵀ dh,  db1 = Σ dh", color=red)
    text(8.8, 0.35, "dW2 = aᵀ dy,  db2 = Σ dy", color=red)
    plots.save_picture(path, plots.rasterize(figure))


if __name__ == "__main__":
    main()
