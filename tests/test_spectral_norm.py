"""SpectralNorm: sigma is the largest singular value, its state moves as it should, and whole networks can be normalized."""
import copy

import numpy as np
import pytest
from cases import Residual, build, check, draw, randomized
from conftest import smallest

import minigan as mg
from minigan.backend import asarray, host_rng, to_numpy, xp
from minigan.gradcheck import check_double_backward, check_layer
from minigan.layers import (
    BatchNorm,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Flatten,
    LeakyReLU,
    Reshape,
    Sequential,
    SpectralNorm,
)
from minigan.layers.spectral_norm import normalize

w = {"dtype": "float64"}
INNER = {                                              # name: (layer, shape of x, axis of the output channels in W)
    "Dense": (lambda: Dense(6, 5, **w), (3, 6), 1),
    "Conv2D": (lambda: Conv2D(2, 5, 3, **w), (2, 4, 4, 2), 3),
    "ConvTranspose2D": (lambda: ConvTranspose2D(2, 5, 4, stride=2, **w), (2, 3, 3, 2), 2),
}
every = pytest.mark.parametrize("name", INNER)


def make(name, seed=0, **keywords):
    layer, shape, _ = INNER[name]
    rng = host_rng(seed)
    return SpectralNorm(randomized(layer(), rng), **keywords), draw(rng, shape)


def largest_singular_value(W, axis):
    W = np.moveaxis(to_numpy(W), axis, 0)
    return np.linalg.svd(W.reshape(len(W), -1), compute_uv=False)[0]


def sigma_of(layer):
    return to_numpy(layer.normalized(train=False)[3]).item()


# --- sigma ---

@every
def test_after_many_passes_sigma_is_the_largest_singular_value(backend, name):
    layer, x = make(name)
    for _ in range(300):
        layer.forward(x)
    axis = INNER[name][2]
    assert sigma_of(layer) == pytest.approx(largest_singular_value(layer.layer.W, axis), rel=1e-10)
    W_hat, u, v, _ = layer.normalized(train=False)
    assert largest_singular_value(W_hat, axis) == pytest.approx(1, rel=1e-10)
    np.testing.assert_allclose([np.linalg.norm(to_numpy(u)), np.linalg.norm(to_numpy(v))], 1, rtol=1e-12)


@every
def test_the_output_is_that_of_the_layer_with_W_over_sigma(backend, name):
    layer, x = make(name)
    plain = copy.deepcopy(layer.layer)
    plain.W = plain.W / sigma_of(layer)
    np.testing.assert_allclose(to_numpy(layer(x)), to_numpy(plain(x)), rtol=1e-12, atol=1e-12)


def test_one_round_a_step_follows_a_kernel_that_changes_slowly():
    layer, x = make("Conv2D")
    rng, errors = host_rng(3), []
    for _ in range(200):
        layer.layer.W += 0.03 * draw(rng, layer.layer.W.shape)
        layer.forward(x)
        errors.append(1 - sigma_of(layer) / largest_singular_value(layer.layer.W, 3))
    assert 0 <= min(errors) and max(errors[20:]) < 0.05    # power iteration comes from below


def test_a_fresh_layer_is_near_enough_for_an_evaluation():
    for seed in range(5):
        layer, x = make("Dense", seed)
        assert sigma_of(layer) == pytest.approx(largest_singular_value(layer.layer.W, 1), rel=0.3)
        layer = SpectralNorm(layer.layer)
        assert sigma_of(layer) == pytest.approx(largest_singular_value(layer.layer.W, 1), rel=0.02)


