"""What the texts tell a reader to do: every block of code and every command is run, with few steps, in an empty folder."""
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import minigan as mg

ROOT = Path(mg.__file__).parents[1]
TEXTS = [path for folder in (ROOT, ROOT / "examples", ROOT / "benchmarks", ROOT / "minigan" / "engine")
         for path in sorted(folder.glob("*.md")) if path.name != "CHANGELOG.md"]
CUPY = importlib.util.find_spec("cupy") is not None
FEWER = {"steps=5000": "steps=3", "range(3000)": "range(3)"}


def blocks(language):
    """(where, content) of the blocks of code in this language."""
    for path in TEXTS:
        for number, content in enumerate(re.findall(rf"(?ms)^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"))):
            yield f"{path.relative_to(ROOT)} {number}", content


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What the commands and blocks find: photographs, class folders, and the run of an earlier block."""
    monkeypatch.chdir(tmp_path)
    rng = mg.host_rng(0)
    np.save("photos.npy", rng.integers(256, size=(70, 16, 16, 3)).astype("uint8"))
    for name in ("folder/a", "pets/cats", "pets/dogs"):
        path = tmp_path / "path" / "to" / name
        (path if "pets" in name else path.parent).mkdir(parents=True, exist_ok=True)
        for i in range(40):
            pixels = rng.integers(256, size=(20, 24, 3)).astype("uint8")
            Image.fromarray(pixels).save(path / f"{i}.png" if "pets" in name else path.parent / f"{i}.png")
    for out, shape in (("runs/photos", (16, 16, 3)), ("runs/mine", (8, 8, 1))):
        G, D = mg.models.dcgan(mg.host_rng(0), image_shape=shape, width=4)
        gan = mg.GAN(G, D, mg.losses.Hinge(), mg.optimizers.Adam(), mg.optimizers.Adam())
        Path(out).mkdir(parents=True)
        mg.checkpoint.save(f"{out}/checkpoint.npz", gan)
    return tmp_path


PYTHON = [*blocks("python")]


@pytest.mark.parametrize("content", [content for _, content in PYTHON], ids=[where for where, _ in PYTHON])
def test_a_block_of_python_runs_by_itself(folder, content, capsys):
    for many, few in FEWER.items():
        content = content.replace(many, few)
    if "mg.training.Run" in content:                   # it makes the run that the next block opens
        (folder / "runs" / "photos" / "checkpoint.npz").unlink()
    if "digits.csv" not in content:                    # which is no file of ours
        exec(content, {})


def commands():
    """Every command that begins with minigan or python: in blocks, and in tables and sentences between backticks."""
    found = {}
    for path in TEXTS:
        text = path.read_text(encoding="utf-8")
        listed = [line.partition("  #")[0].strip() for _, content in blocks("sh") for line in content.splitlines()]
        listed += re.findall(r"`((?:minigan|python) [^`]+)`", re.sub(r"(?s)```.*?```", "", text).replace("\n", " "))
        for line in listed:
            if re.match(r"minigan (train|sample)|python examples/(train_gan|sample).py", line):
                found[line] = path
    return [line for line in found if "--help" not in line and line != "minigan sample"]


def weight(line):
    """Those that take seconds, for a judge, a large network or many samples, are slow."""
    return [pytest.mark.slow] if re.search("--seeds|dcgan_28|stacked|size 40x56", line) else []


@pytest.mark.parametrize("line", [pytest.param(line, marks=weight(line)) for line in commands()])
def test_a_command_runs(folder, line, capsys):
    """With two steps, in a folder of its own."""
    from minigan.__main__ import main
    words = shlex.split(line)
    arguments = words[1:] if words[0] == "minigan" else [Path(words[1]).stem.removesuffix("_gan"), *words[2:]]
    if "--resume" in arguments:
        assert main(["train", "--data", "ring", "--steps", "1", "--out", "runs/mine2"]) == 0
        arguments = [argument.replace("runs/mine", "runs/mine2") for argument in arguments]
    if arguments[0] == "train" and "--dry-run" not in arguments:
        arguments += ["--steps", "2", *([] if "--resume" in arguments else ["--batch-size", "8"])]
        arguments += [] if "--out" in arguments else ["--out", "runs/new"]
        arguments = [{"runs/mine": "runs/new", "5": "2"}.get(argument, argument) for argument in arguments]     # 5: seeds
    if "cuda" in arguments and not CUPY:               # the program understands the line, and says what is missing
        assert main(arguments) == 2 and 'minigan.use("cuda") needs CuPy' in capsys.readouterr().err
    else:
        assert main(arguments) == 0


def test_the_first_two_commands_install_train_and_test():
    """They are what .ci/run takes out of README."""
    install, test = [content for where, content in blocks("sh") if where.startswith("README.md")][:2]
    assert install.endswith("examples/train_gan.py\n") and test.endswith("-m pytest\n")
    for content in (install, test):
        assert len(content.splitlines()) == 1 and content.startswith("python3 -m venv .venv && .venv/bin/pip install -q -e ")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


@pytest.mark.slow
def test_a_block_runs_in_a_process_of_its_own(folder):
    _, content = next(block for block in PYTHON if "mg.load" in block[1])
    subprocess.run([sys.executable, "-c", content], check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert (folder / "new.png").stat().st_size > 500
