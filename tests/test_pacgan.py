"""Maxout and Pack, the layers of PacGAN, and its networks. Gradients and contract are checked by the lines in cases.py."""
import itertools

import numpy as np
import pytest
from cases import build

import minigan as mg
from minigan import penalties
from minigan.backend import asarray, to_numpy
from minigan.gradcheck import check_double_backward
from minigan.layers import Dense, Maxout, Pack, Sequential

X = np.array([[-2.0], [-0.5], [1.0], [3.0]])


# --- Maxout ---

def test_two_pieces_make_an_absolute_value_and_three_a_bowl(backend):
    layer = Maxout(1, 1, pieces=2, dtype="float64")
    layer.W = asarray(np.array([[1.0, -1.0]]))
    np.testing.assert_allclose(to_numpy(layer(asarray(X))), abs(X))
    bowl = Maxout(1, 1, pieces=3, dtype="float64")
    bowl.W, bowl.b = asarray(np.array([[-1.0, 0.0, 1.0]])), asarray(np.array([-1.0, 0.0, -1.0]))
    np.testing.assert_allclose(to_numpy(bowl(asarray(X))), np.maximum(abs(X) - 1, 0))


def test_it_is_the_maximum_of_dense_layers(backend):
    layer = Maxout(4, 3, pieces=5, rng=mg.host_rng(0), dtype="float64")
    x = mg.host_rng(1).standard_normal((6, 4))
    W, b = to_numpy(layer.W), mg.host_rng(2).standard_normal(15)
    layer.b = asarray(b)
    pieces = [x @ W[:, 3 * k:3 * k + 3] + b[3 * k:3 * k + 3] for k in range(5)]
    np.testing.assert_allclose(to_numpy(layer(asarray(x))), np.max(pieces, axis=0))


def test_of_equal_pieces_exactly_one_gets_the_gradient(backend):
    layer = Maxout(2, 3, pieces=4, dtype="float64")
    layer.W = asarray(np.ones((2, 12)))
    y, cache = layer.forward(asarray(np.ones((5, 2))))
    dy = asarray(np.full((5, 3), 2.0))
    dx = layer.backward(dy, cache)
    np.testing.assert_array_equal(to_numpy(layer.db), [10] * 3 + [0] * 9)          # the first piece, of each output
    np.testing.assert_array_equal(to_numpy(dx), 6)                                 # as of a Dense layer of ones


def test_each_piece_starts_like_a_dense_layer_of_its_size():
    layer = Maxout(30, 20, pieces=5, rng=mg.host_rng(0))
    limit = np.sqrt(6 / (30 + 20))
    for k in range(5):
        assert 0.95 * limit < abs(layer.W[:, 20 * k:20 * k + 20]).max() <= limit
    assert not layer.b.any() and layer.size == (30 + 1) * 20 * 5
    assert (layer.I, layer.O, layer.pieces) == (30, 20, 5) and Maxout(2, 3).pieces == 5


@pytest.mark.parametrize("sizes", [(0, 3, 2), (3, 0, 2), (3, 3, 0), (3, 3, 2.0)])
def test_maxout_refuses_sizes(sizes):
    with pytest.raises(ValueError, match="Maxout: .* must be a whole number"):
        Maxout(*sizes)


# --- Pack ---

def test_pack_puts_consecutive_samples_side_by_side(backend):
    points = np.arange(12.0).reshape(6, 2)
    np.testing.assert_array_equal(to_numpy(Pack(3)(asarray(points))), [range(6), range(6, 12)])
    images = np.arange(4.0)[:, None, None, None] * np.ones((2, 3, 2))              # image n is full of n, in two channels
    packed = to_numpy(Pack(2)(asarray(images)))
    assert packed.shape == (2, 2, 3, 4)
    np.testing.assert_array_equal(packed[:, 0, 0], [[0, 0, 1, 1], [2, 2, 3, 3]])
    assert np.ptp(packed, axis=(1, 2)).max() == 0


def test_pack_of_one_changes_nothing(backend):
    x = mg.host_rng(0).standard_normal((3, 2, 4))
    np.testing.assert_array_equal(to_numpy(Pack(1)(asarray(x))), x)


@pytest.mark.parametrize("shape", [(5, 2), (1, 2), (7, 4, 4, 3), (6,)])
def test_pack_refuses_a_batch_that_it_cannot_divide(shape):
    layer = Pack(2)
    layer.name = "D.0"
    with pytest.raises(ValueError, match='Pack "D.0": expected .* multiple of m = 2, got'):
        layer(np.zeros(shape))


@pytest.mark.parametrize("m", [0, -1, 2.0, "2"])
def test_pack_refuses_other_numbers(m):
    with pytest.raises(ValueError, match="Pack: m must be a whole number"):
        Pack(m)


def test_the_batch_of_a_network_with_pack_stays_whole(in_shards):
    """In three shards of 4 samples no group of 6 would be whole, and the layer would refuse each."""
    w = {"rng": mg.host_rng(0), "dtype": "float64"}
    D, x = Sequential(Pack(6), Dense(12, 4, **w), Dense(4, 1, **w)), mg.host_rng(1).standard_normal((12, 2))
    np.testing.assert_allclose(D(x), D[1:](x.reshape(2, 12)))


# --- the networks ---

