"""Exercises: each is right with the library's body, wrong with a blank or a mistake, which is named. And the hundred lines."""
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigan as mg

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(name):
    sys.path.insert(0, str(EXAMPLES))
    try:
        specification = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(EXAMPLES))


exercises = load("exercises")
BY_NAME = {exercise.name: exercise for exercise in exercises.EXERCISES}


def solved(exercise, text=None):
    """The reader's file, with this text in the place of the blank function."""
    before = exercises.blank(exercise)
    function = exercises.solution(exercise)
    return before[:before.rindex(function.splitlines()[0])] + (text or function)


@pytest.mark.parametrize("name", BY_NAME)
def test_an_exercise_knows_right_and_wrong(tmp_path, name):
    exercise, path = BY_NAME[name], tmp_path / "file.py"
    path.write_text(exercises.blank(exercise), encoding="utf-8")
    assert exercises.judge(exercise, path) == ("not written yet", [])
    path.write_text(solved(exercise), encoding="utf-8")
    assert exercises.judge(exercise, path) == ("right", [])
    for mistake, changes in exercise.mistakes.items():
        path.write_text(solved(exercise, exercises.changed(exercise, changes)), encoding="utf-8")
        state, lines = exercises.judge(exercise, path)
        assert state == "wrong" and lines[-1] == f"a well-known mistake: {mistake}", (mistake, lines)
    path.write_text(solved(exercise), encoding="utf-8")            # all is in its place again
    assert exercises.judge(exercise, path) == ("right", [])


def test_a_mistake_in_one_of_two_places_is_named(tmp_path):
    exercise, path = BY_NAME["dense_backward"], tmp_path / "file.py"
    body = exercises.solution(exercise).replace("self.db += channel_sum(dy)", "self.db[...] = dy.sum(axis=0)")
    path.write_text(solved(exercise, body), encoding="utf-8")
    assert exercises.judge(exercise, path)[1][-1].startswith("a well-known mistake: = in place of +=")


def test_there_are_enough_of_them_with_hints():
    assert len(BY_NAME) == len(exercises.EXERCISES) >= 25
    assert all(2 <= len(exercise.hints) <= 3 for exercise in BY_NAME.values())
    assert len({mistake for exercise in BY_NAME.values() for mistake in exercise.mistakes}) >= 15


@pytest.mark.parametrize("body, said", [
    ("    return x.T @ dy\n", "line "),
    ("    return dy @ self.W.T + 1\n", "dx: expected"),
    ("    return dy[:1]\n", "expected the shape (4, 3), found (1, 3)"),
    ("    return None\n", "expected an array of shape (4, 3), found None"),
    ("    oops(\n", "line "),
    ("    import sys; sys.exit(3)\n", "SystemExit: 3"),
    ("    return 'dx'\n", "what it returned cannot be used: ValueError"),
])
def test_what_is_wrong_is_said_without_our_traceback(tmp_path, body, said):
    exercise, path = BY_NAME["dense_backward"], tmp_path / "file.py"
    head = exercises.solution(exercise).splitlines()[0]
    path.write_text(solved(exercise, f"{head}\n{body}"), encoding="utf-8")
    state, lines = exercises.judge(exercise, path)
    assert state == "wrong" and any(said in line for line in lines), lines
    assert not any("exercises.py" in line for line in lines)


def test_an_endless_loop_is_stopped_and_a_dead_process_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(exercises, "SECONDS", 8)
    for name, body, said in [("softplus", "while True: pass", "stopped after 8 seconds"),
                             ("sgd", "import os; os._exit(3)", "it ended the program")]:
        exercise = BY_NAME[name]
        head = exercises.solution(exercise).splitlines()[0]
        exercises.file_of(tmp_path, exercise).write_text(solved(exercise, f"{head}\n    {body}\n"), encoding="utf-8")
        state, lines = exercises.check(exercise, tmp_path)
        assert state == "wrong" and said in lines[0]


