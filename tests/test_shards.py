"""Batches cut into shards: the same numbers as in one piece, the same bytes each time, and errors that come through."""
import concurrent.futures
import contextlib
import multiprocessing
import os
import random
import signal
import threading
import time

import numpy as np
import pytest
from cases import CASES, Residual, build, draw

import minigan as mg
from minigan.engine import blas as blas_threads
from minigan.engine import exchange, pieces, shards, threads
from minigan.engine import run as run_module
from minigan.engine.blas import blas
from minigan.engine.run import run
from minigan.engine.threads import workers
from minigan.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    Pack,
    Sequential,
    Tanh,
)


def network(seed=0):
    """One of everything: BatchNorm, Dropout, a network inside, a composite."""
    w = dict(rng=mg.host_rng(seed), dtype="float64")
    return Sequential(Conv2D(2, 3, 3, **w), BatchNorm(3, dtype="float64"), LeakyReLU(0.2), Flatten(),
                      Sequential(Dense(48, 6, **w), Tanh()), Residual(Dense(6, 6, **w), BatchNorm(6, dtype="float64")),
                      Dropout(0.0, rng=mg.rng(1)), Dense(6, 2, **w))


def passes(net, N=7, train=True):
    """Everything that a forward and a backward pass compute."""
    x, dy = draw(mg.host_rng(1), (N, 4, 4, 2)), draw(mg.host_rng(2), (N, 2))
    y, cache = net.forward(x, train)
    net.zero_grad()
    dx = net.backward(dy, cache)
    return {"y": y, "dx": dx, "dtheta": net.dtheta.copy(), **{name: value.copy() for name, value in net.states()}}


def assert_close(a, b):
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-10, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("N", [2, 4, 7])
@pytest.mark.parametrize("train", [True, False])
def test_shards_give_the_numbers_of_the_whole(request, N, train):
    whole = passes(network(), N, train)
    request.getfixturevalue("in_shards")
    assert_close(passes(network(), N, train), whole)


@pytest.mark.parametrize("name", ["mlp_gan", "dcgan_28", "dcgan_64_stem"])
@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
def test_a_training_step_in_shards_is_that_of_the_whole(request, name, update):
    def step():
        kind = {"dropout": 0.0} if name == "dcgan_28" else {"image_shape": (8, 8, 1)} if name == "mlp_gan" else {}
        G, D = getattr(mg.models, name)(mg.host_rng(0), latent_dim=5, dtype="float64", **kind)
        gan = mg.GAN(G, D, mg.losses.NonSaturating(), mg.optimizers.SGD(0.1), mg.optimizers.SGD(0.1), update=update)
        real = draw(mg.host_rng(1), G(draw(mg.host_rng(0), (6, 5))).shape)
        losses = gan.train_step(real, gan.noise(6, mg.rng(0)))
        return {"losses": np.array(losses), "G": G.theta, "D": D.theta, "dG": G.dtheta, "dD": D.dtheta, **dict(G.states())}

    whole = step()
    request.getfixturevalue("in_shards")
    assert_close(step(), whole)


@pytest.mark.parametrize("cut", [False, True])
def test_a_network_trains_by_default_and_gives_both_gradients(request, cut):
    if cut:
        request.getfixturevalue("in_shards")
    net, x = network(), draw(mg.host_rng(1), (7, 4, 4, 2))
    y, cache = net.forward(x)
    np.testing.assert_array_equal(y, network().forward(x, True)[0])
    assert not np.array_equal(y, network().forward(x, False)[0])
    net.zero_grad()
    assert net.backward(np.ones_like(y), cache).shape == x.shape and abs(net.dtheta).max() > 0


def test_the_same_bytes_each_time(in_shards):
    def run():
        net = Sequential(Dense(4, 40, rng=mg.host_rng(0)), BatchNorm(40), Dropout(0.5, rng=mg.rng(3)),
                         Dense(40, 3, rng=mg.host_rng(4)))
        x, dy = draw(mg.host_rng(1), (50, 4), "float32"), draw(mg.host_rng(2), (50, 3), "float32")
        for _ in range(3):
            y, cache = net.forward(x)
            net.backward(dy, cache)
        return y.tobytes() + net.dtheta.tobytes()

    assert len({run() for _ in range(20)}) == 1


