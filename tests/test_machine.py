"""`python -m minigan`, and the advice that it gives."""
import os
import subprocess
import sys

import pytest

from minigan.__main__ import main as command_line
from minigan.engine import machine


def found(monkeypatch, kernel, avx512, coretype=None):
    """The advice for a machine with this BLAS kernel."""
    monkeypatch.setattr(machine, "blas", lambda: ("openblas 0.3", kernel, 4))
    monkeypatch.setattr(machine, "has_avx512", lambda: avx512)
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    if coretype:
        monkeypatch.setenv("OPENBLAS_CORETYPE", coretype)
    return machine.advice()


def test_the_report_names_what_computes():
    environment = {name: value for name, value in os.environ.items() if name not in ("MINIGAN_DEVICE", "MINIGAN_THREADS")}
    result = subprocess.run([sys.executable, "-m", "minigan"], capture_output=True, text=True, env=environment)
    assert result.returncode == 0 and result.stderr == ""
    for word in ("Python", "NumPy", "BLAS", "threads", "GPU", "TF32     off", "advice"):
        assert word in result.stdout


def test_the_report_names_the_equals(monkeypatch):
    monkeypatch.delenv("MINIGAN_PLAIN", raising=False)
    assert dict(machine.describe())["equals"] == ("of conv, conv_adjoint, conv_weight_grad, hypot; convolutions by minimal "
                                                  "filtering where that gains")
    monkeypatch.setenv("MINIGAN_PLAIN", "1")
    assert dict(machine.describe())["equals"] == "none, MINIGAN_PLAIN=1: the definitions run"
    monkeypatch.setattr(machine, "keep_freed_memory", lambda: False)
    assert "goes back" in dict(machine.describe())["memory"]


def test_slow_kernels_are_named_with_the_remedy(monkeypatch):
    sentence, = found(monkeypatch, "Haswell", True)
    assert "Haswell kernels" in sentence and "set OPENBLAS_CORETYPE=SkylakeX" in sentence
    sentence, = found(monkeypatch, "Haswell", True, coretype="Haswell")
    assert "unset OPENBLAS_CORETYPE, which is Haswell" in sentence


def test_a_good_choice_needs_no_advice(monkeypatch):
    assert found(monkeypatch, "SkylakeX", True) == [] and found(monkeypatch, "Haswell", False) == []


def test_too_many_threads_are_named(monkeypatch):
    monkeypatch.setattr(machine, "workers", lambda: 1000)
    sentence, = found(monkeypatch, "SkylakeX", True)
    assert "cut for 1000 threads" in sentence


def test_without_a_known_blas_it_says_so(monkeypatch):
    monkeypatch.setattr(machine, "blas", lambda: None)
    assert "no BLAS" in machine.advice()[0]


# --- the command line ---

def test_the_programs_are_commands(tmp_path, capsys):
    run = str(tmp_path / "run")
    assert command_line(["train", "--steps", "2", "--batch-size", "8", "--out", run]) == 0
    assert command_line(["sample", run + "/checkpoint.npz", "--count", "4"]) == 0
    assert (tmp_path / "run" / "new_samples.png").exists()
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        command_line(["train", "--model", "vae"])
    assert stopped.value.code == 2 and capsys.readouterr().err.startswith("minigan train: argument --model")


def test_without_a_command_it_reports_and_an_unknown_one_is_refused_in_one_line(capsys):
    assert command_line([]) == 0 and "NumPy" in capsys.readouterr().out
    assert command_line(["--help"]) == 0 and "minigan train" in capsys.readouterr().out
    assert command_line(["trian"]) == 2
    assert capsys.readouterr().err == "minigan: there is no command 'trian'; there are train, sample\n"
