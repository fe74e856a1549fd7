"""The networks of the literature: layer by layer, in size, in bytes, and their whole gradients."""
import numpy as np
import pytest

import minigan as mg
from minigan.backend import rng_state, scalar, set_rng_state, to_numpy
from minigan.gradcheck import Report, compare
from minigan.layers import Dropout, LeakyReLU
from minigan.losses import LeastSquares, NonSaturating
from minigan.optimizers import SGD

# Every line: layer, sizes, settings. k kernel, s stride; "same" padding and a bias where nothing else is said.
LAYERS = {
    "mlp_gan": ("""
        Dense 100-256
        ReLU
        Dense 256-512
        ReLU
        Dense 512-1024
        ReLU
        Dense 1024-784
        Tanh
        Reshape 28x28x1
        """, """
        Flatten
        Dense 784-1024
        ReLU
        Dense 1024-512
        ReLU
        Dense 512-256
        ReLU
        Dense 256-1
        """),
    "dcgan_28": ("""
        Dense 100-12544 no bias
        BatchNorm 12544 momentum 0.99 eps 0.001
        LeakyReLU 0.3
        Reshape 7x7x256
        ConvTranspose2D 256-128 k5 s1 no bias
        BatchNorm 128 momentum 0.99 eps 0.001
        LeakyReLU 0.3
        ConvTranspose2D 128-64 k5 s2 no bias
        BatchNorm 64 momentum 0.99 eps 0.001
        LeakyReLU 0.3
        ConvTranspose2D 64-1 k5 s2 no bias
        Tanh
        """, """
        Conv2D 1-64 k5 s2
        LeakyReLU 0.3
        Dropout 0.3
        Conv2D 64-128 k5 s2
        LeakyReLU 0.3
        Dropout 0.3
        Flatten
        Dense 6272-1
        """),
    "dcgan_64": ("""
        Dense 100-8192
        BatchNorm 8192 momentum 0.99 eps 0.001
        LeakyReLU 0.2
        Reshape 8x8x128
        ConvTranspose2D 128-128 k4 s2
        BatchNorm 128 momentum 0.99 eps 0.001
        LeakyReLU 0.2
        ConvTranspose2D 128-64 k4 s2
        BatchNorm 64 momentum 0.99 eps 0.001
        LeakyReLU 0.2
        ConvTranspose2D 64-3 k4 s2
        Tanh
        """, """
        Conv2D 3-128 k4 s2
        LeakyReLU 0.2
        Conv2D 128-128 k4 s2
        LeakyReLU 0.2
        Flatten
        Dense 32768-1
        """),
    "dcgan_64_stem": ("""
        Dense 100-128
        LeakyReLU 0.2
        BatchNorm 128 momentum 0.8 eps 0.001
        Dense 128-128
        LeakyReLU 0.2
        BatchNorm 128 momentum 0.8 eps 0.001
        Dense 128-1024
        LeakyReLU 0.2
        BatchNorm 1024 momentum 0.8 eps 0.001
        Dense 1024-1024
        LeakyReLU 0.2
        BatchNorm 1024 momentum 0.8 eps 0.001
        Dense 1024-4096
        ReLU
        Reshape 4x4x256
        ConvTranspose2D 256-128 k4 s2
        BatchNorm 128 momentum 0.8 eps 0.001
        LeakyReLU 0.2
        ConvTranspose2D 128-128 k4 s2
        BatchNorm 128 momentum 0.8 eps 0.001
        LeakyReLU 0.2
        ConvTranspose2D 128-64 k4 s2
        BatchNorm 64 momentum 0.8 eps 0.001
        LeakyReLU 0.2
        ConvTranspose2D 64-3 k4 s2
        Tanh
        """, """
        Conv2D 3-64 k4 s2
        LeakyReLU 0.2
        Conv2D 64-128 k4 s2
        LeakyReLU 0.2
        Conv2D 128-128 k4 s2
        LeakyReLU 0.2
        Flatten
        Dense 8192-1
        """),
    "toy_mlp": ("""
        Dense 2-128
        LeakyReLU 0.2
        Dense 128-128
        LeakyReLU 0.2
        Dense 128-2
        """, """
        Dense 2-128
        LeakyReLU 0.2
        Dense 128-128
        LeakyReLU 0.2
        Dense 128-1
        """),
}
# The parameters of G and of D. For dcgan_28: what TensorFlow's tutorial prints, less its running statistics.
SIZES = {
    "mlp_gan": (
        100 * 256 + 256 + 256 * 512 + 512 + 512 * 1024 + 1024 + 1024 * 784 + 784,
        784 * 1024 + 1024 + 1024 * 512 + 512 + 512 * 256 + 256 + 256 + 1),
    "dcgan_28": (2_330_944 - 25_472, 212_865),
    "dcgan_64": (
        100 * 8192 + 8192 + 2 * 8192 + 16 * 128 * 128 + 128 + 2 * 128 + 16 * 128 * 64 + 64 + 2 * 64 + 16 * 64 * 3 + 3,
        16 * 3 * 128 + 128 + 16 * 128 * 128 + 128 + 16 * 16 * 128 + 1),
    "dcgan_64_stem": (
        100 * 128 + 128 + 128 * 128 + 128 + 128 * 1024 + 1024 + 1024 * 1024 + 1024 + 2 * (128 + 128 + 1024 + 1024)
        + 1024 * 4096 + 4096 + 16 * 256 * 128 + 128 + 16 * 128 * 128 + 128 + 16 * 128 * 64 + 64 + 2 * (128 + 128 + 64)
        + 16 * 64 * 3 + 3,
        16 * 3 * 64 + 64 + 16 * 64 * 128 + 128 + 16 * 128 * 128 + 128 + 8 * 8 * 128 + 1),
    "toy_mlp": (2 * 128 + 128 + 128 * 128 + 128 + 128 * 2 + 2, 2 * 128 + 128 + 128 * 128 + 128 + 128 + 1),
}
SHAPES = {"mlp_gan": (28, 28, 1), "dcgan_28": (28, 28, 1), "dcgan_64": (64, 64, 3), "dcgan_64_stem": (64, 64, 3),
          "toy_mlp": (2,)}
