"""The numbers that a run ends with: real data, put in the place of samples, must score as real data does."""
import numpy as np
import pytest

import minigan as mg
from minigan.cli import report as evaluation


class Copyist:
    """A "generator" that hands out real data, or the same sample again and again."""

    def __init__(self, x, labels, classes=0, only=None):
        self.x, self.labels, self.classes, self.only = x, labels, classes, only

    def sample(self, n, seed):
        chosen = np.random.default_rng(seed).integers(len(self.x), size=n)
        if self.classes:                               # in turn, as GAN.sample does
            by_class = [np.flatnonzero(self.labels == k) for k in range(self.classes)]
            chosen = np.array([by_class[i % self.classes][i // self.classes % 50] for i in range(n)])
        return self.x[chosen if self.only is None else np.full(n, self.only)]


def test_points():
    x, labels = mg.datasets.ring(5000, mg.host_rng(0))
    good, bad = (evaluation.score(Copyist(x, labels, only=only), "ring", x, 1) for only in (None, 0))
    assert good["modes"] == (8, 8) and abs(np.subtract(*good["high quality"])) < 0.01 and good["reverse KL"][0] < 0.01
    assert bad["modes"] == (1, 8) and bad["reverse KL"][0] == pytest.approx(np.log(8))


@pytest.mark.slow
def test_digits():
    x, labels = mg.datasets.digits()
    good = evaluation.score(Copyist(x, labels, classes=10), "digits", x, 1)
    assert good["classes"] == (10, 10) and good["as asked"][0] > 0.97 and good["sure"][0] > 0.9 and good["score"][0] > 9
    bad = evaluation.score(Copyist(x, labels, classes=10, only=3), "digits", x, 1)
    assert bad["classes"][0] == 1 and bad["as asked"][0] == pytest.approx(0.1) and bad["score"][0] == pytest.approx(1)
    assert bad["Frechet"][0] > 10 * good["Frechet"][0] and bad["KL of classes"][0] == pytest.approx(np.log(10))


@pytest.mark.slow
def test_stacked_digits():
    x, labels = mg.datasets.stacked_digits(30_000, mg.host_rng(0))
    good, bad = (evaluation.score(Copyist(x, labels, only=only), "stacked_digits", x, 1) for only in (None, 0))
    assert good["modes"] == (1000, 1000) and good["KL"][0] < 0.1
    assert bad["modes"][0] == 1 and bad["KL"][0] == pytest.approx(np.log(1000))


@pytest.mark.slow
def test_images_in_another_form_than_the_judge_knows_are_brought_into_it():
    x, labels = mg.datasets.mnist("test")
    large = mg.datasets.to_channels(mg.datasets.resize(x, 32), 3)
    found = evaluation.score(Copyist(large, labels, classes=10), "mnist", large, 1)
    assert found["as asked"][0] > 0.97 and found["sure"][0] > 0.9
    stacked, modes = mg.datasets.stacked_digits(3000, mg.host_rng(0))
    large = mg.datasets.resize(stacked, 16)
    assert evaluation.score(Copyist(large, modes), "stacked_digits", large, 1)["modes"][0] > 800


def test_a_folder_of_pictures_has_no_score():
    assert evaluation.score(None, "some/folder", None, 0) == {}


def test_the_table_of_seeds(tmp_path, capsys):
    scores = {4: {"modes": (7, 8), "reverse KL": (0.2, 0.0)}, 6: {"modes": (8, 8), "reverse KL": (0.4, 0.0)}}
    evaluation.print_seeds(scores)
    head, modes, kl, collapsed = capsys.readouterr().out.splitlines()
    assert modes.split()[:6] == ["modes", "7.5", "0.7", "8", "6", "8"]
    assert kl.split()[:7] == ["reverse", "KL", "0.300", "0.141", "0.400", "6", "0.000"]            # not 0.2, of seven modes
    assert collapsed == "collapsed, and so never the best: seed 4"
    evaluation.save_seeds(tmp_path / "seeds.png", scores)
    assert (tmp_path / "seeds.png").stat().st_size > 1000


def test_a_seed_without_a_number_is_not_the_best(tmp_path, capsys):
    """The reverse KL of samples that hit no mode is NaN."""
    scores = {1: {"reverse KL": (np.nan, 0.0)}, 2: {"reverse KL": (0.5, 0.0)}, 3: {"reverse KL": (0.7, 0.0)}}
    evaluation.print_seeds(scores)
    assert capsys.readouterr().out.splitlines()[1].split()[4:7] == ["0.500", "2", "0.000"]
    for numbers in (scores, {1: scores[1]}, {1: {"KL": (0.0, 0.0)}}):
        evaluation.save_seeds(tmp_path / "seeds.png", numbers)


def test_each_score_is_explained(capsys):
    x, labels = mg.datasets.digits()
    points, modes = mg.datasets.ring(500, mg.host_rng(0))
    for found in (evaluation.score(Copyist(x, labels, classes=10), "digits", x[:50], 1),
                  evaluation.score(Copyist(points, modes), "ring", points, 1), {"KL": (0.1, 0.2)}):
        evaluation.print_score(found)
        lines = capsys.readouterr().out.splitlines()[1:]
        assert len(lines) == len(found) and all(evaluation.MEANING[name] in line for name, line in zip(found, lines))
        assert max(map(len, lines)) <= 120


def test_tiny_data():
    x, labels = mg.datasets.digits()
    assert evaluation.score(Copyist(x[:5], labels), "digits", x[:5], 1)["score"][0] > 0
    centres = mg.datasets.ring_centres()
    assert evaluation.score(Copyist(centres, None), "ring", centres[:1], 1)["modes"] == (8, 1)
    with pytest.raises(ValueError, match="at least 4 real images"):
        evaluation.score(Copyist(x[:3], labels), "digits", x[:3], 1)
