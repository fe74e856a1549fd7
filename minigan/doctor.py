"""What is wrong with a GAN: where its numbers stopped being finite."""
from minigan import backend


def first_bad_layer(gan, real, z, labels=None):
    """A sentence on the first layer whose parameters or output are not finite, on the ways x -> D and z -> G -> D; or None."""
    def walk(network, x):
        for layer in network.layers:
            for name, value, _ in layer.parameters():
                if not finite(value):
                    return x, f"{layer} has a {name} that is not finite"
            x, _ = layer.forward(x, train=True)
            if not finite(x):
                return x, f"the output of {layer} is not finite"
        return x, None

    _, problem = walk(gan.D, gan.with_labels(real, labels))
    if problem is None:
        fake, problem = walk(gan.G, gan.with_labels(z, labels))
    if problem is None:
        _, problem = walk(gan.D, gan.with_labels(fake, labels))
    return problem


def finite(x):
    return bool(backend.scalar(backend.xp.isfinite(x).all()))
