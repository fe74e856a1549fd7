"""The five losses and their slopes: how hard a logit is pulled, depending on where it is.

    python examples/losses_and_slopes.py          a second; leaves losses_and_slopes.png in runs/losses_and_slopes

A logit is what D returns for a sample: above 0 it takes it for real. Left: what G minimises, for the logit b of one fake.
Right: its slope. G learns from the slope alone. Where D is sure of a fake, at a small b, that of Minimax is gone: the loss
saturates.
"""
try:
    import lesson
    import numpy as np

    import minigan as mg
    from minigan import plots
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None


def main():
    args = lesson.arguments(__doc__, "losses_and_slopes")
    b = np.linspace(-6, 6, 241)
    figure, axes = lesson.panels("the loss of G", "its slope: what G learns from", width=5.2, height=3.9)
    print("b        " + "".join(f"{name:>16}" for name in mg.losses.LOSSES) + "      slope of G's loss")
    table = {}
    for name, kind in mg.losses.LOSSES.items():
        found = [kind().generator(mg.asarray(np.array([[logit]]))) for logit in b]
        value, slope = (np.array([float(pair[k].sum()) for pair in found]) for k in (0, 1))
        style = "--" if name == "hinge" else "-"       # G's hinge loss is that of Wasserstein
        axes[0].plot(b, value, style, label=name)
        axes[1].plot(b, slope, style)
        table[name] = slope
    for logit in (-5, 0, 5):
        print(f"{logit:<9}" + "".join(f"{table[name][np.argmin(abs(b - logit))]:16.4f}" for name in table))
    axes[0].set(ylim=(-7, 8), xlabel="b, the logit of a fake: left, D is sure that it is a fake")
    axes[1].set(ylim=(-3, 1), xlabel="b")
    axes[0].legend(fontsize=8)
    axes[1].axhline(0, color="0.7", linewidth=1)
    path = args.out / "losses_and_slopes.png"
    plots.save_picture(path, plots.rasterize(figure))
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