def test_a_dense_layer_stretches_nothing_and_a_convolution_at_most_K_times():
    """As matrices, whole layers: row i is what comes out for the i-th unit image."""
    units = np.eye(32).reshape(32, 4, 4, 2)
    stretch = {}
    for name, inner in (("conv", Conv2D(2, 3, 3, bias=False, **w)), ("strided", Conv2D(2, 3, 3, 2, bias=False, **w)),
                        ("transposed", ConvTranspose2D(2, 3, 3, 2, bias=False, **w)),
                        ("blur", Conv2D(2, 3, 3, bias=False, initializer=lambda rng, shape: np.ones(shape), **w))):
        layer = SpectralNorm(inner, iterations=300)
        layer.forward(units)
        stretch[name] = np.linalg.svd(layer(units).reshape(32, -1), compute_uv=False)[0]
    assert max(stretch.values()) <= 3 and stretch["blur"] > 2          # the bound is not far from what happens
    dense = SpectralNorm(Dense(6, 5, bias=False, **w), iterations=300)
    dense.forward(np.eye(6))
    assert np.linalg.svd(dense(np.eye(6)), compute_uv=False)[0] == pytest.approx(1, rel=1e-10)


def test_a_kernel_of_zeros_gives_zeros_and_no_nan(backend):
    layer = SpectralNorm(Dense(3, 2, bias=False, initializer=lambda rng, shape: np.zeros(shape)))
    x = asarray(np.ones((4, 3), "float32"))
    y, cache = layer.forward(x)
    np.testing.assert_array_equal(to_numpy(y), 0)
    layer.backward(0 * y, cache)
    np.testing.assert_array_equal(to_numpy(layer.layer.dW), 0)


# --- the state ---

@every
def test_u_and_v_move_once_in_a_training_pass_and_never_in_evaluation(backend, name):
    layer, x = make(name)
    v = to_numpy(layer.q).copy()
    layer.forward(x, train=False)
    np.testing.assert_array_equal(to_numpy(layer.q), v)
    layer.forward(x)
    M = np.moveaxis(to_numpy(layer.layer.W), INNER[name][2], -1).reshape(len(layer.p), len(v))
    u = M @ v / np.linalg.norm(M @ v)
    np.testing.assert_allclose(to_numpy(layer.p), u, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(to_numpy(layer.q), M.T @ u / np.linalg.norm(M.T @ u), rtol=1e-12, atol=1e-14)


def test_shards_move_p_and_q_once_and_give_the_numbers_of_the_whole(request):
    def run():
        mg.seed(0)                                     # of p and q
        rng = host_rng(0)
        net = Sequential(SpectralNorm(Conv2D(2, 3, 3, rng=rng, **w)), LeakyReLU(0.2), Flatten(),
                         SpectralNorm(Dense(48, 3, rng=rng, **w)))
        x, dy = draw(host_rng(1), (7, 4, 4, 2)), draw(host_rng(2), (7, 3))
        y, cache = net.forward(x)
        dx = net.backward(dy, cache)
        u, s = net.double_backward(x, dy, cache)
        return [y, dx, net.dtheta, u, *(value for _, value in net.states())], cache

    whole, _ = run()
    request.getfixturevalue("in_shards")
    shards, cache = run()
    assert isinstance(cache, mg.engine.shards.Sharded)
    for a, b in zip(shards, whole):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)


@every
def test_the_gradient_is_that_of_the_pass_whatever_becomes_of_the_state(backend, name):
    """GAN puts p and q back after its second look at the fakes, before it goes backward."""
    for train in (True, False):
        layer, x = make(name)
        y, cache = layer.forward(x, train)
        layer.backward(y, cache)
        expected = to_numpy(layer.layer.dW).copy()
        layer.p, layer.q = 2 * layer.p, 3 * layer.q
        layer.zero_grad()
        layer.backward(y, cache)
        np.testing.assert_array_equal(to_numpy(layer.layer.dW), expected)


# --- the gradient, beyond what the layer tests check with the entries of cases.py ---

@every
def test_with_u_and_v_frozen_it_is_exact_however_far_they_are(name):
    layer, x = make(name)
    layer.p, layer.q = draw(host_rng(5), layer.p.shape), draw(host_rng(6), layer.q.shape)
    report = check(layer, x, train=False, entries=100)
    assert report.ok, report
    report = check_double_backward(layer, x, train=False)
    assert report.ok, report