def test_dropout_draws_other_masks_in_every_shard_and_every_pass(in_shards):
    net, x = Sequential(Dropout(0.5, rng=mg.rng(0)), Dense(100, 1)), np.ones((6, 100), "float32")
    masks = [cache[0] for _ in range(2) for cache in net.forward(x)[1].caches]
    assert len({mask.tobytes() for mask in masks}) == 6
    assert 0.4 < np.mean([mask > 0 for mask in masks]) < 0.6


def test_the_backward_pass_adds_and_can_leave_out(in_shards):
    net = network()
    once = passes(net)
    x, dy = draw(mg.host_rng(1), (7, 4, 4, 2)), draw(mg.host_rng(2), (7, 2))
    _, cache = net.forward(x)
    net.backward(dy, cache)
    np.testing.assert_allclose(net.dtheta, 2 * once["dtheta"], rtol=1e-12, atol=1e-14)
    before = net.dtheta.copy()
    np.testing.assert_array_equal(net.backward(dy, cache, param_grads=False), once["dx"])
    np.testing.assert_array_equal(net.dtheta, before)
    assert net.backward(dy, cache, input_grad=False) is None


class Centred(Layer):
    """A reader's layer that mixes the samples of a batch, and says nothing of shards."""

    def forward(self, x, train=True):
        return x - x.mean(axis=0), None

    def backward(self, dy, cache, param_grads=True, input_grad=True):
        return dy - dy.mean(axis=0)


def test_a_layer_that_may_mix_samples_gets_the_batch_whole(in_shards):
    net = Sequential(Dense(3, 2, dtype="float64"), Centred())
    y, cache = net.forward(draw(mg.host_rng(0), (9, 3)))
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-15)
    assert not isinstance(cache, shards.Sharded)


class Failing(Layer):
    """Fails in the shard that has the last sample."""

    samples = "independent"

    def forward(self, x, train=True):
        if x[-1, 0] == -1:
            raise ZeroDivisionError("the last shard")
        return x, None


def test_an_error_in_one_shard_is_raised_and_no_other_share_waits_for_ever(in_shards):
    net = Sequential(Failing(), BatchNorm(3, dtype="float64"), Dense(3, 2, dtype="float64"))
    x = draw(mg.host_rng(0), (9, 3))
    x[-1] = -1
    with pytest.raises(ZeroDivisionError, match="the last shard"):
        net.forward(x)
    x[-1] = 1
    assert net.forward(x)[0].shape == (9, 2)           # and the next batch goes through


def test_small_batches_are_not_cut():
    assert shards.cut(100, 10, 1) == [slice(0, 100)]


def test_the_layers_say_how_the_samples_depend_on_each_other():
    dense, convolution = Sequential(Dense(2, 2), Tanh()), Sequential(Conv2D(2, 3, 3), Flatten(), Dense(48, 1))
    assert shards.fewest(dense) == 128 and shards.fewest(convolution) == 2
    assert shards.fewest(Sequential(Conv2D(2, 3, 3), Centred())) is None
    assert shards.cut(1000, 10 ** 9, None) == [slice(0, 1000)]
    for name in CASES:
        layer, _ = build(name)
        assert layer.samples == {Pack: "mixed", BatchNorm: "summed"}.get(type(layer), "independent"), name


@pytest.mark.parametrize("fewest", [1, 8, 64])
def test_the_cut_covers_the_batch(monkeypatch, fewest):
    monkeypatch.setattr(shards, "workers", lambda: 4)
    for N in (2, 15, 16, 127, 128):
        slices = shards.cut(N, 10 ** 9, fewest)
        assert len(slices) == (4 if N >= 4 * fewest else 1)
        assert np.concatenate([np.arange(N)[s] for s in slices]).tolist() == list(range(N))
        sizes = [s.stop - s.start for s in slices]
        assert max(sizes) - min(sizes) <= 1


def test_an_optimizer_step_in_pieces_is_that_of_the_whole(request, monkeypatch):
    def step():
        net = Sequential(Dense(30, 40, rng=mg.host_rng(0)))
        adam = mg.optimizers.Adam()
        adam.bind(net)
        for seed in range(3):
            net.dtheta[...] = draw(mg.host_rng(seed), net.dtheta.shape, "float32")
            adam.step()
        return net.theta.tobytes()

    whole = step()
    request.getfixturevalue("in_shards")
    monkeypatch.setattr(pieces, "VECTOR_BYTES", 400)
    assert step() == whole


