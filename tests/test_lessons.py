"""The lessons in examples/, run as a reader runs them: each in a process of its own."""
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow          # each lesson is a program that trains
ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "examples"))
from lesson import without_traceback  # noqa: E402

FEW_STEPS = {"wrong_difference": 10, "wrong_saturation": 10, "wrong_optimizer": 20} | dict.fromkeys((
    "ring_2d", "wrong_range", "wrong_batch", "wrong_upsampling", "super_resolution", "inpainting", "image_to_image",
    "cyclegan", "conditional", "wasserstein", "augment_classifier"), 2)
BY_HAND = ("conv_by_hand", "batch_norm_by_hand", "adam_by_hand", "penalty_by_hand", "spectral_norm_by_hand",
           "losses_and_slopes", "packing", "trust_a_gradient")
LESSONS = ("backprop_by_hand", "check_your_own_layer", *BY_HAND, *FEW_STEPS)


def run(lesson, *arguments, cwd=ROOT, **environment):
    """The finished process. One thread of BLAS: on a busy machine its threads would wait for each other."""
    hidden = {"DISPLAY", "MINIGAN_DEVICE"}
    clean = {name: value for name, value in os.environ.items() if name not in hidden}
    return subprocess.run([sys.executable, ROOT / "examples" / f"{lesson}.py", *map(str, arguments)], cwd=cwd,
                          timeout=120, capture_output=True, text=True, encoding="utf-8",
                          env=clean | {"OPENBLAS_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"} | environment)


def output(process, warned=""):
    """What a lesson printed, after a look that it went well, with nothing or this on standard error, and that each picture it
    names is there and not blank."""
    assert process.returncode == 0 and (warned in process.stderr if warned else process.stderr == "")
    pictures = re.findall(r"\S+\.(?:png|gif)", process.stdout.splitlines()[-1])
    assert pictures
    for path in pictures:
        with Image.open(pathlib.Path(process.args[1]).parents[1] / path) as image:
            pixels = np.asarray(image.convert("RGB"))
        assert min(pixels.shape[:2]) >= 300 and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50 and pixels.std() > 10
    return process.stdout


def test_the_ring_is_found(tmp_path):
    text = output(run("ring_2d", "--steps", 1000, "--out", tmp_path / "new" / "folder"))
    modes = int(re.search(r"(\d) of 8 modes found: at least 1 % of all fakes lie within 0.03 \(3 sigma\)", text)[1])
    share = int(re.search(r"(\d+)% of 2500 fakes lie that near", text)[1])
    assert modes >= 6 and share >= 20                  # the full lesson reaches 8 and about 70 %
    assert len(re.findall(r"step +\d+   loss_D \d\.\d+   loss_G \d\.\d+", text)) == 6
    with Image.open(tmp_path / "new" / "folder" / "ring_2d.gif") as film:
        assert film.n_frames == 40