def program(*arguments):
    command = [sys.executable, EXAMPLES / "exercises.py", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_a_folder_from_start_to_train(tmp_path):
    folder = tmp_path / "my exercises"
    assert program("start", folder, "softplus")[:2] == (0, f"1 files written in {folder}\n")
    mine = exercises.file_of(folder, BY_NAME["softplus"])
    mine.write_text(solved(BY_NAME["softplus"]), encoding="utf-8")
    assert "1 were there and stay as they are" in program("start", folder)[1]
    assert mine.read_text(encoding="utf-8") == solved(BY_NAME["softplus"])
    status, said, _ = program("check", folder)
    assert status == 1 and "softplus: right" in said and "1 of 38 right. The next one: dense_forward" in said
    assert "1 of 38 are right." in program("list", folder)[1]
    status, said, error = program("train", folder, "--steps", 2)
    assert status == 0 and "1 functions are yours: softplus" in said and (folder / "digits.png").stat().st_size > 1000, error


@pytest.mark.slow
def test_all_of_the_readers_functions_train_as_the_library_does(tmp_path):
    for exercise in BY_NAME.values():
        exercises.file_of(tmp_path, exercise).write_text(solved(exercise), encoding="utf-8")
    status, said, _ = program("train", tmp_path, "--steps", 20)
    assert status == 0 and "38 functions are yours" in said
    line = [line for line in said.splitlines() if line.startswith("step    20")]
    shutil.rmtree(tmp_path)
    program("start", tmp_path)
    program("start", tmp_path, "softplus")
    exercises.file_of(tmp_path, BY_NAME["softplus"]).write_text(solved(BY_NAME["softplus"]), encoding="utf-8")
    assert line and line[0] in program("train", tmp_path, "--steps", 20)[1]


@pytest.mark.parametrize("arguments, said", [
    (["hint", "nothing"], "there is no exercise 'nothing'"), (["hint", "softplus", "7"], "has hints 1 to 2, got 7"),
    (["check", __file__], "is a file"),
    (["check", "nowhere"], "there is no folder nowhere"), (["train", "nowhere"], "there is no folder nowhere")])
def test_errors_are_one_sentence(arguments, said):
    status, _, error = program(*arguments)
    assert status == 2 and said in error and error.count("\n") == 1


def test_hints_and_solutions():
    assert "hint softplus 2" in program("hint", "softplus")[1]
    assert program("solution", "softplus")[1].startswith("def softplus(x: Array)")


# --- the hundred lines ---

def test_the_hundred_lines_compute_what_minigan_computes():
    lines = load("gan_in_100_lines")
    rng = np.random.default_rng(0)
    G, D = lines.network(rng, 2, 16, 16, 2), lines.network(rng, 2, 16, 16, 1)

    def twin(layers):
        network = mg.Sequential(*(part for i, (W, b) in enumerate(layers) for part in (
            *([mg.layers.LeakyReLU(0.2)] if i else []), mg.layers.Dense(*W.shape, dtype="float64"))))
        network.theta[...] = np.concatenate([p.ravel() for layer in layers for p in layer])
        return network

    gan = mg.GAN(twin(G), twin(D), mg.losses.NonSaturating(), mg.optimizers.Adam(1e-2), mg.optimizers.Adam(1e-2),
                 update="alternating")
    adam_G, adam_D = lines.Adam(G), lines.Adam(D)
    for _ in range(3):
        real, z = lines.ring(rng, 32), rng.standard_normal((32, 2))
        np.testing.assert_allclose(lines.train_step(G, D, adam_G, adam_D, real, z, 1e-2), gan.train_step(real, z), rtol=1e-9)
        for layers, network in ((G, gan.G), (D, gan.D)):
            theta = np.concatenate([p.ravel() for layer in layers for p in layer])
            np.testing.assert_allclose(theta, network.theta, atol=1e-6)


def test_the_hundred_lines_are_few_and_run_alone(tmp_path):
    source = (EXAMPLES / "gan_in_100_lines.py").read_text(encoding="utf-8")
    assert sum(1 for line in source.splitlines() if line.strip() and not line.strip().startswith("#")) <= 125
    shutil.copy(EXAMPLES / "gan_in_100_lines.py", tmp_path)
    command = [sys.executable, "-c", "import gan_in_100_lines as g; g.main(450)"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True)
    assert done.returncode == 0 and (tmp_path / "gan_in_100_lines.png").stat().st_size > 10_000, done.stderr