def test_while_they_are_far_from_the_maximum_moving_u_and_v_are_not_constants():
    """So the layer tests let u and v converge in each pass; the method itself takes them for constants always."""
    layer, x = make("Dense")
    layer.q = draw(host_rng(5), layer.q.shape)
    assert [row.name for row in check_layer(layer, x) if not row.ok] == ["dlayer.W"]
    layer.iterations = 300
    assert check_layer(layer, x).ok


@every
def test_dW_has_no_part_along_W(name):
    """Since scaling W changes nothing."""
    layer, x = make(name)
    y, cache = layer.forward(x)
    layer.backward(draw(host_rng(4), y.shape), cache)
    W, dW = layer.layer.W, layer.layer.dW
    assert abs((W * dW).sum()) < 1e-10 * np.linalg.norm(W) * np.linalg.norm(dW)


@pytest.mark.parametrize("name, wrong", [
    ("SpectralNorm", lambda layer, dW_hat, W_hat, u, v, sigma: dW_hat / sigma),
    ("SpectralNorm, Conv2D", lambda layer, dW_hat, W_hat, u, v, sigma: dW_hat / sigma),
    ("SpectralNorm, ConvTranspose2D", lambda layer, dW_hat, W_hat, u, v, sigma:
        (dW_hat - (dW_hat * W_hat).sum() * (u @ v.T).reshape(dW_hat.shape)) / sigma)])     # the axes in another order
def test_a_wrong_gradient_of_sigma_is_caught_in_both_derivatives(name, wrong):
    layer, x = build(name)

    def add_gradient(*arrays):
        layer.layer.dW += wrong(layer, *arrays)

    layer.add_gradient = add_gradient
    assert [row.name for row in check(layer, x) if not row.ok] == ["dlayer.W"]
    assert "dlayer.W" in [row.name for row in check_double_backward(layer, x) if not row.ok]


def test_the_same_numbers_as_pytorch():
    torch = pytest.importorskip("torch")
    ours, theirs = SpectralNorm(Dense(6, 5, **w)), torch.nn.Linear(6, 5, dtype=torch.float64)
    x, dy = draw(host_rng(1), (4, 6)), draw(host_rng(2), (4, 5))
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(ours.layer.W.T))
        theirs.bias.copy_(torch.tensor(ours.layer.b))
    theirs = torch.nn.utils.parametrizations.spectral_norm(theirs)
    their_x = torch.tensor(x, requires_grad=True)
    for _ in range(300):
        y, cache = ours.forward(x)
        their_y = theirs(their_x)
    their_y.backward(torch.tensor(dy))
    dx = ours.backward(dy, cache)
    for a, b in ((y, their_y.detach()), (dx, their_x.grad), (ours.layer.db, theirs.bias.grad),
                 (ours.layer.dW, theirs.parametrizations.weight.original.grad.T)):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-10, atol=1e-12)


# --- whole networks ---

def critic(seed=0):
    rng = {"rng": host_rng(seed)}
    return Sequential(Conv2D(1, 4, 3, stride=2, **rng), BatchNorm(4), LeakyReLU(0.2),
                      Sequential(Reshape(4, 4, 4), ConvTranspose2D(4, 2, 3, **rng)), Flatten(),
                      Residual(Dense(32, 32, **rng), LeakyReLU(0.2)), Dense(32, 1, **rng), name="D")