def test_the_ring_repeats_itself_and_follows_its_seed(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        output(run("ring_2d", "--steps", 3, "--seed", seed, "--out", tmp_path / name))
    a, b, c = ((tmp_path / name / "ring_2d.png").read_bytes() for name in "abc")
    assert a == b and a != c


def test_backprop_by_hand_agrees_with_differences_and_with_minigan(tmp_path):
    text = output(run("backprop_by_hand", "--out", tmp_path))
    number = r" +(-?\d\.\d{4})"
    rows = re.findall(rf"^  (d\w+)\[.*?\]{number}{number} +(\S+){number} +(\S+)$", text, re.MULTILINE)
    assert [row[0] for row in rows] == ["dW2"] * 2 + ["db2"] + ["dW1"] * 4 + ["db1"] * 2 + ["dx"] * 4
    for _, mine, numeric, apart, minigan, apart_minigan in rows:
        assert mine == numeric == minigan and float(apart) < 1e-9 and float(apart_minigan) < 1e-12
    # By hand, once more: y = (1.8482, 0.2282), so dy = (y - 1)/2, dW2[1] = 0.4621·0.4241 - 0.7616·0.3859.
    assert re.search(r"loss = mean \(y - 1\)²/2 +0\.3288 ", text)
    assert [row[1] for row in rows[:3]] == ["0.2894", "-0.0979", "0.0382"]


def test_every_line_of_pencil_work_gives_the_number_beside_it(tmp_path):
    text = output(run("backprop_by_hand", "--out", tmp_path))
    lines = re.findall(r"^  \w+ += .{17,19} +(-?\d\.\d{4}) .{11}(\S.*)$", text, re.MULTILINE)
    assert len(lines) == 12
    for value, pencil in lines:
        formula = re.sub(r"tanh (\S+)", r"np.tanh(\1)", pencil.replace("·", "*").replace("²", "**2"))
        assert abs(eval(formula) - float(value)) < 2e-4, pencil                # four digits were shown


def test_gradcheck_finds_both_mistakes_and_no_third(tmp_path):
    text = output(run("check_your_own_layer", "--out", tmp_path))
    first, second, third = text.split("training: ")[1:]
    found = [re.findall(r"^  WRONG (\S+)", part, re.MULTILINE) for part in (first, second, third)]
    assert found == [["second"], ["dx", "dW", "second"], []]
    assert [part.split()[0] for part in (first, second, third)] == ["WRONG", "WRONG", "right"]


def measured(text, name, unit=""):
    """The number behind `name` in a table."""
    return float(re.search(rf"^ *{re.escape(name)} +(\d+\.\d+){unit}", text, re.MULTILINE)[1])


@pytest.mark.parametrize("factor, steps, gain", [(2, 150, 4), (4, 200, 1)])
def test_super_resolution_beats_the_rules(tmp_path, factor, steps, gain):
    text = output(run("super_resolution", "--factor", factor, "--steps", steps, "--out", tmp_path))
    rules = [measured(text, name, " dB") for name in ("nearest neighbour", "bilinear")]
    for name in ("L1 alone", "L1 and a discriminator"):
        assert measured(text, name, " dB") > max(rules) + gain         # the full lesson: 8 dB at 4 x, 19 dB at 2 x


def test_super_resolution_by_resize_convolution_and_without_D(tmp_path):
    text = output(run("super_resolution", "--upsampling", "resize", "--adversarial", 0, "--steps", 100, "--out", tmp_path))
    assert measured(text, "L1 alone", " dB") > measured(text, "nearest neighbour", " dB") + 1
    assert measured(text, "L1 alone", " dB") == measured(text, "L1 and a discriminator", " dB")     # the same run, twice


def test_inpainting_beats_the_mean_and_keeps_what_is_known(tmp_path):
    text = output(run("inpainting", "--steps", 200, "--out", tmp_path))
    assert "all 57,024 known pixels of 297 held-out digits are kept, bit for bit" in text          # 297 · (16² - 8²)
    assert measured(text, "G") < 0.7 * measured(text, "mean of the training images")               # the full lesson: 0.4


def test_most_digits_get_their_colour(tmp_path):
    text = output(run("image_to_image", "--steps", 300, "--out", tmp_path))
    rows = dict(re.findall(r"^(G|all in the mean colour) .* dB +(\d+\.\d)%$", text, re.MULTILINE))
    assert float(rows["all in the mean colour"]) < 15 and float(rows["G"]) > 75                    # the full lesson: 97 %


def test_the_cycle_loss_falls_and_the_translation_gets_near(tmp_path):
    text = output(run("cyclegan", "--steps", 120, "--out", tmp_path))
    first, last = re.search(r"cycle loss, of both ways: (\S+) at first, (\S+) at the end", text).groups()
    assert float(last) < 0.6 * float(first)
    assert measured(text, "G_AB(a), against the right b") < 0.5 * measured(text, "a itself, against the right b")


def test_a_conditional_gan_obeys_and_its_noise_matters(tmp_path):
    text = output(run("conditional", "--steps", 900, "--out", tmp_path))
    share = float(re.search(r"^as asked: (\S+)% of 2000 samples", text, re.MULTILINE)[1])
    variety = int(re.search(r"^variety within a class: (\d+)% of that of real digits", text, re.MULTILINE)[1])
    assert share >= 95 and variety > 60                # the full lesson, seeds 0 to 3: 98.9 to 99.5 %, 85 to 87 %
    own, wrong = map(float, re.search(r"digits: (\S+) with their own labels, (\S+) with wrong ones", text).groups())
    assert own > wrong + 0.1
    rows = re.findall(r"^ +(\d) +((?:[\d.]+ +){10})(\S+)% +(\S+)%$", text, re.MULTILINE)
    counts = np.array([[int(count.replace(".", "0")) for count in row[1].split()] for row in rows])
    assert counts.shape == (10, 10) and (counts.sum(axis=1) == 200).all()
    assert [float(row[2]) for row in rows] == [pytest.approx(count / 2) for count in counts.diagonal()]
    assert share == pytest.approx(counts.trace() / 20, abs=0.06)


def test_a_critic_is_too_steep_too_flat_or_just_right(tmp_path):
    text = output(run("wasserstein", "--steps", 600, "--out", tmp_path))
    rows = dict(re.findall(r"^(nothing|weight clipping|gradient penalty) +\d of 8 +(.+)$", text, re.MULTILINE))
    quality, slope = zip(*[(float(row.split()[0].rstrip("%")), float(row.split()[1])) for row in rows.values()])
    assert slope[0] > 100 and slope[1] < 0.01 and slope[2] == pytest.approx(1, abs=0.15)
    assert quality[2] > 10 > 5 > quality[1]            # the full lesson: about 57 % and below 1 %
    assert int(rows["weight clipping"].split()[-1].rstrip("%")) > 20           # at the edge of the box


def test_a_wider_box_makes_a_steeper_critic(tmp_path):
    text = output(run("wasserstein", "--steps", 50, "--clip", 0.1, "--out", tmp_path))
    assert float(re.search(r"weight clipping +\d of 8 +\S+% +(\S+)", text)[1]) > 0.1


def test_what_helps_a_classifier_follows_from_its_numbers(tmp_path):
    text = output(run("augment_classifier", "--steps", 300, "--seeds", 3, "--labelled", 5, "--out", tmp_path))
    ways = ("real", "real + generated", "real + shifted", "generated")
    seeds = np.array([[float(value) for value in re.findall(r"(\S+)%", line)]
                      for line in re.findall(r"^seed \d: .*$", text, re.MULTILINE)])
    assert seeds.shape == (3, 4) and "5 labelled digits of each class, 3 seeds, tested on 1747 others" in text
    for way, column in zip(ways, seeds.T):
        row = re.search(rf"^{re.escape(way)} +(\S+)% +(\S+)%(?: +(\S+)% +(\S+)%   (.+))?$", text, re.MULTILINE).groups()
        assert float(row[0]) == pytest.approx(column.mean(), abs=0.06) and column.mean() > 40      # by chance: 10 %
        assert float(row[1]) == pytest.approx(column.std(ddof=1), abs=0.1)
        if way != "real":
            differences, (mean, error) = column - seeds[:, 0], map(float, row[2:4])
            assert mean == pytest.approx(differences.mean(), abs=0.1)
            assert error == pytest.approx(differences.std(ddof=1) / 3 ** 0.5, abs=0.1)
            assert row[4] == ("helped" if mean > 3 * error else "did harm" if mean < -3 * error else "not resolved")


# --- wrong beside right: each lesson shows what it says ---

def compared(text, number):
    """The (wrong, right) values of all rows of lesson.compare that begin so."""
    rows = re.findall(rf"^  {re.escape(number)}.* wrong (.+?) +right (.+)$", text, re.MULTILINE)
    assert rows, number
    return [tuple([float(part.rstrip("%")) for part in value.split(", ")] for value in row) for row in rows]


def test_a_d_that_minimises_the_difference_stops_judging(tmp_path):
    text = output(run("wrong_difference", "--steps", 500, "--out", tmp_path))
    [([gap_wrong], [gap_right])] = compared(text, "D's mean score of real points minus")
    assert abs(gap_wrong) < 0.02 and gap_right > 0.9


def test_a_flat_loss_takes_the_gradient_away(tmp_path):
    text = output(run("wrong_saturation", "--steps", 500, "--out", tmp_path))
    for ([slope_wrong], [slope_right]) in compared(text, "the slope of G's loss there"):
        assert slope_wrong < 0.02 and slope_right > 0.9
    (sigmoid, minimax) = compared(text, "the gradient that reaches a fake")
    assert sigmoid[0][0] < sigmoid[1][0] / 3 and minimax[0][0] < minimax[1][0] / 50
    assert {path.name for path in tmp_path.iterdir()} == {"sigmoid.png", "minimax.png"}


def test_wrong_range_costs_pixels_and_the_doctor_says_so(tmp_path):
    text = output(run("wrong_range", "--steps", 400, "--out", tmp_path), "half of what G can say never occurs")
    [([below_wrong], [below_right])] = compared(text, "pixels below the paper")
    assert below_wrong > 10 and below_right == 0
    assert "of the wrong one: The data lie between 0 and 1, but G ends in tanh" in text
    assert "of the right one: nothing" in text


def test_one_adam_moves_g_in_the_step_of_d(tmp_path):
    text = output(run("wrong_optimizer", "--steps", 60, "--out", tmp_path))
    [([share_wrong], [share_right])] = compared(text, "how far G moves in D's step")
    assert share_wrong == pytest.approx(0.5, abs=0.05) and share_right == 0            # beta1 = 0.5


def test_a_mixed_batch_shows_d_what_it_never_sees_again(tmp_path):
    text = output(run("wrong_batch", "--steps", 400, "--out", tmp_path))
    [([own_wrong], [own_right])] = compared(text, "fakes that D recognises")
    [([in_G_wrong], [in_G_right])] = compared(text, "the same fakes, the same D")
    assert own_wrong > 95 and in_G_wrong < 30 and own_right == in_G_right > 50
    [((classes_wrong, _), (classes_right, sure_right))] = compared(text, "digits of 10 that a classifier finds")
    assert classes_wrong < 9 <= classes_right and sure_right > 30


def test_a_kernel_that_the_stride_does_not_divide_overlaps_unevenly(tmp_path):
    text = output(run("wrong_upsampling", "--steps", 50, "--out", tmp_path))
    rows = re.findall(r"^(?:wrong|better|right): .*?  +([\d/]+) +([\d.]+) +([\d.]+) +([\d.]+)$", text, re.MULTILINE)
    (five, uneven5, rough5, after5), (four, uneven4, rough4, _), (resize, uneven, rough, after) = rows
    assert (five, four, resize) == ("4/6/9", "4", "9")
    assert float(uneven5) > 1.5 and float(uneven4) < 1.2 and float(uneven) < 1.2       # 9/4, 1 and 1, but for chance
    assert float(rough) < 0.2 * min(float(rough4), float(rough5)) and float(after) < float(after5)


def test_from_another_folder_the_pictures_go_to_runs(tmp_path):
    process = run("check_your_own_layer", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    path = pathlib.Path("runs", "check_your_own_layer", "check_your_own_layer.png")
    assert process.stdout.endswith(f"wrote {path}\n") and (tmp_path / path).exists()


@pytest.mark.parametrize("lesson, arguments, words", [
    *[(lesson, ["--out", "{file}/sub"], "cannot write into the folder") for lesson in LESSONS],
    ("ring_2d", ["--out", "{file}"], "cannot write into the folder"),
    ("ring_2d", ["--device", "tpu"], "unknown device 'tpu'"),
    ("ring_2d", ["--steps", "0"], "--steps must be at least 1"),
    ("super_resolution", ["--factor", "3"], "invalid choice: 3"),
    ("super_resolution", ["--adversarial", "nan"], "--adversarial must be at least 0"),
    ("cyclegan", ["--paper", "blue"], "invalid choice: 'blue'"),
    ("augment_classifier", ["--labelled", "7"], "invalid choice: 7"),
    ("augment_classifier", ["--seeds", "1"], "--seeds must be at least 2"),
    ("wasserstein", ["--clip", "0"], "--clip must be at least 0.0001"),
    ("wrong_saturation", ["--steps", "9"], "--steps must be at least 10"),
    ("ring_2d", ["--seed", "-1"], "--seed must be at least 0"),
    ("ring_2d", ["--steps", "many"], "invalid int value: 'many'"),
    ("backprop_by_hand", ["--stepz", "1"], "unrecognized arguments"),
])
def test_a_mistake_is_answered_by_one_line_and_status_2(tmp_path, lesson, arguments, words):
    (tmp_path / "file").write_text("precious")
    process = run(lesson, *[argument.format(file=tmp_path / "file") for argument in arguments], cwd=tmp_path)
    assert process.returncode == 2 and process.stdout == ""
    assert process.stderr.count("\n") == 1 and process.stderr.startswith(f"{lesson}.py: ") and words in process.stderr
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("a mistake of ours")])
def test_ctrl_c_leaves_no_traceback_but_a_mistake_does(capsys, error):
    without_traceback("ring_2d.py", type(error), error, None)
    said = capsys.readouterr().err
    assert said == ("ValueError: a mistake of ours\n" if isinstance(error, ValueError) else "ring_2d.py: interrupted\n")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no ulimit on this system")
def test_a_disk_that_refuses_a_picture_is_answered_by_one_line_and_status_2(tmp_path):
    """The shell's limit on the size of a file stands for a full disk."""
    command = f"ulimit -f 0; exec {sys.executable} {ROOT / 'examples' / 'backprop_by_hand.py'} --out {tmp_path}"
    process = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT, env=os.environ | {
        "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"})
    picture = tmp_path / "backprop_by_hand.png"
    assert (process.returncode, process.stderr) == (2, f"backprop_by_hand.py: {picture}: File too large\n")
    assert not [*tmp_path.iterdir()]