# --- how many threads BLAS has ---

def threads_of_blas():
    return [library["num_threads"] for library in blas().info() if library["user_api"] == "blas"]


def set_threads_of_blas(number):
    for library in blas_threads.blas_libraries():
        blas_threads.Limit(library).set(number)


@pytest.fixture
def four():
    """BLAS has four threads, as on a machine with four cores, and has them again after the test."""
    if not blas_threads.blas_libraries():
        pytest.skip("no BLAS that threadpoolctl knows")
    before = threads_of_blas()
    set_threads_of_blas(4)
    yield [4] * len(before)
    after = threads_of_blas()
    set_threads_of_blas(before[0])
    assert after == [4] * len(before) and not blas_threads._limits and exchange.batch_here() is None


class Look(Layer):
    """Notes how many threads BLAS has while its network runs."""

    def __init__(self, samples, seen):
        self.samples, self.seen = samples, seen

    def forward(self, x, train=True):
        self.seen.extend(threads_of_blas())
        return x, None


@pytest.mark.parametrize("samples, number", [("independent", 1), ("mixed", 3)])
def test_blas_has_one_thread_beside_others_and_all_for_a_whole_batch(four, in_shards, monkeypatch, samples, number):
    monkeypatch.setattr(shards, "WORK_FOR_BLAS", 1)
    Sequential(Look(samples, seen := []), Dense(2, 1, dtype="float64")).forward(np.ones((9, 2)))
    assert set(seen) == {number}


def test_blas_gets_no_more_threads_than_it_has(four, in_shards, monkeypatch):
    net = Sequential(Look("mixed", seen := []), Dense(2, 1, dtype="float64"))
    with blas().limit(limits=2, user_api="blas"):
        for least, number in ((27, 2), (28, 1)):       # nine samples times three parameters
            monkeypatch.setattr(shards, "WORK_FOR_BLAS", least)
            seen.clear()
            net.forward(np.ones((9, 2)))
            assert set(seen) == {number} and set(threads_of_blas()) == {2}


class Batch:
    """A batch on its way in a thread of its own, with this limit for BLAS, until `leave`."""

    def __init__(self, limit):
        self.inside, self.done = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=run, args=(self.wait, 1, limit), daemon=True)
        self.thread.start()
        assert self.inside.wait(10)

    def wait(self, index):
        self.inside.set()
        assert self.done.wait(10)

    def leave(self):
        self.done.set()
        self.thread.join(10)


@pytest.mark.parametrize("limits", [(1, 1), (1, 3), (3, 1), (8, 1), (2, 8)])
@pytest.mark.parametrize("first", [0, 1])
def test_two_threads_of_a_program_at_once_leave_blas_as_it_was(four, limits, first):
    """Whoever goes first. While one is inside that wants one thread, no other has more."""
    batches = [Batch(limit) for limit in limits]
    assert set(threads_of_blas()) == {min(limits)}
    batches.pop(first).leave()
    assert set(threads_of_blas()) == {min(limits)}
    batches.pop().leave()
    assert threads_of_blas() == four


def test_a_limit_of_the_user_that_ends_while_a_batch_is_on_its_way(four):
    with blas().limit(limits=2, user_api="blas"):
        batch = Batch(1)
    batch.leave()
    assert threads_of_blas() == four


def test_a_limit_of_the_user_around_and_inside_a_batch(four):
    def inside(index):
        with blas().limit(limits=3, user_api="blas"):
            run(lambda index: None, 1, 2)
        return threads_of_blas()

    with blas().limit(limits=2, user_api="blas"):
        assert set(run(inside, 1, 1)[0]) == {1} and set(threads_of_blas()) == {2}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_inside_leaves_blas_as_it_was(four, in_shards, error):
    class Stops(Layer):
        samples = "independent"

        def forward(self, x, train=True):
            raise error

    for batch in (np.ones((9, 3)), np.ones((1, 3))):    # in shards, and whole
        with pytest.raises(error):
            Sequential(Stops(), Dense(3, 2, dtype="float64")).forward(batch)
        assert threads_of_blas() == four


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer on this system")
def test_an_interrupt_at_any_moment_leaves_blas_as_it_was(four):
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for _ in range(50):
            with contextlib.suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-4, 2e-3))
                while True:
                    run(lambda index: None, 1, 1)
            assert threads_of_blas() == four and exchange.batch_here() is None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_an_interrupt_between_the_shards_keeps_none_of_them_waiting(four, monkeypatch):
    started = []

    def interrupted(functions):
        started.extend(threads.start(functions))
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(lambda index: exchange.batch_here().barrier.wait(), 3)
    assert not concurrent.futures.wait(started, timeout=10).not_done


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_process_forked_while_a_batch_is_on_its_way_has_all_of_blas(four):
    batch = Batch(1)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply_async(threads_of_blas).get(timeout=60) == four
    batch.leave()


