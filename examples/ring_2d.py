"""A GAN in the plane: G has to find eight small clouds on a ring, and every arrow is a gradient that it receives.

    python examples/ring_2d.py          about 10 s; leaves ring_2d.gif, and four moments of it in ring_2d.png, in runs/ring_2d

What to watch in the film: the background is D's opinion of each place, blue "real", orange "fake", white "cannot tell".
The fakes are pushed along the arrows, out of the orange, and where they gather D turns orange. In the first 200 steps
the whole crowd is driven from side to side; then it spreads over the ring; then the ring thins into eight clouds.
"""
try:
    import time

    import lesson

    import minigan as mg
    from minigan import metrics, plots
    from minigan.training import schedules
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None

BATCH = 128
LR = 1e-3               # five times what images like: the networks are small, and it falls to zero in the second half
FRAMES = 40
MOMENTS = (0, 0.01, 0.1, 1)                            # of the training, as parts of its steps
EXTENT = (-1.6, 1.6, -1.6, 1.6)
SIGMA = 0.01            # of a cloud


def main():
    args = lesson.arguments(__doc__, "ring_2d", steps=(3000, 1, "training steps"),
                            seed=(0, 0, "of the data, the weights and the noise"))

    start = time.time()
    host = mg.host_rng(args.seed)                                   # data, batches and weights: on the host
    noise = mg.rng([args.seed, 1])                                  # z: drawn where it is needed
    x, _ = mg.datasets.ring(20_000, host)                           # (20000, 2); every cloud has sigma 0.01
    G, D = mg.models.toy_mlp(host, latent_dim=2, width=128)         # 2-128-128-2 and 2-128-128-1
    gan = mg.GAN(G, D, mg.losses.NonSaturating(), mg.optimizers.Adam(LR), mg.optimizers.Adam(LR))
    z = gan.noise(400, noise)                                       # the film shows the fakes of always the same z

    # More frames early, when more happens: their steps grow like a square.
    frame_steps = {round(args.steps * (i / (FRAMES - 1)) ** 2) for i in range(FRAMES)}
    frames, moments = [frame(gan, x[:400], z, 0)], [round(args.steps * part) for part in MOMENTS]
    figure, axes = lesson.panels(*(f"step {step}" for step in moments), width=3.3, height=3.7)
    draw(axes[0], gan, x[:400], z)
    falling = schedules.constant_then_linear(1, 0, args.steps)
    for step in range(1, args.steps + 1):
        # With constant steps the fakes keep moving around the clouds; shrinking ones let them come to rest.
        gan.optimizer_D.lr = gan.optimizer_G.lr = LR * falling(step - 1)
        real = mg.asarray(x[host.integers(len(x), size=BATCH)])
        loss_D, loss_G = gan.train_step(real, gan.noise(BATCH, noise))
        if step in frame_steps:
            frames.append(frame(gan, x[:400], z, step))
        if step in moments:
            draw(axes[moments.index(step)], gan, x[:400], z)
        if step % max(1, args.steps // 6) == 0:
            print(f"step {step:5d}   loss_D {float(loss_D):.3f}   loss_G {float(loss_G):.3f}")

    report(mg.to_numpy(gan.sample(2500, seed=args.seed)))
    plots.save_picture(args.out / "ring_2d.png", plots.rasterize(figure))
    plots.save_gif(args.out / "ring_2d.gif", frames, seconds_per_frame=0.15)
    print(f"wrote {args.out / 'ring_2d.gif'} and {args.out / 'ring_2d.png'} after {time.time() - start:.0f} s")


def frame(gan, real, z, step):
    figure, ax = plots.plane(EXTENT, width=5.8)
    bar = figure.colorbar(draw(ax, gan, real, z), ax=ax, shrink=0.7, ticks=[0, 0.5, 1])
    bar.ax.set_yticklabels(["fake", "?", "real"])
    ax.set_title(f"step {step}")
    return plots.rasterize(figure)


def draw(ax, gan, real, z):
    """Real points, the fakes of z, the gradient that each fake receives, and D's surface, which is returned."""
    fake = gan.G(z)
    # The first half of a G step, from loss_G back to the fakes: dfake = ∂loss_G/∂fake. From here G.backward would carry
    # it on into G's weights. D is only passed: param_grads=False leaves D.dtheta alone. Descent goes against the
    # gradient, so the arrows show -dfake: the way in which each fake would move, if it could move alone. It cannot: the
    # same weights make all fakes, and that is why whole crowds run together.
    logits, cache = gan.D.forward(fake)
    _, dlogits = gan.loss.generator(logits)
    dfake = gan.D.backward(dlogits, cache, param_grads=False)

    surface = plots.surface(ax, gan.D, EXTENT)
    plots.scatter(ax, real, fake)
    plots.arrows(ax, fake[:60], dfake[:60])
    ax.set(xlim=EXTENT[:2], ylim=EXTENT[2:], aspect="equal", xticks=[], yticks=[])
    return surface


def report(fake):
    """The count of VEEGAN (arXiv:1705.07761), but one lucky fake does not make a mode: 1 % of all fakes must."""
    found = metrics.modes(fake, mg.datasets.ring_centres(), SIGMA, fewest=len(fake) // 100)
    print(f"{found.modes} of 8 modes found: at least 1 % of all fakes lie within {3 * SIGMA} (3 sigma) of the centre")
    print(f"{found.high_quality:.0%} of {len(fake)} fakes lie that near to a centre; most others are on bridges between "
          "neighbours:")
    print("G is continuous, so it cannot tear one cloud of noise into eight, it can only make the bridges thin")


if __name__ == "__main__":
    main()
