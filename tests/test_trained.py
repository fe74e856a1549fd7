"""A network from its description, and a trained model from its checkpoint alone."""
import json
import subprocess
import sys

import numpy as np
import pytest
from cases import CASES, build

import minigan as mg
from minigan import training
from minigan.backend import asarray, to_numpy
from minigan.layers import Dense, Sequential, Tanh
from minigan.layers.architecture import describe, make, words
from minigan.training.checkpoint import CheckpointError


def without_own_layers(kind):
    return "Parabola" not in kind


@pytest.mark.parametrize("kind", [*filter(without_own_layers, CASES)])
def test_a_layer_is_made_again_from_its_description(kind):
    layer, x = build(kind)
    described = json.loads(json.dumps(describe(layer)))
    again = make(described, "float64")
    assert type(again) is type(layer) and describe(again) == described
    for (name, value, _), (other, new, _) in zip(layer.parameters(), again.parameters(), strict=True):
        assert (name, value.shape, value.dtype) == (other, new.shape, new.dtype)
        new[...] = value
    for (name, value), (other, new) in zip(layer.states(), again.states(), strict=True):
        assert name == other
        new[...] = value
    np.testing.assert_array_equal(to_numpy(again(x)), to_numpy(layer(x)))
    assert words(again) == words(layer)


class Mine(Tanh):
    """A layer of a reader's."""


class Dense2(Dense):
    """One whose name is none of minigan's."""


def test_a_layer_of_ones_own_has_no_description():
    for layer in (Mine(), Dense2(1, 1), Sequential(Dense(1, 1), Mine())):
        with pytest.raises(ValueError, match="is not one of minigan's layers"):
            describe(layer)
    Dense2.__name__ = "Dense"                          # nor is one that only has such a name
    with pytest.raises(ValueError, match="is not one of minigan's layers"):
        describe(Dense2(1, 1))


@pytest.mark.parametrize("description", [
    None, 3, "Dense", {}, {"kind": "Dense"}, {"kind": "Dance", "I": 1}, {"kind": "Layer", "more": 1},
    {"kind": "im2col"}, {"kind": "Dense", "I": 1, "O": 1, "bias": True, "colour": "red"},
    {"kind": "Sequential", "layers": [3]}, {"kind": "Dense", "I": 0, "O": 1}, {"kind": "Sequential"}], ids=str)
def test_what_describes_no_layer_is_refused(description):
    with pytest.raises(ValueError):
        make(description)


def a_gan(**options):
    G, D = mg.models.build("dcgan", mg.host_rng(0), (8, 8, 1), options.get("classes", 0))
    return mg.GAN(G, D, mg.losses.LeastSquares(), mg.optimizers.Adam(), mg.optimizers.Adam(), **options)


@pytest.mark.parametrize("options", [
    dict, lambda: {"classes": 3}, lambda: {"average": 0.9, "preprocess_D": mg.layers.RandomShift(1, mg.rng(0))}],
    ids=["plain", "conditional", "average, shift"])
def test_a_checkpoint_is_all_that_sampling_needs(backend, tmp_path, options):
    gan = a_gan(**options())
    x, labels = asarray(mg.host_rng(1).uniform(-1, 1, (6, 8, 8, 1)).astype("float32")), asarray(np.arange(6) % 3)
    for _ in range(2):
        gan.train_step(x, gan.noise(6, 3), labels if gan.classes else None)
    mg.checkpoint.save(tmp_path / "gan.npz", gan, {"what": "mine"})
    trained = mg.load(tmp_path / "gan.npz")
    np.testing.assert_array_equal(to_numpy(trained.sample(5, seed=4)), to_numpy(gan.sample(5, seed=4)))
    assert trained.extra == {"what": "mine"} and trained.classes == gan.classes and trained.latent_dim == gan.latent_dim
    assert sorted(trained.networks) == sorted(gan.networks())


def test_another_process_needs_nothing_but_the_file(tmp_path):
    gan = a_gan()
    mg.checkpoint.save(tmp_path / "gan.npz", gan)
    code = "import sys, numpy, minigan; numpy.save(sys.argv[2], minigan.load(sys.argv[1]).sample(16, seed=0))"
    subprocess.run([sys.executable, "-c", code, tmp_path / "gan.npz", tmp_path / "x.npy"], check=True, cwd=tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), gan.sample(16, seed=0))