every_model = pytest.mark.parametrize("name", LAYERS)


def build(name, seed=0, **settings):
    return getattr(mg.models, name)(mg.host_rng(seed), **settings)


def describe(layer):
    """A layer in the words of the table above, from the shapes of its arrays and the settings that backward reads."""
    kind = type(layer).__name__
    words = [kind]
    if kind == "Dense":
        words += ["{}-{}".format(*layer.W.shape)]
    if kind in ("Conv2D", "ConvTranspose2D"):
        C, F = layer.W.shape[2:] if kind == "Conv2D" else layer.W.shape[:1:-1]
        words += [f"{C}-{F} k{layer.W.shape[0]} s{layer.stride}"] + [layer.padding] * (layer.padding != "same")
    if "W" in layer.parameter_names and "b" not in layer.parameter_names:
        words += ["no bias"]
    if kind == "BatchNorm":
        words += [f"{layer.gamma.size} momentum {layer.momentum} eps {layer.eps}"]
    if kind == "LeakyReLU":
        words += [str(layer.alpha)]
    if kind == "Dropout":
        words += [str(layer.rate)]
    if kind == "Reshape":
        words += ["x".join(map(str, layer.shape))]
    return " ".join(words)


@every_model
def test_layers(name):
    for network, expected in zip(build(name), LAYERS[name]):
        assert [describe(layer) for layer in network] == [line.strip() for line in expected.strip().split("\n")]


@every_model
def test_number_of_parameters(name):
    assert tuple(network.theta.size for network in build(name)) == SIZES[name]


@every_model
def test_G_makes_what_D_takes_and_D_gives_one_logit(backend, name):
    G, D = build(name)
    z = mg.asarray(mg.host_rng(1).standard_normal((2, G[0].I)).astype("float32"))
    images, logits = G(z), D(G(z))
    assert (images.shape, logits.shape) == ((2, *SHAPES[name]), (2, 1))
    assert (images.dtype, logits.dtype) == ("float32", "float32")
    assert name == "toy_mlp" or abs(to_numpy(images)).max() <= 1


@pytest.mark.parametrize("name, settings, latent_dim, shape", [
    ("mlp_gan", {"latent_dim": 7, "image_shape": (8, 6, 3)}, 7, (8, 6, 3)),
    ("dcgan_28", {"latent_dim": 5, "channels": 3}, 5, (28, 28, 3)),
    ("dcgan_64", {"latent_dim": 6, "channels": 1}, 6, (64, 64, 1)),
    ("dcgan_64_stem", {"latent_dim": 6, "channels": 1}, 6, (64, 64, 1)),
    ("toy_mlp", {"latent_dim": 4, "width": 9, "depth": 3, "data_dim": 5}, 4, (5,))])
