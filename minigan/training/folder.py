"""The folder of a run: whether it is free for a new one, whether its checkpoint is one of this run, and going back to it."""
import contextlib
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from minigan.engine import once_per_run, ranks
from minigan.files import alone_in, make_folder, write_whole
from minigan.training import checkpoint
from minigan.training.log import Log


def refuse_a_used_folder(out: Path, log: Log) -> None:
    """Raise unless `out` is free for a new run. A run without a step, since its first one failed, is in nobody's way."""
    if (out / "config.json").exists() and not is_without_steps(out, log):
        raise FileExistsError(f"{out} holds a run already: continue it with --resume, or choose another folder")
    for path in left_behind(out, log):
        raise FileExistsError(f"{out} holds {path.relative_to(out)} of a run whose config.json is missing: "
                              "choose another folder")


def left_behind(out, log) -> Iterator[Path]:
    """The files of another run that this one would write over. A start that was killed before the first step has left
    nothing worth keeping: a log without rows, and the checkpoint of step 0."""
    if log.has_begun():
        yield log.path
    path = out / "checkpoint.npz"
    if path.exists() and not is_without_steps(out, log):
        yield path
    yield from out.glob("samples/step_*.png")
    yield from filter(Path.exists, (out / name for name in ("samples.png", "curves.png", "training.gif")))


def is_without_steps(out: Path, log: Log) -> bool:
    path = out / "checkpoint.npz"
    return log.path.exists() and not log.has_begun() and path.exists() and checkpoint.load(path).get("step") == 0


def only_run_in(out: Path) -> contextlib.AbstractContextManager[None]:
    """While the block runs, no other run is in the folder."""
    return alone_in(out) if ranks.rank() == 0 else contextlib.nullcontext()


@once_per_run
def check_there(run) -> None:
    path = run.out / "checkpoint.npz"
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such checkpoint")


@once_per_run
def last_state(run, steps: int) -> tuple[dict, list]:
    """What the last checkpoint of a training.Run holds, and the rows of the log up to it."""
    path = run.out / "checkpoint.npz"
    content = checkpoint.load(path)
    check_own(content, run.own_state(), path)
    if steps < content["step"]:
        raise ValueError(f"the run in {run.out} has already {content['step']} steps, more than {steps}")
    return content, run.log.rows(int(content["step"]), content.get("log"))


@once_per_run
def go_back(run, rows) -> None:
    """To the last checkpoint, with these rows of the log."""
    make_folder(run.out / "samples")
    run.log.begin(rows)
    write_config(run.out, run.config)
    for half in run.out.glob("checkpoint.npz.*.tmp"):          # that were being written when the run was killed
        half.unlink()
    run.saved = checksum(run.out / "checkpoint.npz")


@once_per_run
def check_begun(run) -> None:
    if run.saved is None:
        raise RuntimeError("Run.train: call start() or resume() first")


@once_per_run
def check_last(run) -> None:
    if checksum(run.out / "checkpoint.npz") != run.saved:
        raise RuntimeError(f"another run has gone on in {run.out} since this one was there last: resume it")


def checksum(path: Path) -> int:
    return zlib.crc32(path.read_bytes())


def check_own(content: dict, here: dict, path: Path) -> None:
    """Raise unless the checkpoint is one of a run on the data of this one. `here`: what this run would save beside its GAN."""
    if not {"step", "noise.rng"} <= content.keys():
        raise checkpoint.CheckpointError(f"{path}: a checkpoint of networks, not of a run: it has no step or no noise.rng")
    for name, value in here.items():
        if name in content and name != "data":     # the first checkpoints had no data and no log
            checkpoint.check_kind(name, content[name], value, path)
    data = content.get("data", here["data"])
    if data.dtype.kind not in "iu" or data.ndim != 1 or len(data) == 0 or content["step"] < 0:
        raise checkpoint.CheckpointError(f"{path}: this is not a whole minigan checkpoint (step or data make no sense)")
    if not np.array_equal(data, here["data"]):
        count = here["data"][0] if data[0] != here["data"][0] else "as many, but not the same"
        raise ValueError(f"the run in {path.parent} was trained on other data: {data[0]} samples, here {count}")


def check_config(config) -> None:
    """Raise unless config.json can hold it."""
    try:
        json.dumps(config)
    except (TypeError, ValueError) as error:
        raise TypeError(f"training: config must be a JSON value, numbers, texts, lists and dicts ({error})") from None


def fingerprint(x: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """The number of samples, and a checksum of each array that is there."""
    sums = [zlib.crc32(np.ascontiguousarray(array).data) for array in (x, labels) if array is not None]
    return np.array([len(x), *sums])


def write_config(out: Path, config) -> None:
    write_whole(out / "config.json", (json.dumps(config, indent=2) + "\n").encode())