def test_what_a_checkpoint_cannot_say_is_said(tmp_path):
    G, D = Sequential(Dense(2, 2), Mine()), Sequential(Dense(2, 1))
    gan = mg.GAN(G, D, mg.losses.Hinge(), mg.optimizers.Adam(), mg.optimizers.Adam())
    mg.checkpoint.save(tmp_path / "gan.npz", gan)
    with pytest.raises(CheckpointError, match='of its G, Mine "G.1" is not one of minigan.s layers: make the networks'):
        mg.load(tmp_path / "gan.npz")
    mg.checkpoint.restore(gan, mg.checkpoint.load(tmp_path / "gan.npz"))       # so it still opens
    with pytest.raises(FileNotFoundError):
        mg.load(tmp_path / "other.npz")


def test_a_D_of_ones_own_is_left_out(tmp_path):
    G, D = Sequential(Dense(2, 2)), Sequential(Dense(2, 1), Mine())
    gan = mg.GAN(G, D, mg.losses.Hinge(), mg.optimizers.Adam(), mg.optimizers.Adam(), average=0.5)
    mg.checkpoint.save(tmp_path / "gan.npz", gan)
    trained = mg.load(tmp_path / "gan.npz")
    assert sorted(trained.networks) == ["G", "G_average"] and trained.D is None
    np.testing.assert_array_equal(trained.sample(4, 0), gan.sample(4, 0))


def test_a_translation_is_opened_but_makes_nothing_of_noise(tmp_path):
    G, D = Sequential(Dense(2, 2)), Sequential(Dense(4, 1))
    game = mg.Translation(G, D, mg.losses.Hinge(), mg.optimizers.Adam(), mg.optimizers.Adam())
    mg.checkpoint.save(tmp_path / "game.npz", game)
    trained = mg.load(tmp_path / "game.npz")
    np.testing.assert_array_equal(trained.G.theta, G.theta)
    with pytest.raises(ValueError, match="holds no GAN, which makes images of noise, but G, D"):
        trained.sample(1, 0)


def test_tables_in_a_notebook():
    gan = a_gan(classes=3)
    text = repr(gan)
    for line in ("GAN: LeastSquares loss, alternating steps, Adam(lr=0.0002) for G", "0 Dense(103, 512, bias=False)",
                 "4 ConvTranspose2D(32, 1, 4, stride=2)", "(N, 8, 8, 1)", "0 Conv2D(4, 32, 4, stride=2)", "(N, 4, 4, 32)"):
        assert line in text
    assert "output shape" in repr(gan.G) and "output shape" not in repr(gan.D) and str(gan.G) == 'Sequential "G"'
    wrong = Sequential(Dense(2, 3), Dense(2, 3))       # which would fail if it were run
    assert "1 Dense(2, 3)" in repr(wrong) and repr(Sequential()).startswith("Sequential")
    assert words(mg.layers.SpectralNorm(Dense(2, 3), 2)) == "SpectralNorm(Dense(2, 3), iterations=2)"


def test_a_notebook_shows_a_figure(tmp_path):
    for x in (mg.host_rng(0).uniform(-1, 1, (5, 8, 8, 1)), mg.host_rng(0).uniform(-1, 1, (5, 8, 8, 3)),
              mg.host_rng(0).standard_normal((9, 2))):
        figure = mg.plots.show(x.astype("float32"))
        (tmp_path / "x.png").write_bytes(figure._repr_png_())
        assert mg.plots.read_picture(tmp_path / "x.png").std() > 10
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 500


def test_the_shown_grid_is_pixel_for_pixel_that_of_a_file(tmp_path):
    x = mg.host_rng(0).uniform(-1, 1, (5, 8, 8, 3)).astype("float32")
    mg.plots.save_grid(tmp_path / "a.png", x)
    (tmp_path / "b.png").write_bytes(mg.plots.show(x)._repr_png_())
    np.testing.assert_array_equal(*(mg.plots.read_picture(tmp_path / name) for name in ("a.png", "b.png")))


def test_a_run_leaves_a_checkpoint_that_opens(tmp_path):
    run = training.Run(a_gan(), mg.host_rng(1).uniform(-1, 1, (20, 8, 8, 1)).astype("float32"), tmp_path / "run", batch_size=4)
    run.start()
    run.train(2)
    trained = mg.load(tmp_path / "run" / "checkpoint.npz")
    np.testing.assert_array_equal(trained.sample(16, seed=0), run.gan.sample(16, seed=0))