def test_sizes_can_be_chosen(name, settings, latent_dim, shape):
    G, D = build(name, **settings)
    images = G(np.zeros((1, latent_dim), "float32"))
    assert (images.shape, D(images).shape) == ((1, *shape), (1, 1))
    if name == "toy_mlp":
        assert [layer.W.shape for layer in G if hasattr(layer, "W")] == [(4, 9), (9, 9), (9, 9), (9, 5)]
    if name == "dcgan_28":
        assert [layer.rate for layer in build(name, dropout=0.1)[1] if isinstance(layer, Dropout)] == [0.1, 0.1]


@pytest.mark.parametrize("name, sample_shape", [("mlp_gan", (8, 6, 3)), ("dcgan_28", (28, 28, 3)), ("toy_mlp", (5,)),
                                                ("dcgan_64", (64, 64, 1)), ("dcgan_64_stem", (64, 64, 1))])
def test_a_model_by_its_name_for_samples_of_a_shape(name, sample_shape):
    G, D = mg.models.build(name, mg.host_rng(0), sample_shape)
    images = G(np.zeros((1, G[0].I), "float32"))
    assert (images.shape, D(images).shape) == ((1, *sample_shape), (1, 1))
    assert [type(layer) for layer in G] == [type(layer) for layer in build(name)[0]]


@pytest.mark.parametrize("name, sample_shape", [
    ("dcgan_gan", (28, 28, 1)), ("dcgan", (28, 7, 1)), ("dcgan", (2,)), ("dcgan_28", (32, 32, 1)), ("dcgan_64", (2,)),
    ("dcgan_64_stem", (64, 32, 3)), ("mlp_gan", (2,)), ("toy_mlp", (8, 8, 1))])
def test_a_model_for_samples_that_it_cannot_make_is_refused(name, sample_shape):
    with pytest.raises(ValueError, match=f"model '?{name}|^dcgan: expected images of at least 8 x 8"):
        mg.models.build(name, mg.host_rng(0), sample_shape)


def everything(networks):
    """All bytes that make the networks: parameters, running statistics, generators."""
    values = [value for network in networks for value in (network.theta, *(value for _, value in network.states()))]
    values += [rng_state(generator) for network in networks for _, generator in network.generators()]
    return [to_numpy(value).tobytes() for value in values]


@every_model
def test_same_seed_same_bytes(name):
    small = {} if name == "toy_mlp" else {"latent_dim": 3}
    assert everything(build(name, 5, **small)) == everything(build(name, 5, **small))
    assert all(network.theta.tobytes() != other.theta.tobytes()
               for network, other in zip(build(name, 5, **small), build(name, 6, **small)))


def test_the_device_does_not_change_the_weights(standin):
    on_device = [to_numpy(network.theta) for network in build("dcgan_64", latent_dim=3)]
    mg.use("cpu")
    for there, network in zip(on_device, build("dcgan_64", latent_dim=3)):
        np.testing.assert_array_equal(there, network.theta)