def test_normalize_wraps_every_layer_with_a_kernel_and_copies_the_rest(backend):
    D = critic()
    before = to_numpy(D.theta).copy()
    normalized = normalize(D)
    kinds = {path: type(layer).__name__ for path, layer in normalized.walk()}
    assert {path for path, kind in kinds.items() if kind == "SpectralNorm"} == {"0", "3.1", "5.body.0", "6"}
    assert kinds["0.layer"] == "Conv2D" and kinds["1"] == "BatchNorm" and kinds["5"] == "Residual"
    np.testing.assert_array_equal(to_numpy(normalized.theta), before)
    assert [layer.name for _, layer in normalized.walk()][:3] == ["D", "D.0", "D.0.layer"]

    x = asarray(host_rng(1).uniform(-1, 1, (3, 8, 8, 1)).astype("float32"))
    y, cache = normalized.forward(x)
    normalized.backward(y, cache)
    normalized.theta[...] = 0
    assert not to_numpy(normalized[6].layer.W).any() and not to_numpy(normalized[5].body[0].layer.W).any()
    np.testing.assert_array_equal(to_numpy(D.theta), before)           # the network that it was made of stays as it was
    assert not to_numpy(D.dtheta).any()
    assert not any(isinstance(layer, SpectralNorm) for _, layer in D.walk())


def test_normalizing_twice_is_normalizing_once():
    once = normalize(critic())
    assert [type(layer) for _, layer in normalize(once).walk()] == [type(layer) for _, layer in once.walk()]


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
def test_a_gan_trains_against_a_normalized_critic(backend, update):
    G, D = mg.models.mlp_gan(mg.host_rng(0), latent_dim=4, image_shape=(8, 8, 1))
    D = normalize(D)
    gan = mg.GAN(G, D, mg.losses.Hinge(), mg.optimizers.Adam(), mg.optimizers.Adam(), update)
    real = asarray(host_rng(0).uniform(-1, 1, (8, 8, 8, 1)).astype("float32"))
    start = {name: to_numpy(value).copy() for name, value in D.states()}
    theta = to_numpy(D.theta).copy()
    for step in range(3):
        losses = gan.train_step(real, gan.noise(8, mg.rng(step)))
    assert all(np.isfinite(float(to_numpy(loss))) for loss in losses)
    assert np.abs(to_numpy(D.theta) - theta).max() > 1e-4
    assert all(not np.array_equal(to_numpy(value), start[name]) for name, value in D.states() if value.size > 1)
    assert all(np.linalg.norm(to_numpy(value)) == pytest.approx(1, rel=1e-5) for _, value in D.states())


def test_a_checkpoint_keeps_u_and_v(tmp_path):
    def gan(seed):
        G, D = mg.models.toy_mlp(mg.host_rng(seed), width=8)
        return mg.GAN(G, normalize(D), mg.losses.Hinge(), mg.optimizers.Adam(), mg.optimizers.Adam())

    def train(gan, steps):
        for step in steps:
            gan.train_step(mg.host_rng(step).standard_normal((8, 2)).astype("float32"), gan.noise(8, mg.rng(step)))
        return gan

    first, second = gan(0), gan(1)
    mg.checkpoint.save(tmp_path / "c.npz", train(first, range(3)))
    mg.checkpoint.restore(second, mg.checkpoint.load(tmp_path / "c.npz"))
    train(first, range(3, 6)), train(second, range(3, 6))
    np.testing.assert_array_equal(first.D.theta, second.D.theta)
    for (_, a), (_, b) in zip(first.D.states(), second.D.states()):
        np.testing.assert_array_equal(a, b)


# --- mistakes of the caller ---

@pytest.mark.parametrize("error, message, call", [
    (TypeError, "SpectralNorm: takes a Dense, Conv2D or ConvTranspose2D, got BatchNorm", lambda: SpectralNorm(BatchNorm(3))),
    (TypeError, "SpectralNorm: takes a Dense, Conv2D or ConvTranspose2D, got 3", lambda: SpectralNorm(3)),
    (ValueError, "SpectralNorm: iterations must be a whole number of at least 1, got 0",
     lambda: SpectralNorm(Dense(3, 2), iterations=0)),
    (ValueError, "Dense: expected (N, 3), got (2, 4)",
     lambda: SpectralNorm(Dense(3, 2)).forward(np.ones((2, 4), "float32"))),
    (ValueError, "Sequential: number 0, SpectralNorm, belongs to a network already",
     lambda: Sequential(SpectralNorm(critic()[0])))])
