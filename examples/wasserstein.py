"""What a Wasserstein critic needs: the same game three times, with nothing, with weight clipping, with a gradient penalty.

    python examples/wasserstein.py                  about half a minute; leaves critics.png and slopes.png in runs/wasserstein
    python examples/wasserstein.py --clip 0.1       a box for the parameters that happens to fit these networks

How far is it to move the fakes to where the real samples are? The least mean distance, over all ways to do so, is the
Wasserstein distance, and it has a second form (Kantorovich & Rubinstein), in which a critic D can look for it:

    W = max over all D with |D(x) - D(y)| <= |x - y|   of   mean D(real) - mean D(fake)

The condition says: D is 1-Lipschitz, nowhere steeper than 1. Without it the maximum is infinite: twice the D is twice the
value. What D finds is then no distance, and how hard it pushes G only says for how long it has been trained.

    nothing              D grows as long as it is trained: slopes of a thousand and more
    weight clipping      all parameters into [-c, c] after each step (Arjovsky et al. 2017, arXiv:1701.07875). That bounds the
                         slope, but by how much depends on width and depth: here to a thousandth, a nearly flat D. The bound
                         is met best at the corners of the box, so many parameters end there, and D gets too simple
    gradient penalty     lambda · mean (slope - 1)² on lines between real and fake (Gulrajani et al. 2017, arXiv:1704.00028):
                         where G walks, the slope is 1, and each fake is told its way with the same strength

All three have the same networks, data, Adam, and five steps of D for each of G. Adam divides gradients by their size, so G
moves in all three, and with nothing it even finds most modes here. What differs is the surface that G climbs: look at the
numbers beside its colours, and at how smooth its hills are.
"""
try:
    import lesson
    import numpy as np

    import minigan as mg
    from minigan import metrics, penalties, plots, regularizers
    from minigan.training import schedules
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None

BATCH = 128
LR = 1e-3
CRITIC_STEPS = 5
PENALTY = 1.0           # lambda. The paper has 10 for images; on a ring of radius 1 that would hold D back
EXTENT = (-1.6, 1.6, -1.6, 1.6)
COLOURS = {"nothing": lesson.WRONG, "weight clipping": "#6a3d9a", "gradient penalty": lesson.RIGHT}


def main():
    args = lesson.arguments(__doc__, "wasserstein", steps=(1500, 1, "steps of G"), clip=(0.01, 1e-4, "c of weight clipping"),
                            seed=(0, 0, "of data, weights and noise"))
    x, _ = mg.datasets.ring(20_000, mg.host_rng(args.seed))
    print(f"{'':<18}{'modes':>6}{'high quality':>14}{'mean slope':>12}{'steepest':>10}{'parameters at +-c':>19}")
    gans, slopes, titles = [], {}, []
    for name, its_regularizers, penalty in (
            ("nothing", [], None), ("weight clipping", [regularizers.WeightClip(args.clip)], None),
            ("gradient penalty", [], penalties.WGANGP(mg.rng([args.seed, 2]), PENALTY))):
        gan, slopes[name] = train(x, its_regularizers, penalty, args)
        # A mode counts if 1 % of the fakes are within 3 sigma of it. High quality: the share that is within 3 sigma of any.
        found = metrics.modes(mg.to_numpy(gan.sample(2500, args.seed)), mg.datasets.ring_centres(), sigma=0.01, fewest=25)
        slope = slope_between(gan, x[:2500], args.seed)
        at_edge = (abs(mg.to_numpy(gan.D.theta)) > 0.999 * args.clip).mean() if its_regularizers else None
        print(f"{name:<18}{f'{found.modes} of 8':>6}{found.high_quality:>14.1%}{short(slope.mean()):>12}"
              f"{short(slope.max()):>10}{'-' if at_edge is None else f'{at_edge:.0%}':>19}")
        gans.append(gan)
        titles.append(f"{name}: mean slope {short(slope.mean())}, {found.modes} of 8 modes")
    draw_critics(args.out / "critics.png", x, gans, titles)
    draw_slopes(args.out / "slopes.png", slopes)
    print(f"wrote {args.out / 'critics.png'} and {args.out / 'slopes.png'}")


def train(x, its_regularizers, penalty, args):
    """The trained GAN, and [(step, mean slope of its critic)] on the way."""
    host, noise = mg.host_rng([args.seed, 1]), mg.rng([args.seed, 3])
    G, D = mg.models.toy_mlp(host)
    gan = mg.GAN(G, D, mg.losses.Wasserstein(), mg.optimizers.Adam(LR), mg.optimizers.Adam(LR, regularizers=its_regularizers),
                 penalty=penalty)
    falling = schedules.constant_then_linear(1, 0, args.steps)
    slopes = [(0, slope_between(gan, x[:500], 0).mean())]
    for step in range(1, args.steps + 1):
        gan.optimizer_G.lr = gan.optimizer_D.lr = LR * falling(step - 1)
        for play in [gan.discriminator_step] * (CRITIC_STEPS - 1) + [gan.train_step]:      # the last one of D, and one of G
            play(mg.asarray(x[host.integers(len(x), size=BATCH)]), gan.noise(BATCH, noise))
        if step % max(1, args.steps // 50) == 0:
            slopes.append((step, slope_between(gan, x[:500], 0).mean()))
    return gan, slopes


def slope_between(gan, real, seed):
    """The norm of D's gradient at a random place of each line from a real point to a fake."""
    share = mg.host_rng(seed).random((len(real), 1), dtype="float32")
    place = share * real + (1 - share) * mg.to_numpy(gan.sample(len(real), seed))
    gradient, _, _ = penalties.input_gradient(gan.D, mg.asarray(place))
    return np.linalg.norm(mg.to_numpy(gradient), axis=1)


def short(value):
    """Three digits: 4490, 1.02, 0.00126."""
    return f"{float(f'{value:.3g}'):g}"


def draw_critics(path, x, gans, titles):
    figure, axes = lesson.panels(*titles, width=5.4, height=4.6)
    for ax, gan in zip(axes, gans):
        ax.set(xlim=EXTENT[:2], ylim=EXTENT[2:], aspect="equal")
        bar = figure.colorbar(plots.heights(ax, gan.D, EXTENT), ax=ax, shrink=0.8)
        bar.ax.set_title("D's score", fontsize=9)
        fake = gan.sample(400, seed=1)
        # The gradient that each fake receives in a G step: D's own, turned around, for loss_G = -mean D(fake).
        logits, cache = gan.discriminate(fake)
        _, dlogits = gan.loss.generator(logits)
        dfake = gan.discriminate_backward(dlogits, cache, param_grads=False)
        plots.scatter(ax, x[:400], fake)
        plots.arrows(ax, fake[:80], dfake[:80])
    plots.save_picture(path, plots.rasterize(figure))


def draw_slopes(path, slopes):
    figure, [ax] = lesson.panels("mean slope of the critic, between real and fake", width=7)
    for name, points in slopes.items():
        ax.semilogy(*zip(*points), color=COLOURS[name], linewidth=2, label=name)
    ax.axhline(1, color="0.5", linewidth=1, linestyle="--", label="1, as the theory wants it")
    ax.set(xlabel="step of G", ylabel="slope")
    ax.legend(fontsize=9, frameon=False, loc="center right", bbox_to_anchor=(1, 0.68))
    plots.save_picture(path, plots.rasterize(figure))


if __name__ == "__main__":
    main()
