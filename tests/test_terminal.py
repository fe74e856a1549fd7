"""The programs at any terminal: letters that it cannot show, streams that are missing or broken, MPLBACKEND of another
environment, python -O, -OO and -W error, Ctrl-C while they load."""
import ast
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from minigan.cli import terminal

ROOT = Path(__file__).parents[1]
SHARED = ("lesson.py", "exercise_tasks.py")
ALONE = "gan_in_100_lines.py"           # knows nothing of minigan
PROGRAMS = sorted(path for path in (ROOT / "examples").glob("*.py") if path.name not in (*SHARED, ALONE))
LESSON, TRAIN = ROOT / "examples" / "wrong_difference.py", ROOT / "examples" / "train_gan.py"


def python(*arguments, cwd=ROOT, **environment):
    return subprocess.run([sys.executable, *map(str, arguments)], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=120, env=os.environ | {"PYTHONPATH": str(ROOT)} | environment)


EVERY_HELP = """
import os, runpy, sys
for path in sys.argv[1:]:
    sys.path[0] = os.path.dirname(path)
    sys.argv = [path, "--help"]
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as stopped:
        assert not stopped.code, path
"""


@pytest.mark.parametrize("options", [["-W", "error"], ["-OO"]], ids=" ".join)
def test_every_program_shows_its_help(options):
    process = python(*options, "-c", EVERY_HELP, *PROGRAMS, PYTHONIOENCODING="ascii", MPLBACKEND="nonsense")
    assert (process.returncode, process.stderr) == (0, b"")
    assert process.stdout.count(b"usage: ") == len(PROGRAMS)
    assert options == ["-OO"] or "∂loss/∂h".replace("∂", "?").encode() in process.stdout


def test_a_lesson_runs_at_a_poor_terminal(tmp_path):
    process = python("-W", "error", "-OO", LESSON, "--steps", 10, "--out", tmp_path / "Übung", PYTHONIOENCODING="cp932",
                     MPLBACKEND="nonsense")
    assert (process.returncode, process.stderr) == (0, b"") and b"?bung" in process.stdout
    assert (tmp_path / "Übung" / "difference.png").exists()


SHELL = {"no stderr": "2>&-", "nothing": "<&- >&- 2>&-", "full": ">/dev/full 2>/dev/full"}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
@pytest.mark.parametrize("streams", SHELL.values(), ids=SHELL)
def test_a_run_needs_nobody_who_listens(tmp_path, streams):
    arguments = f"--data ring --steps 3 --batch-size 8 --dry-run --out {tmp_path / 'run'}"
    process = subprocess.run(f"exec {sys.executable} {TRAIN} {arguments} {streams}", shell=True, capture_output=True, cwd=ROOT,
                             env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert process.returncode == 0
    assert {"checkpoint.npz", "curves.png", "samples.png", "training.gif"} <= set(os.listdir(tmp_path / "run"))


def test_no_file_takes_the_place_of_a_missing_stream(tmp_path):
    """Or what a library in C writes to stderr would stand in it."""
    (tmp_path / "program.py").write_text("from minigan.cli import terminal\nterminal.prepare()\n"
                                         "file = open('number', 'w')\nfile.write(str(file.fileno()))\n")
    subprocess.run(f"exec {sys.executable} program.py <&- >&- 2>&-", shell=True, cwd=tmp_path,
                   env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert int((tmp_path / "number").read_text()) > 2


class Broken:
    def write(self, text):
        raise BrokenPipeError

    def flush(self):
        raise BrokenPipeError


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [None, Broken(), closed()], ids=["none", "broken", "closed"])
def test_an_unfailing_stream_takes_everything(stream):
    unfailing = terminal.Unfailing(stream)
    print("lost", file=unfailing, flush=True)
    assert not hasattr(unfailing, "no such thing") and unfailing.write("abc") == 3


def test_an_unfailing_stream_passes_on_what_it_can(capsys):
    print("heard", file=terminal.Unfailing(sys.stderr))
    assert capsys.readouterr().err == "heard\n"


# --- Ctrl-C while a program loads ---

INTERRUPTED = """
import os, runpy, sys
class Interrupt:
    def find_spec(name, path=None, target=None):
        if name == "minigan":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt)
for path in sys.argv[1:]:
    sys.path[0] = os.path.dirname(path)
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as stopped:
        assert stopped.code == 130 and stopped.__suppress_context__, path
"""


def test_ctrl_c_while_a_program_loads_leaves_no_traceback():
    process = python("-c", INTERRUPTED, *PROGRAMS)
    assert (process.returncode, process.stdout, process.stderr) == (0, b"", b"")


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_no_import_stands_outside(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]


# --- how a program ends ---

def fail(error):
    def main():
        raise error
    return main


@pytest.mark.parametrize("error, status, said", [
    (KeyboardInterrupt(), 130, "interrupted"), (FloatingPointError("step 3"), 1, "step 3"), (ValueError("a\n  b"), 2, "a b"),
    (OSError(28, "No space left on device", "r/log.csv"), 2, "r/log.csv: No space left on device"),
    (OSError("only words"), 2, "only words"), (MemoryError(), 2, "MemoryError"), (OverflowError("too large"), 2, "too large")])
def test_a_mistake_is_one_line_and_a_status(capsys, error, status, said):
    assert terminal.run("program", fail(error)) == status
    assert capsys.readouterr().err == f"program: {said}\n"


def test_a_fault_of_the_program_keeps_its_traceback():
    with pytest.raises(KeyError):
        terminal.run("program", fail(KeyError("x")))
    assert terminal.run("program", lambda: None) == 0


# --- matplotlib ---

DRAW = """
import os, sys
from minigan import plots
import matplotlib, numpy as np
plots.save_points("a.png", np.eye(2), np.eye(2))
print(os.environ["MPLBACKEND"], dict.__getitem__(matplotlib.rcParams, "backend") == os.environ["MPLBACKEND"])
"""


@pytest.mark.parametrize("backend, kept", [("pdf", True), ("nonsense", False)])
def test_a_backend_of_another_environment_is_passed_over_and_ones_own_kept(tmp_path, backend, kept):
    process = python("-c", DRAW, cwd=tmp_path, MPLBACKEND=backend)
    assert (process.stdout.decode(), process.stderr) == (f"{backend} {kept}\n", b"")
    assert (tmp_path / "a.png").exists()


def test_a_backend_that_was_chosen_before_stays(tmp_path):
    code = "import matplotlib; matplotlib.use('svg'); from minigan import plots; print(matplotlib.get_backend())"
    assert python("-c", code, cwd=tmp_path, MPLBACKEND="pdf").stdout == b"svg\n"