def test_a_mistake_gives_one_error(error, message, call):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(message)


# --- kernels that are no numbers, for a while ---

@pytest.mark.parametrize("name", INNER)
@pytest.mark.parametrize("bad", [0.0, 1e-30, 3e38, np.inf, np.nan], ids=str)
def test_after_a_bad_kernel_sigma_is_found_again(backend, name, bad):
    make_layer, shape, axis = INNER[name]
    layer = SpectralNorm(make_layer())
    x, good = draw(host_rng(0), shape), to_numpy(layer.layer.W).copy()
    layer.layer.W = asarray(np.full(good.shape, bad))
    with np.errstate(invalid="ignore"):
        for _ in range(3):
            layer.forward(x)
    layer.layer.W = asarray(good)
    for _ in range(300):
        y, cache = layer.forward(x)
    assert largest_singular_value(cache[1], axis) == pytest.approx(1, rel=1e-9)
    layer.backward(y, cache)
    assert np.abs(to_numpy(layer.layer.dW)).max() < 100


def test_u_and_v_that_a_new_kernel_maps_to_zero_find_their_way(backend):
    """After a kernel of one number u and v are (1, 0, 0), with which the next one has nothing to do."""
    layer = SpectralNorm(Dense(3, 3, initializer=lambda rng, shape: np.diag([1.0, 0, 0])))
    layer.layer.W = np.array([[0, 0, 0], [0, 2, 2], [0, 2, 2.0]])
    for _ in range(30):
        _, cache = layer.forward(asarray(np.eye(3, dtype="float32")))
    assert np.linalg.norm(to_numpy(cache[1]), 2) == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-38, 1e-25, 1e25, 1e38])
def test_sigma_of_a_kernel_whose_squares_are_no_float32(backend, scale):
    start = host_rng(0).uniform(-1, 1, (4, 3))
    layer = SpectralNorm(Dense(4, 3, bias=False, initializer=lambda rng, shape: scale * start))
    for _ in range(50):
        y, cache = layer.forward(asarray(np.eye(4, dtype="float32")))
    seen = np.where(abs(scale * start) < smallest(backend, 0), 0, start)
    np.testing.assert_allclose(to_numpy(y), seen / np.linalg.svd(start)[1][0], rtol=1e-5, atol=1e-5)


def test_a_layer_that_begins_at_zero_comes_to_life(backend):
    layer = SpectralNorm(Dense(3, 3, initializer=lambda rng, shape: np.zeros(shape)))
    x = asarray(np.eye(3, dtype="float32"))
    y, cache = layer.forward(x)
    layer.backward(xp.ones_like(y), cache)
    np.testing.assert_array_equal(to_numpy(layer.layer.dW), 1)         # W_hat is W / 1 there, and dW = xᵀ dy
    layer.layer.W = asarray(np.diag([3.0, 2.0, 1.0]).astype("float32"))
    for _ in range(50):
        y, _ = layer.forward(x)
    np.testing.assert_allclose(to_numpy(y), np.diag([1, 2 / 3, 1 / 3]), atol=1e-6)


def test_u_and_v_begin_as_unit_vectors_of_the_generator():
    """Seen at a kernel of zeros, which power iteration leaves them at."""
    layer = SpectralNorm(Dense(3, 2, initializer=lambda rng, shape: np.zeros(shape), **w), rng=host_rng(5))
    rng = host_rng(5)
    for value, size in ((layer.p, 3), (layer.q, 2)):
        vector = rng.standard_normal((size, 1))
        np.testing.assert_allclose(value, vector / np.linalg.norm(vector), rtol=1e-12)