def test_the_networks_of_pacgan():
    for packing in (1, 3):
        G, D = mg.models.pacgan_toy(mg.host_rng(0), packing=packing)
        kinds = [type(layer).__name__ for layer in G]
        assert kinds == ["Dense", "BatchNorm", "ReLU"] * 4 + ["Dense"]
        assert [type(layer).__name__ for layer in D] == ["Pack", "Maxout", "Maxout", "Maxout", "Dense"]
        dense = [layer for layer in G if isinstance(layer, Dense)]
        assert [layer.W.shape for layer in dense] == [(2, 400), (400, 400), (400, 400), (400, 400), (400, 2)]
        assert [layer.bias for layer in dense] == [False] * 4 + [True]
        assert [layer.W.shape for layer in D[1:]] == [(2 * packing, 1000), (200, 1000), (200, 1000), (200, 1)]
        for network in (G, D):
            for name, value, _ in network.parameters():
                if name.endswith("W"):
                    assert abs(value.std() - 0.02) < 5 * 0.02 / np.sqrt(2 * value.size), name
                else:
                    assert (value == name.endswith("gamma")).all(), name
        z = mg.host_rng(1).standard_normal((12, 2)).astype("float32")
        assert G(z).shape == (12, 2) and D(G(z)).shape == (12 // packing, 1)


@pytest.mark.parametrize("packing", [1, 2, 3])
def test_the_larger_the_packs_the_better_D_sees_a_collapsed_G(packing):
    """Real: -1 or 1, equally often. Fake: always 1, perfect by itself. Of the real packs a share p = 1/2^packing looks like
    the fake ones; there the best D says p / (1 + p), elsewhere 1, and its loss falls with p."""
    real = np.array(list(itertools.product([-1, 1], repeat=packing)), "float32").reshape(-1, 1)
    fake = np.ones_like(real)
    w = {"rng": mg.host_rng(1)}
    D = Sequential(Pack(packing), Maxout(packing, 8, **w), Dense(8, 1, **w))
    adam, loss = mg.optimizers.Adam(1e-2), mg.losses.NonSaturating()
    adam.bind(D)
    for _ in range(1000):
        (logits_real, cache_real), (logits_fake, cache_fake) = D.forward(real), D.forward(fake)
        loss_D, dlogits_real, dlogits_fake = loss.discriminator(logits_real, logits_fake)
        D.zero_grad()
        D.backward(dlogits_real, cache_real, input_grad=False)
        D.backward(dlogits_fake, cache_fake, input_grad=False)
        adam.step()
    p = 0.5 ** packing
    assert loss_D == pytest.approx(-p * np.log(p / (1 + p)) + np.log(1 + p), abs=0.01)


def no_dW(layer, v, dy, x, won):
    return (won * (v @ layer.W).reshape(won.shape)).sum(axis=1), None


def all_pieces(layer, v, dy, x, won):
    layer.dW += v.T @ (won * dy[:, None]).reshape(len(v), -1)
    return (v @ layer.W).reshape(won.shape).sum(axis=1), None


def other_pieces_win(layer, v, dy, x, won):
    layer.dW += v.T @ (won * dy[:, None]).reshape(len(v), -1)
    return (v @ layer.W).reshape(won.shape).max(axis=1), None


def x_in_place_of_v(layer, v, dy, x, won):
    layer.dW += x.T @ (won * dy[:, None]).reshape(len(v), -1)
    return (won * (v @ layer.W).reshape(won.shape)).sum(axis=1), None


def only_reshaped(layer, v, dy, *cache):
    return v.reshape(dy.shape), None


def dy_in_place_of_v(layer, v, dy, *cache):
    return dy, None


@pytest.mark.parametrize("case, broken", [
    ("Maxout", no_dW), ("Maxout", all_pieces), ("Maxout", other_pieces_win), ("Maxout", x_in_place_of_v),
    ("Pack, images", only_reshaped), ("Pack, images", dy_in_place_of_v)])
def test_a_broken_double_backward_is_caught(case, broken):
    layer, x = build(case)
    assert check_double_backward(layer, x).ok
    layer.double_backward = lambda v, dy, cache: broken(layer, v, dy, *cache)
    assert not check_double_backward(layer, x).ok


def test_a_gradient_penalty_goes_through_both_layers():
    D = mg.models.pacgan_toy(mg.host_rng(0), packing=2)[1]
    x = mg.host_rng(1).standard_normal((8, 2)).astype("float32")
    D.zero_grad()
    value = penalties.r1(D, x, gamma=2.0)
    logits, cache = D.forward(x)
    g = D.backward(np.ones_like(logits), cache, param_grads=False).reshape(4, 4)
    assert value == pytest.approx((g * g).sum(axis=1).mean(), rel=1e-5)            # one norm a pack, over both its points
    assert all(abs(layer.dW).max() > 0 and not layer.dW.dtype == "float64" for layer in D[1:])


def test_the_summary_of_a_packed_network(capsys):
    _, D = mg.models.pacgan_toy(mg.host_rng(0), packing=3)
    D.summary((2,))
    assert "(N, 6)" in capsys.readouterr().out
    nested = Sequential(Pack(2), Sequential(Pack(3), mg.layers.Dense(12, 1)))
    nested.summary((2,))                               # of six points
    assert "(N, 1)" in capsys.readouterr().out
