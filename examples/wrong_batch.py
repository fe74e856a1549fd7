"""Real images and fakes in one batch, in a D with BatchNorm: D learns to judge a crowd, and is then shown another one.

    python examples/wrong_batch.py      about 10 s; leaves batch.png in runs/wrong_batch

BatchNorm makes every sample depend on its whole batch. In a mixed batch the mean lies between real and fake, and the two fall
on its two sides: D has them apart at once. In G's step D sees fakes only, which lie around their own mean: the same fakes look
like another batch, and the gradient that G gets is that of a D which has never seen such a one. In two batches, one
real, one fake, D is trained on what it will be shown.
"""
try:
    import lesson
    import numpy as np

    import minigan as mg
    from minigan import metrics, plots
    from minigan.backend import xp
    from minigan.layers import BatchNorm
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None

BATCH = 64


def mixed(D, real, fake, loss):
    """Wrong: one pass for both."""
    logits, cache = D.forward(xp.concatenate([real, fake]))
    logits_fake = logits[len(real):]
    _, dlogits_real, dlogits_fake = loss.discriminator(logits[:len(real)], logits_fake)
    D.backward(xp.concatenate([dlogits_real, dlogits_fake]), cache, input_grad=False)
    return logits_fake


def separate(D, real, fake, loss):
    """Right: a pass for each, as in minigan.GAN."""
    logits_real, cache_real = D.forward(real)
    logits_fake, cache_fake = D.forward(fake)
    _, dlogits_real, dlogits_fake = loss.discriminator(logits_real, logits_fake)
    D.backward(dlogits_real, cache_real, input_grad=False)
    D.backward(dlogits_fake, cache_fake, input_grad=False)
    return logits_fake


def main():
    args = lesson.arguments(__doc__, "wrong_batch", steps=(1500, 1, "training steps of each GAN"),
                            seed=(0, 0, "of weights, noise and batches"))
    x, labels = mg.datasets.digits()
    judge = metrics.Classifier(x, labels, epochs=30)

    (wrong, seen_wrong), (right, seen_right) = (train(x, look, args) for look in (mixed, separate))
    lesson.compare("fakes that D recognises, as it sees them in its own step", f"{seen_wrong[0]:.0%}", f"{seen_right[0]:.0%}")
    lesson.compare("the same fakes, the same D, seen as in G's step", f"{seen_wrong[1]:.0%}", f"{seen_right[1]:.0%}")
    verdicts = [judge.verdict(fakes) for fakes in (wrong, right)]
    lesson.compare("digits of 10 that a classifier finds; samples it is sure of (p > 0.9)",
                   *(f"{found.classes}, {found.confident:.0%}" for found in verdicts))
    figure, axes = lesson.panels("wrong: real and fake in one BatchNorm batch", "right: a batch for each")
    for ax, fakes in zip(axes, (wrong, right)):
        lesson.images(ax, fakes[:36])
    path = args.out / "batch.png"
    plots.save_picture(path, plots.rasterize(figure))
    print(f"wrote {path}")


def train(x, look, args):
    """1000 samples of a small GAN, and the mean shares of fakes that D takes for fake, in D's step and in G's."""
    host, noise = mg.host_rng(args.seed), mg.rng([args.seed, 1])
    G, D = lesson.small_networks(host, BatchNorm(128))
    loss, adam_G, adam_D = mg.losses.NonSaturating(), mg.optimizers.Adam(1e-3), mg.optimizers.Adam(1e-3)
    adam_G.bind(G)
    adam_D.bind(D)
    recognised = []
    for _ in range(args.steps):
        real = mg.asarray(x[host.integers(len(x), size=BATCH)])
        fake, cache_G = G.forward(noise.standard_normal((BATCH, 32), dtype="float32"))

        D.zero_grad()
        in_D = look(D, real, fake, loss)
        in_G, _ = D.forward(fake)                      # before D moves: only the company of the fakes is another one
        recognised.append([float((logits < 0).mean()) for logits in (in_D, in_G)])
        adam_D.step()

        logits, cache_D = D.forward(fake)
        _, dlogits = loss.generator(logits)
        G.zero_grad()
        G.backward(D.backward(dlogits, cache_D, param_grads=False), cache_G, input_grad=False)
        adam_G.step()
    fakes = G(mg.rng([args.seed, 2]).standard_normal((1000, 32), dtype="float32"))
    return mg.to_numpy(fakes), np.mean(recognised, axis=0)


if __name__ == "__main__":
    main()