@every_model
def test_float64_is_the_same_network(name):
    """The same draws, rounded to float32 in one of them; so are the outputs."""
    single, double = build(name), build(name, dtype="float64")
    for a, b in zip(single, double):
        assert (a.theta.dtype, b.theta.dtype) == ("float32", "float64")
        np.testing.assert_array_equal(a.theta, b.theta.astype("float32"))
    z = mg.host_rng(1).standard_normal((3, double[0][0].I))
    images, logits = double[0](z), double[1](double[0](z))
    assert images.dtype == logits.dtype == "float64"
    np.testing.assert_allclose(single[0](z.astype("float32")), images, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(single[1](images.astype("float32")), logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["dcgan_28", "dcgan_64", "dcgan_64_stem"])
def test_dcgan_starts_from_normal_weights_of_std_0_02(name):
    for network in build(name):
        for key, value, _ in network.parameters():
            if key.endswith("W"):
                assert abs(value.std() - 0.02) < 5 * 0.02 / np.sqrt(2 * value.size), key
                assert abs(value.mean()) < 5 * 0.02 / np.sqrt(value.size), key
            else:
                assert (value == key.endswith("gamma")).all(), f"{key}: gamma starts at 1, beta and biases at 0"


def test_the_other_models_start_from_glorots_interval():
    weights = [layer.W for name in ("mlp_gan", "toy_mlp") for network in build(name) for layer in network if layer.size]
    for W in weights:
        assert 0.95 < abs(W).max() / np.sqrt(6 / sum(W.shape)) <= 1


# --- the gradients of the whole chain ---

class FixedSides:
    """LeakyReLU.forward for networks that are moved by a hair: the calls of one evaluation stay on the sides of the
    kink where those of the first one were. The derivative is the layer's, and no kink spoils the differences."""

    def __init__(self):
        self.sides, self.calls = [], 0

    def forward(self, layer, x, train=True):
        if self.calls == len(self.sides):
            self.sides.append(x > 0)
        self.calls += 1
        return np.where(self.sides[self.calls - 1], x, layer.alpha * x), self.sides[self.calls - 1]


def directions(network, rng):
    """{layer: (its piece of theta, a random direction there)}; each array of a layer weighs the same in the slope."""
    pieces, start = {}, 0
    for layer in network:
        gradients = [getattr(layer, "d" + name).ravel() for name in layer.parameter_names]
        if gradients:
            parts = [rng.standard_normal(g.size) / max(np.linalg.norm(g), 0.01) for g in gradients]
            pieces[str(layer)] = slice(start, start + layer.size), np.concatenate(parts)
        start += layer.size
    return pieces


def check_chain(monkeypatch, networks, loss, real_shape):
    """What train_step leaves in D.dtheta and G.dtheta against central differences of the losses, along one direction
    for each layer, in which all its parameters move at once."""
    G, D = networks
    gan = mg.GAN(G, D, loss, SGD(0.0), SGD(0.0), "simultaneous")
    rng = mg.host_rng(1)
    real, z = rng.uniform(-1, 1, real_shape), gan.noise(real_shape[0], rng)
    drawn = [(generator, rng_state(generator)) for _, generator in D.generators()]
    gan.train_step(real, z)
    fake = G.forward(z)[0]

    def loss_D():
        return loss.discriminator(D.forward(real)[0], D.forward(fake)[0])[0]

    def loss_G():
        if drawn:
            D.forward(real)                                 # takes the first masks, as in the step
        return loss.generator(D.forward(G.forward(z)[0])[0])[0]

    report = Report(f"the step with {loss}")
    for network, f in ((D, loss_D), (G, loss_G)):
        theta, pieces, fixed = network.theta.copy(), directions(network, rng), FixedSides()
        steps = {name: np.zeros(1) for name in pieces}

        def loss_after_a_step(network=network, f=f, theta=theta, pieces=pieces, fixed=fixed, steps=steps):
            fixed.calls = 0
            for generator, state in drawn:                  # the dropout masks of the step
                set_rng_state(generator, state)
            for name, (piece, direction) in pieces.items():
                network.theta[piece] = theta[piece] + steps[name][0] * direction
            return scalar(f())

        slopes = {name: np.array([network.dtheta[piece] @ direction]) for name, (piece, direction) in pieces.items()}
        with monkeypatch.context() as patch:
            patch.setattr(LeakyReLU, "forward", lambda layer, x, train=True, fixed=fixed: fixed.forward(layer, x))
            compare(report, loss_after_a_step, steps, slopes, rng, h=1e-7)      # BatchNorm of two samples bends a lot
        network.theta[...] = theta
    return report


@every_model
def test_gradients_of_the_whole_chain(monkeypatch, name):
    latent = {} if name == "toy_mlp" else {"latent_dim": 10}
    loss = LeastSquares() if name == "dcgan_64_stem" else NonSaturating()
    networks = build(name, dtype="float64", **latent)
    report = check_chain(monkeypatch, networks, loss, (2, *SHAPES[name]))
    assert report.ok, report
    assert len(report) == sum(layer.size > 0 for network in networks for layer in network)


def test_a_wrong_layer_is_caught(monkeypatch):
    """Test of the test: an activation whose backward forgets the slope of its negative side."""
    monkeypatch.setattr(LeakyReLU, "backward", lambda layer, dy, cache, param_grads=True, input_grad=True: dy * cache)
    report = check_chain(monkeypatch, build("toy_mlp", dtype="float64"), NonSaturating(), (2, 2))
    assert [row.ok for row in report] == [False, False, True] + [False] * 3         # D's last layer has none above it
