"""`accelerated`: each faster equal against its definition, and the one place where it is chosen; `fuse` on long vectors; what
the shards of a batch share. (The kernels of a GPU: test_patches.py.)"""
import numpy as np
import pytest
from cases import Convolution, draw

import minigan as mg
from minigan import engine
from minigan.backend import host_rng
from minigan.engine import accelerate, batch_sum, fuse, in_shards, once_per_batch, pieces, shard_rng, tiles
from minigan.engine.exchange import sum_over_shards
from minigan.engine.fusion import FORMULAS
from minigan.engine.run import run
from minigan.layers import Conv2D
from minigan.layers import convolution as definitions
from minigan.layers.statistics import hypot

GEOMETRIES = [Convolution(N=5, H=7, W=6, C=2, F=3, K=K, S=S, padding=padding)
              for K, S, padding in ((4, 2, "same"), (3, 1, 1), (2, 2, "valid"), (5, 2, "same"), (2, 3, 3), (1, 1, "same"))]


def calls(c):
    """(name, arguments) of the three linear maps."""
    layer, x = c.layer(Conv2D), c.images()
    y, _ = layer.forward(x)
    dy, geometry = draw(host_rng(3), y.shape), (c.S, c.padding)
    return [("conv", (x, layer.W, *geometry)), ("conv_adjoint", (dy, layer.W, x.shape, *geometry)),
            ("conv_weight_grad", (x, dy, c.K, *geometry))]


@pytest.mark.parametrize("sizes", [1, 2000, 1 << 30])
@pytest.mark.parametrize("c", GEOMETRIES, ids=str)
def test_the_maps_of_a_convolution_are_those_of_the_definition(monkeypatch, c, sizes):
    monkeypatch.setattr(pieces, "CPU_BYTES", sizes)
    for name, arguments in calls(c):
        definition = getattr(definitions, name).__wrapped__
        expected, found = definition(*arguments), accelerate.ON_CPU[name](definition, *arguments)
        assert found.shape == expected.shape and found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13, err_msg=name)


def test_arguments_may_be_named():
    (_, (x, W, stride, padding)), *_ = calls(GEOMETRIES[0])
    expected = definitions.conv(x, W, stride, padding)
    np.testing.assert_array_equal(definitions.conv(x, W, padding=padding, stride=stride), expected)
    with pytest.raises(TypeError, match="stride"):
        definitions.conv(x, W, padding=padding)


@pytest.mark.parametrize("numbers", [[3.0, 4.0, 0.0, 1e-9], [3e25, 1e-30, 2e19, 1e-23], [np.inf, 1.0, 0.0, 5e-324]], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hypot_is_the_definition(dtype, numbers):
    a = np.array(numbers, "float64").clip(0, np.finfo(dtype).max if numbers[0] < np.inf else np.inf).astype(dtype)
    b = a[::-1].copy()
    with np.errstate(over="ignore"):
        found, expected = accelerate.ON_CPU["hypot"](hypot.__wrapped__, a, b, 1e-8), hypot.__wrapped__(a, b, 1e-8)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-15)         # 1e-7 of `negligible` may be lost


def test_a_plain_run_chooses_none(monkeypatch):
    assert accelerate.chosen("conv") is tiles.conv and accelerate.chosen("no such name") is None
    monkeypatch.setenv("MINIGAN_PLAIN", "1")
    assert [accelerate.chosen(name) for name in (*accelerate.ON_CPU, *accelerate.ON_GPU)] == [None] * 9


def step():
    """What a step of dcgan_28 leaves, in float64."""
    G, D = mg.models.dcgan_28(host_rng(0), dtype="float64", dropout=0.0)
    gan = mg.GAN(G, D, mg.losses.NonSaturating(), mg.optimizers.Adam(), mg.optimizers.Adam())
    gan.train_step(host_rng(1).uniform(-1, 1, (6, 28, 28, 1)), gan.noise(6, mg.rng(2)))
    return G.dtheta.copy(), D.dtheta.copy()


def test_a_plain_step_is_the_accelerated_one(monkeypatch):
    accelerated = step()
    monkeypatch.setenv("MINIGAN_PLAIN", "1")
    for found, expected in zip(step(), accelerated):
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-14)


def test_a_wrong_equal_would_be_noticed(monkeypatch):
    expected = step()
    monkeypatch.setitem(accelerate.ON_CPU, "conv_adjoint", lambda definition, *arguments: 1.001 * definition(*arguments))
    assert any(not np.allclose(a, b, rtol=1e-6, atol=0) for a, b in zip(step(), expected))


# --- fuse ---

def in_place(x, y, factor): x += factor * y
def one_array(x, y, factor): return x * y + factor
def two_arrays(x, y, factor): return x + factor, x * y


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("formula", [in_place, one_array, two_arrays], ids=lambda formula: formula.__name__)
def test_long_vectors_in_pieces_are_those_at_once(monkeypatch, formula, threads):
    x, y = host_rng(0).standard_normal((2, 1003)).astype("float32")
    whole, cut = x.copy(), x.copy()
    expected = formula(whole, y, 0.3)
    monkeypatch.setattr(pieces, "VECTOR_BYTES", 400)
    monkeypatch.setattr(pieces, "workers", lambda: threads)
    fused = fuse(formula)
    FORMULAS.remove(fused)
    found = fused(cut, y, 0.3)
    np.testing.assert_array_equal(cut, whole)
    assert (found is None) == (expected is None)
    if expected is not None:
        np.testing.assert_array_equal(np.array(found), np.array(expected))


# --- what the shards share ---

def test_outside_of_shards_each_is_the_plain_thing():
    x, rng = np.arange(24.0).reshape(2, 3, 4), host_rng(0)
    np.testing.assert_array_equal(batch_sum(x), x.sum(axis=(0, 1)))
    np.testing.assert_array_equal(batch_sum(x[0, 0]), x[0, 0])
    assert batch_sum(7) == 7 and once_per_batch(lambda: "once") == "once" and shard_rng(rng) is rng


def test_a_whole_batch_draws_from_the_generator_itself_and_shards_from_generators_seeded_by_it():
    """So that a seed gives the same run in every version of minigan."""
    rng = host_rng(0)
    assert run(lambda i: shard_rng(rng) is rng, 1) == [True]
    assert run(lambda i: sum_over_shards("alone"), 1) == ["alone"]
    seeds = host_rng(0).integers(2 ** 63, size=3)
    assert run(lambda i: shard_rng(rng).random(), 3) == [host_rng(seed).random() for seed in seeds]


def test_in_shards_the_sum_is_over_all_and_once_is_once():
    x, seen, rng = np.arange(24.0).reshape(6, 4), [], host_rng(0)

    def work(i):
        part = x[2 * i:2 * i + 2]
        once = once_per_batch(lambda: seen.append(i) or i)
        return batch_sum(part), batch_sum(len(part)), once, shard_rng(rng).random()

    sums, counts, once, drawn = zip(*run(work, 3))
    assert counts == (6, 6, 6) and once == (0, 0, 0) and seen == [0] and len(set(drawn)) == 3
    for found in sums:
        np.testing.assert_array_equal(found, x.sum(axis=0))


def test_in_shards_cuts_as_asked_and_no_longer():
    net, x = mg.Sequential(mg.layers.Dense(3, 2, dtype="float64")), np.ones((5, 3))
    with in_shards(2):
        _, cache = net.forward(x)
        assert [s.stop - s.start for s in cache.slices] == [2, 3]
    assert not isinstance(net.forward(x)[1], engine.shards.Sharded)
