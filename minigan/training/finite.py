"""Where the numbers of a GAN stopped being finite."""
from minigan.backend import Array, scalar, set_rng_state, xp
from minigan.gan import GAN
from minigan.training import checkpoint


def first_bad_layer(gan: GAN, real: Array, z: Array, labels: Array | None = None, train: bool = True) -> str | None:
    """A sentence on the first layer whose parameters or output are not finite, on the ways x -> D and z -> G -> D; or None.
    In training mode, as in the step that failed, running statistics and generators of Dropout move; in evaluation none."""
    def walk(network, x):
        for layer in network.layers:
            for name, value, _ in layer.parameters():
                if not finite(value):
                    return x, f"{layer} has a {name} that is not finite"
            x, _ = layer.forward(x, train=train)
            if not finite(x):
                return x, f"the output of {layer} is not finite"
        return x, None

    if not finite(real):
        return "a real sample is not finite"
    _, problem = walk(gan.D, gan.with_labels(real, labels))
    if problem is None:
        fake, problem = walk(gan.G, gan.with_labels(z, labels))
    if problem is None:
        _, problem = walk(gan.D, gan.with_labels(fake, labels))
    return problem


def finite(x: Array) -> bool:
    return bool(scalar(xp.isfinite(x).all()))


def explain(run, recent: dict) -> None:
    """Raise FloatingPointError for the last step of a training.Run, with the layer in which it began. The step has spoilt all
    parameters. So the steps since `recent`, a snapshot, are repeated up to it, and each layer's output is looked at."""
    failed, rows = run.step, run.log.waiting[:-1]
    checkpoint.restore(run.gan, recent)
    set_rng_state(run.noise, recent["noise.rng"])
    run.step = int(recent["step"])
    while run.step < failed - 1:
        run.train_step()
    step = run.up_to_the_last()
    batch = run.batch(run.critic_steps - 1)
    culprit = first_bad_layer(run.gan, *batch)
    if culprit is None:                            # then it shows only after the step: in the new D, or in G
        step(*batch)
        culprit = first_bad_layer(run.gan, *batch) or f"all layers are finite, but {run.gan.loss} overflows"
    run.log.waiting = rows
    run.log.flush()
    raise FloatingPointError(f"step {failed}: a number is not finite any more; {culprit}. The last checkpoint, in "
                             f"{run.out}, is from before; try a smaller learning rate")
