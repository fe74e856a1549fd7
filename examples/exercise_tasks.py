"""The exercises of exercises.py, in the order of the reading: which function of minigan is taken out, what is to be written,
hints, inputs on which it is tried, and well-known mistakes.

A mistake is a small change of the library's own source. Whoever computes the same numbers as that changed source has made it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

import minigan as mg
from minigan import losses, optimizers, padding, penalties
from minigan.layers import activations, batch_norm, convolution, patches, statistics

EQUALS = "= in place of +=: a gradient is added to what is there, since D is gone through twice in a step"
NEVER = "1/N is missing: the loss is a mean, so each logit has the N-th part of it"
TWICE = "1/N twice: one of them is in the loss already"
TRANSPOSED = "W for Wᵀ"


@dataclass
class Exercise:
    name: str
    target: str  # "module:function" or "module:Class.method"
    task: str
    hints: tuple[str, ...]
    probe: Callable[[], Iterator]  # yields (what it is, the value) of what is compared
    mistakes: dict[str, list[tuple[str, str]]]  # its name: [(the library's text, the mistaken text)]


def normal(*shape, seed=0):
    return mg.host_rng([seed, *shape]).standard_normal(shape)


def passes(title, layer, x, train=True):
    """Forward and backward of a layer, with all that a backward promises."""
    for name, value, gradient in layer.parameters():
        value[...], gradient[...] = normal(*value.shape, seed=len(name)), 1
    x = x.copy()
    y, cache = layer.forward(x, train)
    yield f"{title}: y", y
    for name, value in layer.states():
        yield f"{title}: {name}, after forward", value
    yield f"{title}: x, after forward", x
    dy = normal(*np.shape(y), seed=2)
    yield f"{title}: dx", layer.backward(dy, cache)
    for name, _, gradient in layer.parameters():
        yield f"{title}: d{name}, which was 1 before", gradient
    if layer.size:
        layer.backward(dy, cache, param_grads=False)
        for name, _, gradient in layer.parameters():
            yield f"{title}: d{name}, after a backward with param_grads=False", gradient
    yield f"{title}: what backward returns with input_grad=False", layer.backward(dy, cache, input_grad=False)
    yield f"{title}: dy, after backward", dy


def double(title, layer, x):
    for name, value, gradient in layer.parameters():
        value[...], gradient[...] = normal(*value.shape, seed=len(name)), 1
    y, cache = layer.forward(x)
    u, s = layer.double_backward(normal(*x.shape, seed=3), normal(*y.shape, seed=2), cache)
    yield f"{title}: u", u
    yield f"{title}: s", s
    for name, _, gradient in layer.parameters():
        yield f"{title}: d{name}, which was 1 before", gradient


def dense():
    yield from passes("Dense(3, 3)", mg.layers.Dense(3, 3, dtype="float64"), normal(4, 3))
    yield from passes("Dense(3, 2)", mg.layers.Dense(3, 2, dtype="float64"), normal(4, 3))
    yield from passes("Dense(2, 2) without bias", mg.layers.Dense(2, 2, bias=False, dtype="float64"), normal(4, 2))


def dense_double():
    yield from double("Dense(3, 3)", mg.layers.Dense(3, 3, dtype="float64"), normal(4, 3))
    yield from double("Dense(3, 2)", mg.layers.Dense(3, 2, dtype="float64"), normal(4, 3))


def leaky():
    yield "dx", activations.leaky_backward(normal(4, 3), normal(4, 3, seed=1) > 0, 0.2)
    yield "dx, alpha = 0", activations.leaky_backward(normal(2, 3), normal(2, 3, seed=1) > 0, 0.0)


def tanh():
    yield from passes("Tanh", mg.layers.Tanh(), normal(4, 3))


def tanh_double():
    yield from double("Tanh", mg.layers.Tanh(), normal(4, 3))


def sigmoid():
    yield from passes("Sigmoid", mg.layers.Sigmoid(), normal(4, 3))


def dropout():
    yield from passes("Dropout(0.25)", mg.layers.Dropout(0.25, rng=mg.host_rng(0)), normal(8, 6))
    yield "y in evaluation", mg.layers.Dropout(0.25, rng=mg.host_rng(0)).forward(normal(8, 6), False)[0]


def sequential():
    def layers():
        return [mg.layers.Dense(3, 3, dtype="float64"), mg.layers.Tanh(), mg.layers.Dense(3, 3, dtype="float64")]

    yield from passes("Sequential(Dense, Tanh, Dense)", mg.Sequential(*layers()), normal(4, 3))
    yield from passes(
        "Sequential(Dense, BatchNorm), in evaluation",
        mg.Sequential(layers()[0], mg.layers.BatchNorm(3, dtype="float64")),
        normal(4, 3),
        False,
    )


def softplus():
    yield "softplus(x)", losses.softplus(np.array([-2.0, 0.0, 3.0]))
    yield "softplus(x) for large x", losses.softplus(np.array([-800.0, 800.0]))


def as_real():
    for rest in (0.0, 0.1):
        value, da = losses.as_real(normal(5, 1), rest, 5)
        yield f"the value, rest = {rest}", value
        yield f"the derivative, rest = {rest}", da


def as_fake():
    value, db = losses.as_fake(normal(5, 1), 5)
    yield "the value", value
    yield "the derivative", db


def generator(loss):
    def probe():
        value, db = loss().generator(normal(5, 1))
        yield "the value", value
        yield "dlogits_fake", db

    return probe


def discriminator(loss):
    def probe():
        value, da, db = loss().discriminator(2 * normal(8, 1), 2 * normal(8, 1, seed=1))
        yield "the value", value
        yield "dlogits_real", da
        yield "dlogits_fake", db

    return probe


def sgd():
    theta, velocity = normal(5), normal(5, seed=1)
    optimizers.sgd(theta, normal(5, seed=2), velocity, 0.1, 0.9)
    yield "velocity", velocity
    yield "theta", theta


def adam_corrections():
    network, adam = mg.Sequential(mg.layers.Dense(2, 2, dtype="float64")), mg.optimizers.Adam(0.01, 0.5, 0.9, 1e-3)
    network.theta[...] = normal(6)
    adam.bind(network)
    for step in (1, 2, 3):
        network.dtheta[...] = normal(6, seed=step)
        yield f"(lr, lr_t, eps_t) of step {step}", adam.count_step()
    adam.step()
    yield "t after 4 steps", adam.t
    yield "theta", network.theta


def adam():
    theta, m, root = normal(5), normal(5, seed=1), np.abs(normal(5, seed=2))
    optimizers.adam(theta, normal(5, seed=3), m, root, 0.1, 0.01, 0.5, 0.5, 0.9**0.5, 0.1**0.5)
    yield "m", m
    yield "root", root
    yield "theta", theta


def inverse_std():
    x = normal(6, 3) - normal(6, 3).mean(axis=0)
    inv_std, var = statistics.inverse_std(x, lambda values: values.mean(axis=0), 0.1)
    yield "var", var
    yield "inv_std", inv_std


def batch_norm_layer():
    yield from passes("BatchNorm, training", mg.layers.BatchNorm(3, dtype="float64"), 2 + 3 * normal(6, 3))
    layer = mg.layers.BatchNorm(3, dtype="float64")
    for _, value in layer.states():
        value[...] = 0.5 + np.abs(normal(*value.shape))
    yield from passes("BatchNorm, evaluation", layer, 2 + 3 * normal(6, 3), False)


def batch_norm_formula():
    dy, x_hat = normal(6, 3), normal(6, 3, seed=1)
    yield (
        "dx",
        batch_norm.normalized_backward(
            dy, x_hat, np.array([1.0, 2.0, 3.0]), normal(3), dy.sum(axis=0), (dy * x_hat).sum(axis=0), 6
        ),
    )


def pad_and_count():
    for size, K, S, kind in [(8, 5, 2, "same"), (7, 3, 2, "same"), (6, 3, 1, "same"), (9, 4, 3, "valid"), (8, 4, 2, 1)]:
        yield f"pad_and_count({size}, {K}, {S}, {kind!r})", padding.pad_and_count(size, K, S, kind)


def im2col():
    yield "cols, K 2, S 2, no padding", patches.gather(normal(2, 4, 4, 1), 2, 2, 0, 0, 2, 2)
    yield "cols, K 3, S 1, one zero around it", patches.gather(normal(2, 4, 5, 3), 3, 1, 1, 1, 4, 5)
    yield "cols, K 5, S 2, 1 zero before and 2 behind", patches.gather(normal(2, 4, 6, 3), 5, 2, 1, 1, 2, 3)


def col2im():
    yield "x, K 3, S 1, one zero around it", patches.scatter_add(normal(2 * 4 * 5, 27), (2, 4, 5, 3), 3, 1, 1, 1, 4, 5)
    yield "x, K 5, S 2, 1 zero before", patches.scatter_add(normal(2 * 2 * 3, 75), (2, 4, 6, 3), 5, 2, 1, 1, 2, 3)


def conv():
    yield "y, K 3, S 1", convolution.conv(normal(2, 4, 4, 2), normal(3, 3, 2, 3), 1, "same")
    yield "y, K 5, S 2", convolution.conv(normal(2, 6, 4, 2), normal(5, 5, 2, 3), 2, "same")


def conv_adjoint():
    yield "dx, K 2, S 2, C 1, F 4", convolution.conv_adjoint(normal(2, 2, 2, 4), normal(2, 2, 1, 4), (2, 4, 4, 1), 2, "same")
    yield "dx, K 5, S 2", convolution.conv_adjoint(normal(2, 3, 2, 3), normal(5, 5, 2, 3), (2, 6, 4, 2), 2, "same")


def conv_weight_grad():
    yield "dW, K 3, S 1", convolution.conv_weight_grad(normal(2, 4, 4, 2), normal(2, 4, 4, 3), 3, 1, "same")
    yield "dW, K 5, S 2", convolution.conv_weight_grad(normal(2, 6, 4, 2), normal(2, 3, 2, 3), 5, 2, "same")


def conv_layer():
    yield from passes("Conv2D(2, 3, 3)", mg.layers.Conv2D(2, 3, 3, dtype="float64"), normal(2, 4, 4, 2))
    yield from passes("Conv2D(2, 3, 5, 2)", mg.layers.Conv2D(2, 3, 5, 2, bias=False, dtype="float64"), normal(2, 6, 4, 2))


def conv_transpose_layer():
    yield from passes("ConvTranspose2D(2, 2, 3)", mg.layers.ConvTranspose2D(2, 2, 3, dtype="float64"), normal(2, 4, 4, 2))
    yield from passes(
        "ConvTranspose2D(2, 3, 5, 2)", mg.layers.ConvTranspose2D(2, 3, 5, 2, dtype="float64"), normal(2, 3, 2, 2)
    )


def layer_norm():
    yield from passes("LayerNorm", mg.layers.LayerNorm(3, dtype="float64"), 2 + 3 * normal(4, 2, 3))
    yield from passes("InstanceNorm", mg.layers.InstanceNorm(2, dtype="float64"), 2 + 3 * normal(3, 2, 2, 2))


def spectral_norm():
    layer = mg.layers.SpectralNorm(mg.layers.Dense(3, 2, rng=mg.host_rng(1), dtype="float64"), rng=mg.host_rng(0))
    yield from passes("SpectralNorm(Dense(3, 2))", layer, normal(4, 3))
    layer = mg.layers.SpectralNorm(mg.layers.ConvTranspose2D(2, 3, 3, rng=mg.host_rng(1), dtype="float64"), rng=mg.host_rng(0))
    yield from passes("SpectralNorm(ConvTranspose2D(2, 3, 3))", layer, normal(2, 3, 3, 2))


def critic():
    D = mg.Sequential(mg.layers.Dense(3, 4, dtype="float64"), mg.layers.Tanh(), mg.layers.Dense(4, 1, dtype="float64"))
    D.theta[...], D.dtheta[...] = normal(D.size), 1
    return D


def gradient_norm():
    for weight, target in [(10.0, 1.0), (0.5, 0.0)]:
        D = critic()
        yield f"the penalty, weight {weight}, target {target}", penalties.gradient_norm(D, normal(5, 3), weight, target)
        yield "D.dtheta, which was 1 before", D.dtheta


def r1():
    D = critic()
    yield "the penalty", penalties.r1(D, normal(5, 3), 3.0)
    yield "D.dtheta, which was 1 before", D.dtheta


def generator_gradient():
    D, G = critic(), mg.Sequential(mg.layers.Dense(2, 3, dtype="float64"), mg.layers.Tanh())
    gan = mg.GAN(G, D, mg.losses.NonSaturating(), mg.optimizers.SGD(0.1), mg.optimizers.SGD(0.1))
    G.theta[...], G.dtheta[...] = normal(G.size), 1
    fake, cache_G = G.forward(normal(5, 2))
    logits, cache = gan.discriminate(fake)
    yield "loss_G", gan._generator_gradient(logits, cache, cache_G)
    yield "G.dtheta, which was 1 before", G.dtheta
    yield "D.dtheta, which was 1 before", D.dtheta


def discriminator_gradient():
    D, G = critic(), mg.Sequential(mg.layers.Dense(2, 3, dtype="float64"), mg.layers.Tanh())
    gan = mg.GAN(G, D, mg.losses.NonSaturating(), mg.optimizers.SGD(0.1), mg.optimizers.SGD(0.1), penalty=mg.penalties.R1(2.0))
    loss_D, logits_fake, _ = gan._discriminator_gradient(np.tanh(normal(5, 3)), normal(5, 3, seed=1), None)
    yield "loss_D", loss_D
    yield "logits_fake", logits_fake
    yield "D.dtheta, which was 1 before", D.dtheta


LAYERS, LOSSES, OPTIMIZERS = "minigan.layers.", "minigan.losses:", "minigan.optimizers:"
EXERCISES = [
    Exercise(
        "dense_forward",
        LAYERS + "dense:Dense.forward",
        "y = x W + b, and the cache that backward gets: x.",
        (
            "Rows are samples: x is (N, I) and W (I, O).",
            "y = x @ self.W; only with self.bias there is a self.b.",
            "Return the pair (y, x).",
        ),
        dense,
        {
            "the bias is missing": [("if self.bias:", "if False:")],
            TRANSPOSED + ": W is (I, O), as x @ W needs it": [("x @ self.W ", "x @ self.W.T ")],
        },
    ),
    Exercise(
        "dense_backward",
        LAYERS + "dense:Dense.backward",
        "Add dW and db, and return dx.",
        (
            "dx has the shape of x, dW that of W: the shapes leave one product for each.",
            "dW = xᵀ dy sums over the samples, as db does; dx = dy Wᵀ sums over the outputs.",
            "self.dW += x.T @ dy; self.db += dy.sum(axis=0), both only if param_grads; None in place of dx unless input_grad.",
        ),
        dense,
        {
            EQUALS: [
                ("add_product(self.dW, x.T, dy)", "self.dW[...] = x.T @ dy"),
                ("self.db += channel_sum(dy)", "self.db[...] = channel_sum(dy)"),
            ],
            TRANSPOSED + " in dx": [("dy @ self.W.T", "dy @ self.W")],
            TWICE: [("x.T, dy)", "x.T / len(x), dy)"), ("channel_sum(dy)", "channel_sum(dy) / len(x)")],
            "param_grads=False must leave dW and db as they are": [("if param_grads:", "if True:")],
        },
    ),
    Exercise(
        "leaky_relu_backward",
        LAYERS + "activations:leaky_backward",
        "dx = dy where x was positive, else alpha·dy. `positive` is true where x > 0.",
        ("The slope is 1 or alpha, and dx is the slope times dy.", "A mask of true and false times dy keeps or drops dy."),
        leaky,
        {
            "the mask is taken from dy: which way a number went is decided by x": [("positive.astype(", "(dy > 0).astype(")],
            "the slope alpha is missing: that is ReLU": [
                ("xp.maximum(positive.astype(dy.dtype), alpha)", "positive.astype(dy.dtype)")
            ],
        },
    ),
    Exercise(
        "tanh_backward",
        LAYERS + "activations:Tanh.backward",
        "dx, from dy and the output y, which is the cache.",
        ("tanh' = 1 - tanh², and tanh x is y.", "dx = dy · (1 - y²), and None unless input_grad."),
        tanh,
        {
            "y in place of y²": [("1 - y * y", "1 - y")],
            "dy is missing: the chain rule is a product": [("dy * (1 - y * y)", "(1 - y * y)")],
        },
    ),
    Exercise(
        "sigmoid_backward",
        LAYERS + "activations:Sigmoid.backward",
        "dx, from dy and the cache (y, 1 - y).",
        ("σ' = σ (1 - σ).", "dx = dy · y · rest, where rest is 1 - y with all its digits."),
        sigmoid,
        {
            "the factor 1 - y is missing": [("(y * rest)", "y")],
            "dy is missing: the chain rule is a product": [("dy * (y * rest)", "y * rest")],
        },
    ),
    Exercise(
        "dropout_forward",
        LAYERS + "dropout:Dropout.forward",
        "(y, mask): in training every number is dropped with probability `rate`. In evaluation (x, None).",
        (
            "The mask is 0 or 1/(1 - rate), so that the mean of y is x.",
            "drop(x, noise, rate, scale) gives (y, mask): 0 where noise < rate, else scale times x.",
            "noise = asarray(shard_rng(self.rng).random(x.shape, dtype='float32')).",
        ),
        dropout,
        {
            "what is kept is not divided by 1 - rate": [("1 / (1 - self.rate)", "1.0")],
            "evaluation drops too": [("not train or self.rate == 0", "self.rate == 0")],
        },
    ),
    Exercise(
        "sequential_forward",
        LAYERS + "sequential:Sequential.forward",
        "(y, caches): x through all layers, first to last.",
        ("What one layer returns is the next one's x.", "caches is the list of all caches, in the order of self.layers."),
        sequential,
        {"`train` is not passed on": [("layer.forward(x, train)", "layer.forward(x, True)")]},
    ),
    Exercise(
        "sequential_backward",
        LAYERS + "sequential:Sequential.backward",
        "The chain rule: dy back through the layers, last to first. Return dx; None unless input_grad.",
        (
            "What one layer's backward returns is the dy of the layer before it.",
            "cache[i] belongs to self.layers[i]; pass param_grads on.",
            "Without input_grad the first layer with parameters is the last that is visited, with input_grad=False.",
        ),
        sequential,
        {
            "from the first layer to the last": [("reversed(range(lowest, len(layers)))", "range(lowest, len(layers))")],
            "param_grads is not passed on": [("cache[i], param_grads,", "cache[i], True,")],
        },
    ),
    Exercise(
        "softplus",
        LOSSES + "softplus",
        "log(1 + eˣ), also for x = 800.",
        ("e⁸⁰⁰ is too large for a float.", "log(1 + eˣ) = log(e⁰ + eˣ), which NumPy has as logaddexp."),
        softplus,
        {"eˣ overflows: take a form that never computes it alone": [("xp.logaddexp(0.0, x)", "xp.log(1 + xp.exp(x))")]},
    ),
    Exercise(
        "loss_as_real",
        LOSSES + "as_real",
        "-log σ(a) for each logit, not averaged; and the derivative of its average.",
        (
            "-log σ(a) = softplus(-a).",
            "softplus' = σ, and the inner derivative is -1.",
            "The derivative is -(σ(-a) - rest)/N; rest is 0 without label smoothing.",
        ),
        as_real,
        {
            NEVER: [(") / N", ")")],
            TWICE: [(") / N", ") / N / N")],
            "the sign: a larger logit makes this loss smaller": [("-(sigmoid", "(sigmoid")],
        },
    ),
    Exercise(
        "loss_as_fake",
        LOSSES + "as_fake",
        "-log(1 - σ(b)) for each logit, not averaged; and the derivative of its average.",
        ("-log(1 - σ(b)) = softplus(b).", "softplus' = σ."),
        as_fake,
        {NEVER: [("sigmoid(b) / N", "sigmoid(b)")], TWICE: [("sigmoid(b) / N", "sigmoid(b) / N / N")]},
    ),
    Exercise(
        "nonsaturating_generator",
        LOSSES + "NonSaturating.generator",
        "G's loss, mean -log σ(b), and its derivative.",
        (
            "G wants that D takes its fakes for real.",
            "as_real(b, 0.0, N) is what D has for real images.",
            "b, = check_logits(self, logits_fake); return mean(value), db.",
        ),
        generator(mg.losses.NonSaturating),
        {
            "the saturating loss: its slope vanishes where D is sure of the fakes": [
                ("as_real(b, 0.0, len(b))", "as_fake(b, len(b))"),
                ("mean(value), db", "-mean(value), -db"),
            ],
            "the sum in place of the mean": [("mean(value), db", "value.sum(), db")],
            NEVER: [("mean(value), db", "mean(value), db * len(b)")],
            TWICE: [("mean(value), db", "mean(value), db / len(b)")],
        },
    ),
    Exercise(
        "least_squares_discriminator",
        LOSSES + "LeastSquares.discriminator",
        "(value, dlogits_real, dlogits_fake) of mean (a - 1)²/2 + mean b²/2.",
        ("The derivative of (a - 1)²/2 is a - 1.", "The mean gives each logit 1/N of it. The 1 is self.real_label."),
        discriminator(mg.losses.LeastSquares),
        {
            NEVER: [("distance / len(a), b / len(b)", "distance, b")],
            TWICE: [("distance / len(a), b / len(b)", "distance / len(a) ** 2, b / len(b) ** 2")],
            "a factor 2: the 1/2 of the loss takes it away": [
                ("distance / len(a), b / len(b)", "2 * distance / len(a), 2 * b / len(b)")
            ],
        },
    ),
    Exercise(
        "wasserstein_discriminator",
        LOSSES + "Wasserstein.discriminator",
        "(value, da, db) of mean b - mean a.",
        ("The loss is linear, so the derivatives are numbers.", "-1/N for real logits, 1/N for fakes."),
        discriminator(mg.losses.Wasserstein),
        {
            "the signs of the two are exchanged": [
                ("xp.full_like(a, -1 /", "xp.full_like(a, 1 /"),
                ("xp.full_like(b, 1 /", "xp.full_like(b, -1 /"),
            ],
            NEVER: [("-1 / len(a)", "-1"), ("1 / len(b)", "1")],
        },
    ),
    Exercise(
        "hinge_discriminator",
        LOSSES + "Hinge.discriminator",
        "(value, da, db) of mean max(0, 1-a) + mean max(0, 1+b).",
        ("Where a maximum is 0 its derivative is 0.", "(a < 1).astype(a.dtype) is 1 where the loss still pulls."),
        discriminator(mg.losses.Hinge),
        {
            "the slope is not cut where the loss is 0": [
                ("-(a < 1).astype(a.dtype) /", "-xp.ones_like(a) /"),
                ("(b > -1).astype(b.dtype) /", "xp.ones_like(b) /"),
            ],
            "the margin of fakes is at -1, not at 1": [("(b > -1)", "(b > 1)")],
            NEVER: [(" / len(a)", ""), (" / len(b)", "")],
        },
    ),
    Exercise(
        "sgd",
        OPTIMIZERS + "sgd",
        "velocity = momentum · velocity + dtheta; theta = theta - lr · velocity, both in place.",
        ("In place: velocity *= ..., theta -= ...; no new arrays.", "First the velocity, then theta."),
        sgd,
        {
            "the momentum is missing": [("velocity *= momentum", "velocity *= 0")],
            "theta is a new array: the network keeps the old one": [
                ("theta -= lr * velocity", "theta = theta - lr * velocity")
            ],
        },
    ),
    Exercise(
        "adam_bias_correction",
        OPTIMIZERS + "Adam.count_step",
        "Step t + 1 begins. Return (lr, lr_t, eps_t) with lr_t = lr·√(1 - beta2ᵗ)/(1 - beta1ᵗ), eps_t = eps · √(1 - beta2ᵗ).",
        (
            "Optimizer's own count_step counts t and returns (lr,); it is called first.",
            "t is 1 in the first step.",
            "m̂/(√v̂ + eps) with both divisors multiplied out gives lr_t and eps_t.",
        ),
        adam_corrections,
        {
            "Adam without bias correction": [
                (
                    "lr * root_weights / (1 - self.beta1 ** self.t), max(self.eps * root_weights, tiny)",
                    "lr, max(self.eps, tiny)",
                )
            ],
            "only m is corrected, not v": [("math.sqrt(1 - self.beta2 ** self.t)", "1.0")],
        },
    ),
    Exercise(
        "adam",
        OPTIMIZERS + "adam",
        "m, root and theta in place. root is √v, lr_t and eps_t hold the bias corrections.",
        (
            "m = beta1 · m + newest_m · dtheta.",
            "root = √((root_beta2 · root)² + (root_newest_v · dtheta)²), root[...] = ...",
            "theta -= lr_t · m / (root + eps_t).",
        ),
        adam,
        {
            "eps inside the root": [("(m / (root + eps_t))", "(m / xp.sqrt(root * root + eps_t))")],
            "the newest gradient enters m without its weight 1 - beta1": [("newest_m * dtheta", "dtheta")],
            "uphill: the step goes against the gradient": [("theta -=", "theta +=")],
        },
    ),
    Exercise(
        "inverse_std",
        LAYERS + "statistics:inverse_std",
        "(1/√(var + eps), var) with var = mean(x²); x has the mean 0.",
        ("mean(values) is a function that you are given.", "What keeps overflow away may be left out here."),
        inverse_std,
        {
            "the unbiased variance, which divides by M - 1": [
                ("var = mean(x * x)", "var = mean(x * x) * len(x) / (len(x) - 1)")
            ],
            "eps outside of the root": [("xp.sqrt(var + eps) / (var + eps)", "1 / (xp.sqrt(var) + eps)")],
        },
    ),
    Exercise(
        "batch_norm_forward",
        LAYERS + "batch_norm:BatchNorm.forward",
        "(y, (x_hat, inv_std, train)): in training with mean and var of the batch, which also move the running ones.",
        (
            "x_hat = (x - mean) · inv_std, y = gamma · x_hat + beta; mean and var over all axes but the last.",
            "In evaluation mean and var are self.running_mean and self.running_var.",
            "self.move_running(mean, var) moves the running statistics, in training alone.",
        ),
        batch_norm_layer,
        {
            "evaluation statistics in training": [("if train:\n        def", "if False:\n        def")],
            "statistics of the batch in evaluation": [("if train:\n        def", "if True:\n        def")],
            "the running statistics are not moved": [("once_per_batch(lambda: self.move_running(mean, var))", "pass")],
        },
    ),
    Exercise(
        "batch_norm_backward",
        LAYERS + "batch_norm:normalized_backward",
        "dx in training: gamma · inv_std · (dy - dbeta/M - x_hat · dgamma/M).",
        (
            "The two subtractions take out what y cannot feel: a shift of x and a scaling of it.",
            "The derivation is at the top of batch_norm.py.",
        ),
        batch_norm_formula,
        {
            "the x̂ term is missing: x moves its own variance": [(" - x_hat * (dgamma / M)", "")],
            "the term of the mean is missing: x moves its own mean": [("dy - dbeta / M", "dy")],
            "gamma is missing": [("gamma * inv_std * dy", "inv_std * dy")],
        },
    ),
    Exercise(
        "same_padding",
        "minigan.padding:pad_and_count",
        "(zeros before, zeros behind, outputs) along an axis.",
        (
            "same: ⌈size/S⌉ outputs; the last patch ends at (outputs - 1)·S + K.",
            "Of an odd number of zeros the larger half comes behind.",
            "For a number p or valid (p = 0): (size + 2p - K) // S + 1 outputs.",
        ),
        pad_and_count,
        {
            "zeros on the wrong side: the larger half comes behind": [
                ("total // 2, total - total // 2", "total - total // 2, total // 2")
            ],
            "the number of outputs is rounded down": [("-(-size // S)", "size // S")],
        },
    ),
    Exercise(
        "im2col",
        LAYERS + "patches:gather",
        "The patches as rows: (N·OH·OW, K·K·C). Put `top` and `left` zeros before x.",
        (
            "cols[n, oh, ow, i, j, c] = padded[n, oh·S + i, ow·S + j, c].",
            "Two loops over i and j are enough: padded[:, i:i + S·OH:S, j:j + S·OW:S] are all pixels (i, j) of their patches.",
        ),
        im2col,
        {
            "rows and columns of a patch are exchanged": [("(n, S * h, S * w, h, w, c)", "(n, S * h, S * w, w, h, c)")],
            "the stride is missing": [("(n, S * h, S * w, h, w, c)", "(n, h, w, h, w, c)")],
        },
    ),
    Exercise(
        "col2im",
        LAYERS + "patches:scatter_add",
        "The adjoint of im2col: add all patches into images of `shape`.",
        (
            "A pixel that was copied to several patches collects the gradient of all.",
            "The loops of im2col, with the two sides exchanged and +=; then cut off the frame of zeros.",
        ),
        col2im,
        {
            "= in place of +=: patches overlap, and what lies under several collects from all": [
                ("S] += patches[", "S] = patches["),
                ("S] += rows[", "S] = rows["),
            ],
            "the frame is cut off on the wrong side": [("x[:, top:top + H, left:left + W]", "x[:, :H, :W]")],
        },
    ),
    Exercise(
        "conv",
        LAYERS + "convolution:conv",
        "The convolution as one product of matrices.",
        ("cols = im2col(x, K, stride, padding) is (N·OH·OW, K·K·C).", "W as a matrix is W.reshape(K·K·C, F)."),
        conv,
        {
            "the kernel is turned over: that is what mathematicians call a convolution": [
                ("W.reshape(", "W[::-1, ::-1].reshape(")
            ]
        },
    ),
    Exercise(
        "conv_adjoint",
        LAYERS + "convolution:conv_adjoint",
        "The adjoint of conv: dx of dy.",
        ("As in Dense: dy Wᵀ, the gradient of every patch.", "col2im(cols, shape, K, stride, padding) adds the patches up."),
        conv_adjoint,
        {TRANSPOSED: [("W.reshape(K * K * C, F).T", "W.reshape(K * K * C, F)")]},
    ),
    Exercise(
        "conv_weight_grad",
        LAYERS + "convolution:conv_weight_grad",
        "dW (K, K, C, F), from x and dy.",
        ("As in Dense: xᵀ dy, with the patches of x for x.", "im2col(...).T @ dy.reshape(-1, F), then (K, K, C, F)."),
        conv_weight_grad,
        {TWICE: [("dy.reshape(-1, F)", "dy.reshape(-1, F) / len(dy)")]},
    ),
    Exercise(
        "conv_backward",
        LAYERS + "convolution:Conv2D.backward",
        "Add dW and db, return dx.",
        ("conv_weight_grad and conv_adjoint do the work.", "db sums dy over n, oh and ow."),
        conv_layer,
        {
            EQUALS: [("self.dW +=", "self.dW[...] ="), ("self.db +=", "self.db[...] =")],
            "db is a mean: each bias collects the sum of dy": [("channel_sum(dy)", "dy.mean(axis=(0, 1, 2))")],
        },
    ),
    Exercise(
        "conv_transpose_backward",
        LAYERS + "convolution:ConvTranspose2D.backward",
        "Add dW and db, return dx.",
        (
            "The forward pass is conv_adjoint, so the backward pass is its adjoint: conv.",
            "For dW the two images change places: dy is the large one.",
        ),
        conv_transpose_layer,
        {
            "x and dy are exchanged in dW": [("conv_weight_grad(dy, x,", "conv_weight_grad(x, dy,")],
            EQUALS: [("self.dW +=", "self.dW[...] ="), ("self.db +=", "self.db[...] =")],
        },
    ),
    Exercise(
        "layer_norm_backward",
        LAYERS + "sample_norm:LayerNorm.B",
        "B(h) = inv_std · (h - mean h - x̂ · mean(h · x̂)).",
        ("It is BatchNorm's dx, with the means of one sample.", "self.mean(values) has a shape that broadcasts."),
        layer_norm,
        {
            "the x̂ term is missing": [(" - x_hat * self.mean(h * x_hat)", "")],
            "the term of the mean is missing": [("h - self.mean(h)", "h")],
        },
    ),
    Exercise(
        "power_iteration",
        LAYERS + "spectral_norm:SpectralNorm.power_iteration",
        "`rounds` rounds of p <- W q/‖W q‖, q <- Wᵀ p/‖Wᵀ p‖ on self.p (R, 1) and self.q (F, 1).",
        ("self.matrix(W) is the kernel as (R, F).", "direction(vector, otherwise) divides a vector by its length."),
        spectral_norm,
        {
            "p is not divided by its length": [("direction(M @ self.q, self.somewhere)", "M @ self.q")],
            TRANSPOSED: [("M.T @ self.p", "M @ self.p")],
        },
    ),
    Exercise(
        "spectral_norm_gradient",
        LAYERS + "spectral_norm:SpectralNorm.add_gradient",
        "Add dW = (dW_hat - <dW_hat, W_hat> p qᵀ)/sigma to self.layer.dW.",
        ("<A, B> is the sum of A · B over all elements.", "self.kernel(p @ q.T) has the shape of W."),
        spectral_norm,
        {
            "the term p qᵀ is missing: sigma depends on W, too": [("(dW_hat - along_W * self.kernel(p @ q.T))", "dW_hat")],
            EQUALS: [("self.layer.dW +=", "self.layer.dW[...] =")],
        },
    ),
    Exercise(
        "dense_double_backward",
        LAYERS + "dense:Dense.double_backward",
        "Add to dW, and return (u, s).",
        ("dx = dy Wᵀ is what is differentiated: a product of dy and W.", "u = v W, dW += vᵀ dy, and s is None."),
        dense_double,
        {TRANSPOSED: [("v @ self.W", "v @ self.W.T")], EQUALS: [("add_product(self.dW, v.T, dy)", "self.dW[...] = v.T @ dy")]},
    ),
    Exercise(
        "tanh_double_backward",
        LAYERS + "activations:Tanh.double_backward",
        "(u, s) of dx = dy · (1 - y²), y = tanh x.",
        (
            "u: the derivative in dy. s: that in x, with dy held constant.",
            "The derivative of 1 - tanh² is -2 tanh · (1 - tanh²).",
        ),
        tanh_double,
        {
            "s is missing: the slope depends on x": [("v * dy * (-2 * y * slope)", "None")],
            "the inner derivative 1 - y² is missing in s": [("-2 * y * slope", "-2 * y")],
        },
    ),
    Exercise(
        "gradient_norm",
        "minigan.penalties:gradient_norm",
        "weight · mean (‖∇D(xₙ)‖ - target)², with its gradient added to D.dtheta by D.double_backward(v, ones, cache).",
        (
            "g, cache, ones = input_gradient(D, x, known).",
            "The norm of each sample: a row of g.reshape(len(ones), -1) for each.",
            "v = ∂P/∂g = 2 weight/N · (‖g‖ - target) · g/‖g‖, in the shape of g.",
        ),
        gradient_norm,
        {
            "the norm over the batch: each sample has a slope of its own": [
                ("norm(g.reshape(len(ones), -1), axis=1)", "norm(g)")
            ],
            NEVER: [("(2 * weight / len(ones))", "(2 * weight)")],
            "the 2 of the square's derivative is missing": [("(2 * weight / len(ones))", "(weight / len(ones))")],
        },
    ),
    Exercise(
        "r1",
        "minigan.penalties:r1",
        "gamma/2 · mean ‖∇D(xₙ)‖², with its gradient added to D.dtheta.",
        ("The derivative of ‖g‖²/2 is g.", "v = gamma/N · g."),
        r1,
        {
            NEVER: [("(gamma / len(ones)) * g", "gamma * g")],
            "a factor 2: the 1/2 takes it away": [("(gamma / len(ones)) * g", "(2 * gamma / len(ones)) * g")],
        },
    ),
    Exercise(
        "discriminator_gradient",
        "minigan.gan:GAN._discriminator_gradient",
        "loss_D with its gradient in D.dtheta; return (loss_D, logits_fake, cache_fake).",
        (
            "D is gone through twice, and twice back: the gradients add up.",
            "D.zero_grad() once, before the first.",
            "self.scores and the penalties belong to it: see `solution`.",
        ),
        discriminator_gradient,
        {
            "the gradient of the real images is thrown away": [
                ("self.discriminate_backward(dlogits_fake,", "D.zero_grad(); self.discriminate_backward(dlogits_fake,")
            ],
            "the gradient of the step before is still there": [("D.zero_grad()", "pass")],
        },
    ),
    Exercise(
        "generator_gradient",
        "minigan.gan:GAN._generator_gradient",
        "loss_G with its gradient in G.dtheta; D is only passed.",
        ("From the loss back through D to the fakes, and on through G.", "D must not collect gradients: param_grads=False."),
        generator_gradient,
        {
            "D collects G's gradient: its next step would go the wrong way": [("param_grads=False", "param_grads=True")],
            "the gradient of the step before is still there": [("self.G.zero_grad()", "pass")],
        },
    ),
]
