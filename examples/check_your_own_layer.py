"""Write a layer of your own, and let gradcheck find the mistakes in it before training hides them.

    python examples/check_your_own_layer.py      a second; leaves check_your_own_layer.png in runs/check_your_own_layer

A network with a wrong gradient often still learns, only worse, and nobody knows why. So check a new layer first: move
every number that goes into it a little, look at what comes out, and compare with what backward claims.
"""

try:
    import lesson
    import numpy as np

    import minigan as mg
    from minigan import gradcheck, plots
    from minigan.backend import scalar, xp
    from minigan.layers.initializers import glorot_uniform
    from minigan.plots import Figure
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None


class GainTanh(mg.Layer):
    """A Dense layer behind a tanh, with a learned gain for every output.

    Shapes    x (N, I) -> y (N, O);  W (I, O), g (O,)
    Forward   y = g · tanh(x W)
    Backward  dh = dy · g · (1 - t²)   with h = x W and t = tanh h
              dx = dh Wᵀ      dW = xᵀ dh      dg = Σₙ dy · t
    Why       ∂y/∂t = g and ∂t/∂h = 1 - t²;  ∂y/∂g = t, and all samples share g, so it collects dy · t over n.
    """

    def __init__(self, I, O, *, rng=None, dtype="float32"):
        self.add_weight("W", (I, O), glorot_uniform, rng, dtype)            # makes self.W and self.dW
        self.add_parameter("g", np.ones(O), dtype)                          # makes self.g and self.dg

    def forward(self, x, train=True):
        self.check_input(x, ("N", len(self.W)), self.W.dtype)               # one clear error for a wrong shape or dtype
        t = xp.tanh(x @ self.W)                                             # (N, O) = (N, I) @ (I, O)
        return self.g * t, (x, t)                                           # the cache: all that backward needs

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        x, t = cache
        dh = dy * self.g * (1 - t * t)
        if param_grads:
            self.dW += x.T @ dh                                             # (I, O) = (I, N) @ (N, O)
            self.dg += (dy * t).sum(axis=0)                                 # (O,)
        return dh @ self.W.T if input_grad else None                        # (N, I) = (N, O) @ (O, I)


class FirstTry(GainTanh):
    """The same with two mistakes that are made every day."""

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        x, t = cache
        dh = dy * (1 - t * t)                           # mistake 1: the factor g is forgotten
        if param_grads:
            self.dW += x.T @ dh
            self.dg = (dy * t).sum(axis=0)              # mistake 2: = for +=. D goes back through real images, then
        return dh @ self.W.T if input_grad else None    # through fakes: the second pass would wipe out the first


def main():
    args = lesson.arguments(__doc__, "check_your_own_layer")

    # float64: in float32 the rounding of the loss would drown its change.
    x = mg.asarray(mg.host_rng(1).standard_normal((6, 5)))
    wrong, right = (kind(5, 4, rng=mg.host_rng(2), dtype="float64") for kind in (FirstTry, GainTanh))

    print("1. The first try, with the gains as they start, g = 1\n")
    print(gradcheck.check_layer(wrong, x))
    print("\nOnly the second mistake shows, as a broken rule. The first leaves no trace where the factor is 1:\n"
          "check a layer at generic values, never where it starts.\n\n2. The first try, with gains between 0.5 and 2\n")
    for layer in (wrong, right):
        layer.g[...] = mg.asarray(mg.host_rng(3).uniform(0.5, 2, 4))
    print(gradcheck.check_layer(wrong, x))
    print("\ndx and dW are wrong and dg is right: so look at dh, which the first two share and dg does not use.\n\n"
          "3. With both mistakes mended\n")
    print(gradcheck.check_layer(right, x))

    figure = Figure(figsize=(10, 5.3), dpi=100, layout="constrained")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    compare(axes[0], wrong, x, "first try, without the factor g")
    compare(axes[1], right, x, "mended: all on the diagonal")
    path = args.out / "check_your_own_layer.png"
    plots.save_picture(path, plots.rasterize(figure))
    print(f"\nwrote {path}")


def compare(ax, layer, x, title):
    """Every entry of every gradient as a point: what differences say to the right, what backward says upwards."""
    y, cache = layer.forward(x)
    dy = mg.asarray(mg.host_rng(4).standard_normal(y.shape))        # random: ones would hide mistakes

    def loss():
        return scalar((dy * layer(x)).sum())

    layer.zero_grad()
    dx = layer.backward(dy, cache)
    ax.axline((0, 0), slope=1, color="0.7", linewidth=1, zorder=1)
    for name, array, gradient, colour, marker in (("dx", x, dx, plots.REAL, "o"),
                                                  ("dW", layer.W, layer.dW, plots.FAKE, "s"),
                                                  ("dg", layer.g, layer.dg, plots.LOSS_G, "^")):
        slopes = [gradcheck.central_difference(loss, array, i)[0] for i in range(array.size)]
        ax.scatter(slopes, mg.to_numpy(gradient).ravel(), s=28, c=colour, marker=marker, linewidths=0, label=name)
    ax.set(xlabel="central differences say", ylabel="backward says", aspect="equal")
    ax.set_title(title, pad=10)
    ax.set_axisbelow(True)
    ax.grid(color="0.93")
    ax.legend(loc="upper left")


if __name__ == "__main__":
    main()
