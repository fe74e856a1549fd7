"""Where the numbers of a GAN stopped being finite."""
from minigan.backend import scalar, xp


def first_bad_layer(gan, real, z, labels=None, train=True):
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


def finite(x):
    return bool(scalar(xp.isfinite(x).all()))