# --- several threads of a program ---

def test_batches_that_need_all_threads_do_not_wait_for_each_other(monkeypatch):
    """Each needs three threads of the pool at once, of which there are four; so not both may have two."""
    class Slow(concurrent.futures.ThreadPoolExecutor):
        def submit(self, function):
            time.sleep(0.001)                          # the other one comes in between
            return super().submit(function)

    pool, finished = Slow(4), 0
    monkeypatch.setattr(threads, "pool", lambda: pool)

    def use():
        nonlocal finished
        for _ in range(5):
            run(lambda index: exchange.batch_here().barrier.wait(5), 4)
        finished += 1

    users = [threading.Thread(target=use, daemon=True) for _ in range(3)]
    for user in users:
        user.start()
    for user in users:
        user.join(10)
    assert finished == 3


def test_a_thread_may_go_on_when_the_main_thread_has_come_to_its_end(in_shards, monkeypatch):
    """The pool takes no more work then."""
    pool = concurrent.futures.ThreadPoolExecutor(2)
    pool.shutdown()
    expected = passes(network())
    monkeypatch.setattr(threads, "pool", lambda: pool)
    assert_close(passes(network()), expected)


@pytest.mark.parametrize("cut", [False, True])
def test_one_network_may_be_evaluated_by_several_threads_at_once(request, cut):
    if cut:
        request.getfixturevalue("in_shards")
    net, inputs = network(), [draw(mg.host_rng(seed), (7, 4, 4, 2)) for seed in range(4)]
    alone = [net(x).tobytes() for x in inputs]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            assert [y.tobytes() for y in pool.map(net, inputs)] == alone


def test_each_thread_may_train_a_network_of_its_own(in_shards):
    def train(seed):
        net = network(seed)
        return [passes(net)["dtheta"].tobytes() for _ in range(3)]

    alone = [train(seed) for seed in range(4)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(train, range(4))) == alone


def test_an_optimizer_inside_a_layer(in_shards, monkeypatch):
    """Its step is not cut again: the shards stay those of one batch, as the BatchNorm behind it has to know."""
    monkeypatch.setattr(pieces, "VECTOR_BYTES", 8)

    class Steps(Layer):
        samples = "independent"

        def forward(self, x, train=True):
            pieces.in_pieces(lambda part: None, [np.zeros(100)])
            return x, None

    net = Sequential(Steps(), BatchNorm(3, eps=1e-9, dtype="float64"), Dense(3, 3, dtype="float64"))
    net[2].W[...] = np.eye(3)
    y, cache = net.forward(draw(mg.host_rng(0), (9, 3)))
    assert isinstance(cache, shards.Sharded)
    np.testing.assert_allclose(y[:3].mean(axis=0) + y[3:6].mean(axis=0) + y[6:].mean(axis=0), 0, atol=1e-12)
    assert abs(y[:3].mean(axis=0)).max() > 0.1         # the mean of a shard alone is none


def test_a_forked_process_has_threads_of_its_own(in_shards):
    passes(network())                                  # the threads of this process have run
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply_async(passes, (network(),)).get(timeout=60).keys() == passes(network()).keys()


def test_the_number_of_threads_can_be_set(monkeypatch):
    monkeypatch.setattr("minigan.engine.threads._threads", None)
    threads.use_threads(5)
    assert workers() == 5
    for wrong in (0, -1, 1000, 2.0, "4"):
        with pytest.raises(ValueError, match="number of threads"):
            threads.use_threads(wrong)


def test_numpy_settings_reach_every_shard(in_shards):
    net = Sequential(Dense(3, 2, dtype="float32"))
    with np.errstate(over="ignore", invalid="ignore"):
        net.forward(np.full((9, 3), 3e38, "float32"))  # elsewhere a warning, which is an error in these tests
