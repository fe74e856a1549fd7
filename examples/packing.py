"""Packing: a D that sees two samples at once notices a G that makes always the same.

    python examples/packing.py          a second; leaves packing.png in runs/packing

Real numbers lie around -1 or 1: the two modes of the data. A collapsed G makes only those around 1, and each of its fakes,
alone, looks real. In pairs the real ones lie in four places, and those of the collapsed G in one: D tells the two apart more
easily.
How far D can tell them apart at best is the total variation: half of the sum of all differences between the two
distributions.
Source    Lin, Khetan, Fanti & Oh 2018, arXiv:1712.04086, section 3
"""
try:
    import lesson
    import numpy as np

    import minigan as mg
    from minigan import plots
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None


def total_variation(real, fake, packed):
    """Of two modes with these shares, seen `packed` at once."""
    p = q = np.ones(1)
    for _ in range(packed):
        p, q = np.outer(p, real).ravel(), np.outer(q, fake).ravel()
    return np.abs(p - q).sum() / 2


def main():
    args = lesson.arguments(__doc__, "packing")
    print("samples seen at once   1      2      3      4")
    for name, shares in (("collapsed, (0, 1)", (0, 1)), ("uneven, (0.3, 0.7)", (0.3, 0.7))):
        print(f"{name:<20}" + "".join(f"{total_variation((0.5, 0.5), shares, m):7.3f}" for m in (1, 2, 3, 4)))

    rng = mg.host_rng(0)
    real = rng.choice([-1.0, 1.0], (400, 2)) + 0.12 * rng.standard_normal((400, 2))
    fake = 1 + 0.12 * rng.standard_normal((400, 2))
    figure, axes = lesson.panels("one at a time", "two at a time, as D sees them packed", width=4.6, height=3.6)
    axes[0].hist([real[:, 0], fake[:, 0]], np.linspace(-1.6, 1.6, 33), color=["#2166ac", "#f4a582"], label=["real", "fake"])
    axes[1].scatter(*real.T, s=8, color="#2166ac")
    axes[1].scatter(*fake.T, s=8, color="#f4a582")
    axes[1].set(xlabel="first of the pair", ylabel="second", aspect="equal")
    axes[0].legend(fontsize=8)
    path = args.out / "packing.png"
    plots.save_picture(path, plots.rasterize(figure))
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
