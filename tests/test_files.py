"""Files that follow the umask and whose errors name them; folders that are taken, and that hold one run at a time."""
import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import minigan as mg
from minigan import datasets, files, plots
from minigan.training.log import Log

ROOT = Path(__file__).parents[1]
posix = pytest.mark.skipif(os.name != "posix", reason="other systems have no umask")


@posix
@pytest.mark.parametrize("mask", [0o077, 0o027, 0o002])
def test_files_and_folders_follow_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        files.make_folder(tmp_path / "run" / "samples")
        files.write_whole(tmp_path / "run" / "file", b"new")
        files.write_whole(tmp_path / "run" / "file", b"newer")
        with files.new_folder(tmp_path / "runs" / "own") as own, files.alone_in(own):
            log = Log(own / "log.csv")
            log.begin()
            log.add((1, 0.5, 0.5, 0.5, 0.5))
            log.flush()
        plots.save_picture(own / "a.png", plots.grid(datasets.digits()[0][:4]))
    finally:
        os.umask(before)
    for path in tmp_path.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o777 if path.is_dir() else 0o666) & ~mask, path


@pytest.mark.parametrize("error, kind", [(errno.ENOSPC, OSError), (errno.ENOENT, FileNotFoundError),
                                         (errno.EACCES, PermissionError), (errno.EFBIG, OSError)])
def test_an_error_names_the_file_and_stays_what_it_is(error, kind):
    with pytest.raises(kind, match=f"{os.strerror(error)}: 'a/b.txt'") as caught:
        with files.naming(Path("a/b.txt")):
            raise OSError(error, os.strerror(error), "a/.something.tmp")
    assert type(caught.value) is kind and caught.value.errno == error


def test_the_errors_of_every_writer_name_its_file(tmp_path):
    gone = tmp_path / "gone"
    image = plots.grid(datasets.digits()[0][:4])
    for name, write in {
            "a": lambda path: files.write_whole(path, b""), "b": lambda path: Log(path).begin(),
            "c": lambda path: Log(path).flush(), "d": lambda path: Log(path).rows(3),
            "e": lambda path: plots.save_picture(path, image), "f": lambda path: plots.save_gif(path, [image]),
            "g": lambda path: mg.checkpoint.save(path, mg.GAN(*mg.models.toy_mlp(mg.host_rng(0)), mg.losses.Hinge(),
                                                              mg.optimizers.Adam(), mg.optimizers.Adam()))}.items():
        with pytest.raises(FileNotFoundError) as error:
            write(gone / name)
        assert error.value.filename == str(gone / name)


def test_a_log_that_could_not_be_written_is_written_once_later(tmp_path, monkeypatch):
    """The disk is full in the middle of a row: what is there of it makes room for the whole."""
    def full(file):
        os.ftruncate(file, 50)                         # 42 bytes are the first line
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    log = Log(tmp_path / "log.csv")
    log.begin()
    log.add((1, 0.25, 0.5, 0.75, 1.0))
    monkeypatch.setattr("minigan.training.log.os.fsync", full)
    with pytest.raises(OSError, match="log.csv"):
        log.flush(sync=True)
    monkeypatch.undo()
    log.add((2, 0.25, 0.5, 0.75, 1.0))
    log.flush()
    assert (tmp_path / "log.csv").read_bytes().splitlines()[1:] == [b"1,0.25,0.5,0.75,1", b"2,0.25,0.5,0.75,1"]


# --- a folder of one's own ---

def test_a_new_folder_is_nobody_elses(tmp_path):
    """Eight threads ask at one moment."""
    barrier, taken = threading.Barrier(8), []

    def take():
        barrier.wait()
        with files.new_folder(tmp_path / "runs" / "name") as folder:
            (folder / "mine").touch(exist_ok=False)
            taken.append(folder.name)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == ["name", *(f"name-{i}" for i in range(2, 9))]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_new_folder_in_which_nothing_began_is_gone_again(tmp_path, monkeypatch, error):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error):
        with files.new_folder(Path("runs", "name")):
            raise error
    assert not list(tmp_path.iterdir())
    with pytest.raises(error):
        with files.new_folder(Path("runs", "name")) as folder:
            (folder / "file").touch()
            raise error
    assert (folder / "file").exists()                  # what was written stays


def test_a_file_where_the_folders_should_be_is_no_endless_search(tmp_path):
    (tmp_path / "runs").touch()
    with pytest.raises(OSError, match="cannot write into the folder"):
        with files.new_folder(tmp_path / "runs" / "name"):
            pass


# --- one run in a folder ---

def test_two_are_never_in_one_folder(tmp_path):
    with files.alone_in(tmp_path):
        with pytest.raises(BlockingIOError, match=f"^{tmp_path} is in use by another run"):
            with files.alone_in(tmp_path):
                pass
        with pytest.raises(BlockingIOError):
            with files.alone_in(tmp_path / "." / ".." / tmp_path.name):
                pass
    with pytest.raises(ZeroDivisionError):
        with files.alone_in(tmp_path):
            raise ZeroDivisionError
    with files.alone_in(tmp_path):                     # whichever way the last one left it
        pass


def test_the_lock_of_a_killed_process_does_not_block(tmp_path):
    code = f"from minigan.files import alone_in\nwith alone_in({str(tmp_path)!r}): print('in', flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout.readline().strip() == b"in"
    with pytest.raises(BlockingIOError):
        with files.alone_in(tmp_path):
            pass
    process.kill()
    process.communicate()
    with files.alone_in(tmp_path):
        pass


def test_a_file_system_without_locks_does_without(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def none(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")
    monkeypatch.setattr(fcntl, "flock", none)
    with files.alone_in(tmp_path):
        pass
