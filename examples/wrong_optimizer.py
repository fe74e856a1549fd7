"""One Adam for both networks: G moves in D's step, though nothing asks it to, and D in G's.

    python examples/wrong_optimizer.py      about 10 s; leaves optimizer.png in runs/wrong_optimizer

Adam steps along a running mean of gradients, m = beta1 · m + (1 - beta1) · gradient. One Adam over the weights of G and D,
stepped twice a round, sees for G every second time a gradient of zero. But m is not zero: G goes on, beta1 times as far, in a
direction that is out of date, and D likewise. minigan.GAN refuses the same optimizer twice, so this stands outside of it.
"""
try:
    import lesson
    import numpy as np

    import minigan as mg
    from minigan import metrics, plots
    from minigan.training import schedules
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None

BATCH, LR = 128, 1e-3


def main():
    args = lesson.arguments(__doc__, "wrong_optimizer", steps=(2000, 20, "rounds: a step of D and one of G"),
                            seed=(0, 0, "of data, weights and noise"))
    figure, axes = lesson.panels("wrong: one Adam for both, beta1 = 0.5", "right: an Adam for each", width=6)
    measured = []
    for ax, shared in zip(axes, (True, False)):
        moved, found = train(shared, args)
        in_D, in_G = np.array(moved).T
        measured.append((f"{(in_D / in_G).mean():.2f}", f"{found.modes}, {found.high_quality:.0%}"))
        rounds = np.arange(len(moved))[:20]
        ax.bar(rounds - 0.2, in_D[:20], width=0.4, color=plots.LOSS_D, label="in D's step")
        ax.bar(rounds + 0.2, in_G[:20], width=0.4, color=plots.LOSS_G, label="in G's own step")
        ax.set(xlabel="round", ylabel="how far G's weights move", ylim=(0, 0.3))
        ax.set_xticks(rounds[::5])
        ax.legend(loc="upper right")
    lesson.compare("how far G moves in D's step, as a share of its own step", *(share for share, _ in measured))
    lesson.compare("modes of 8; points within 3 sigma of one", *(found for _, found in measured))
    path = args.out / "optimizer.png"
    plots.save_picture(path, plots.rasterize(figure))
    print(f"wrote {path}")


def train(shared, args):
    """How far G moves in (D's step, G's step) of every round, and the modes of the ring that it finds."""
    host, noise = mg.host_rng(args.seed), mg.rng([args.seed, 1])
    x, _ = mg.datasets.ring(20_000, host)
    G, D = mg.models.toy_mlp(host)
    loss, moved = mg.losses.NonSaturating(), []
    if shared:
        adam_G = adam_D = mg.optimizers.Adam(LR, beta1=0.5)
        adam_G.bind(mg.Sequential(G, D))               # one vector theta for both
    else:
        adam_G, adam_D = mg.optimizers.Adam(LR, beta1=0.5), mg.optimizers.Adam(LR, beta1=0.5)
        adam_G.bind(G)
        adam_D.bind(D)

    falling = schedules.constant_then_linear(1, 0, args.steps)
    for step in range(args.steps):
        adam_G.lr = adam_D.lr = LR * falling(step)
        real = mg.asarray(x[host.integers(len(x), size=BATCH)])
        z = noise.standard_normal((BATCH, 2), dtype="float32")
        places = [G.theta.copy()]

        logits_real, cache_real = D.forward(real)
        logits_fake, cache_fake = D.forward(G(z))
        _, dlogits_real, dlogits_fake = loss.discriminator(logits_real, logits_fake)
        zero(G, D)
        D.backward(dlogits_real, cache_real, input_grad=False)
        D.backward(dlogits_fake, cache_fake, input_grad=False)
        adam_D.step()                                  # D's step: G's gradient is zero
        places.append(G.theta.copy())

        fake, cache_G = G.forward(z)
        logits_fake, cache_fake = D.forward(fake)
        _, dlogits_fake = loss.generator(logits_fake)
        zero(G, D)
        G.backward(D.backward(dlogits_fake, cache_fake, param_grads=False), cache_G, input_grad=False)
        adam_G.step()                                  # G's step: D's gradient is zero
        places.append(G.theta.copy())
        moved.append([float(((b - a) ** 2).sum() ** 0.5) for a, b in zip(places, places[1:])])
    points = mg.to_numpy(G(mg.rng([args.seed, 2]).standard_normal((2500, 2), dtype="float32")))
    return moved, metrics.modes(points, mg.datasets.ring_centres(), sigma=0.01)


def zero(*networks):
    for network in networks:
        network.zero_grad()


if __name__ == "__main__":
    main()
