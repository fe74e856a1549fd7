"""The loop around GAN.train_step: batches, progress, samples, log, checkpoints, and going on where a run stopped.

A run lives in one folder:

    config.json       the options it was started with      samples/step_N.png   G(z) for one fixed z, as training goes
    log.csv           a row for every step                 samples.png, curves.png, training.gif   made at the end
    checkpoint.npz    everything needed to go on

A run that is stopped (Ctrl-C, kill -9, a power cut) and resumed ends with the same bytes as one that was not. That needs no
tricks, only that step t depends on nothing but the options, the data and what the checkpoint holds: the networks, the
optimizers, the states of the random generators, and t itself, from which the place in the shuffled data follows.

One folder, one run: `start`, `resume` and `train` are each alone in it (minigan/files.py), and `train` begins only if the
checkpoint there is still the one that this Run knows.
"""
import json
import math
import sys
import zlib
from pathlib import Path

import numpy as np
from tqdm import tqdm

from minigan import backend, plots
from minigan.arguments import check_data, check_labels, check_object, check_samples, check_whole
from minigan.cli import terminal
from minigan.engine import machine
from minigan.files import alone_in, make_folder, write_whole
from minigan.training import checkpoint
from minigan.training.batches import Batches
from minigan.training.finite import finite, first_bad_layer
from minigan.training.log import COLUMNS, Log
from minigan.training.signals import stop_signal


def name_of_picture(step):
    return f"step_{step:06d}.png"


class Run:
    """A GAN in training on the host array x, in the folder `out`. `config`, any JSON value, is kept with it.

    labels            (len(x),) of a conditional GAN
    critic_steps      steps of D for each step of G; all see batches of their own
    generator_from    the step from which G alone is trained, against a D that stays as it is
    schedule          called with the number of each step before it: may change a learning rate or the strength of a noise
    capture           on a GPU, run GAN.train_step as one CUDA graph (GAN.capture); steps of D or G alone run as they are
    doctor            looks at the GAN every `doctor_every` steps; what he has to say is printed (minigan/doctor.py)
    Errors    ValueError or TypeError for an x that is empty, not finite or not like what G makes, for labels that are no
              classes, for options that make no sense;  FileExistsError if `out` holds another run;  BlockingIOError if
              another run is in it at this moment;  OSError if it cannot be written
    """

    def __init__(self, gan, x, out, *, labels=None, batch_size=64, seed=0, config=None, critic_steps=1,
                 generator_from=None, schedule=None, capture=False, doctor=None, doctor_every=100):
        check_object("training", "gan", gan, "minigan.GAN(...)", "group", "sample")
        check_whole("training", 2, batch_size=batch_size)
        check_whole("training", 1, critic_steps=critic_steps)
        check_whole("training", 0, seed=seed, generator_from=generator_from or 0)
        if doctor is not None:
            check_object("training", "doctor", doctor, "minigan.training.doctor.Doctor()", "look", "advice")
            check_whole("training", 1, doctor_every=doctor_every)
        if schedule is not None:
            check_object("training", "schedule", schedule, "a function of the step", "__call__")
        if batch_size % gan.group:
            raise ValueError(f"training: D judges {gan.group} samples at once, which does not divide batch_size {batch_size}")
        try:
            json.dumps(config)
        except (TypeError, ValueError) as error:
            raise TypeError(f"training: config must be a JSON value, numbers, texts, lists and dicts ({error})") from None
        check_data("training", x)
        check_samples("GAN", x, gan.sample(1, seed))
        labels = None if labels is None else backend.to_numpy(labels)
        check_labels("training", labels, len(x), gan.classes)
        self.gan, self.x, self.labels, self.out, self.seed, self.config = gan, x, labels, Path(out), seed, config
        self.critic_steps, self.schedule = critic_steps, schedule
        self.doctor, self.doctor_every = doctor, doctor_every
        self.resident = [None if array is None else backend.resident(array) for array in (x, labels)]
        self.generator_from = math.inf if generator_from is None else generator_from
        self.batches = Batches(len(x), batch_size, seed)
        self.noise = backend.rng([seed, 1])       # another stream than the shuffles'
        self.captured = gan.capture(self.noise) if capture else None
        self.step, self.saved = 0, None           # saved: the step of the last checkpoint
        sums = [zlib.crc32(np.ascontiguousarray(array)) for array in (x, labels) if array is not None]
        self.data = np.array([len(x), *sums])          # to know them again
        self.log = Log(self.out / "log.csv")

    # --- begin, or go on ---

    def start(self):
        """Make the folder and write config.json."""
        make_folder(self.out)
        with alone_in(self.out):
            self._refuse_a_used_folder()
            make_folder(self.out / "samples")
            self.log.begin()
            self.save()
            self._write_config()                       # the last one: a run without it has not started

    def _refuse_a_used_folder(self):
        if (self.out / "config.json").exists():
            raise FileExistsError(f"{self.out} holds a run already: continue it with --resume, or choose another folder")
        for path in self._left_behind():
            raise FileExistsError(f"{self.out} holds {path.relative_to(self.out)} of a run whose config.json is missing: "
                                  "choose another folder")

    def _left_behind(self):
        """The files of another run that this one would write over. A start that was killed before the first step has left
        none that anybody would miss: a log without rows, and the checkpoint of step 0."""
        if self.log.has_begun():
            yield self.log.path
        path = self.out / "checkpoint.npz"
        if path.exists() and (not self.log.path.exists() or checkpoint.load(path).get("step") != 0):
            yield path
        yield from self.out.glob("samples/step_*.png")
        yield from filter(Path.exists, (self.out / name for name in ("samples.png", "curves.png", "training.gif")))

    def resume(self, steps):
        """Go back to the last checkpoint in the folder: all that was written after it will be written again.

        Errors    CheckpointError, FileNotFoundError;  ValueError if the run has more than `steps` steps already, if it was
                  trained on other data, or if its log is damaged;  BlockingIOError if it is in use
        """
        path = self.out / "checkpoint.npz"
        if not path.exists():
            raise FileNotFoundError(f"{path}: there is no such checkpoint")
        with alone_in(self.out):
            content = checkpoint.load(path)
            self._check_own(content, path)
            if steps < content["step"]:
                raise ValueError(f"the run in {self.out} has already {content['step']} steps, more than {steps}")
            rows = self.log.rows(int(content["step"]), content.get("log"))
            make_folder(self.out / "samples")
            checkpoint.restore(self.gan, content, path)
            if not self._is_finite():
                raise checkpoint.CheckpointError(f"{path}: the parameters of its G or D are not finite")
            backend.set_rng_state(self.noise, content["noise.rng"])
            self.log.begin(rows)
            self._write_config()
            for half in self.out.glob("checkpoint.npz.*.tmp"):         # that were being written when the run was killed
                half.unlink()
            self.step = self.saved = int(content["step"])

    def _check_own(self, content, path):
        """Raise unless the checkpoint is one of a run, on the data of this one."""
        if not {"step", "noise.rng"} <= content.keys():
            raise checkpoint.CheckpointError(f"{path}: a checkpoint of networks, not of a run: it has no step or no noise.rng")
        for name, here in self._own_state().items():
            if name in content and name != "data":     # the first checkpoints had no data and no log
                checkpoint.check_kind(name, content[name], here, path)
        data = content.get("data", self.data)
        if data.dtype.kind not in "iu" or data.ndim != 1 or len(data) == 0 or content["step"] < 0:
            raise checkpoint.CheckpointError(f"{path}: this is not a whole minigan checkpoint (step or data make no sense)")
        if not np.array_equal(data, self.data):
            here = len(self.x) if data[0] != len(self.x) else "as many, but not the same"
            raise ValueError(f"the run in {self.out} was trained on other data: {data[0]} samples, here {here}")

    def save(self):
        """The log first, then the checkpoint: so the log never lacks a step that the checkpoint has, not even on the disk."""
        self.log.flush(sync=True)
        checkpoint.save(self.out / "checkpoint.npz", self.gan, self.config, **self._own_state())
        self.saved = self.step

    def _own_state(self):
        return {"step": np.array(self.step), "data": self.data, "noise.rng": backend.rng_state(self.noise),
                "log": np.array(self.log.checksum)}

    # --- the loop ---

    def train(self, steps, sample_every=500, save_every=1000):
        """Train up to `steps` in all. Returns False if Ctrl-C stopped it before (everything is saved then).

        Raises FloatingPointError, naming the step and the layer, when a loss or a parameter is no finite number;
        RuntimeError before `start` or `resume`, and if another run has gone on in the folder since;  BlockingIOError.
        """
        check_whole("train", 1, steps=steps, sample_every=sample_every, save_every=save_every)
        if self.saved is None:
            raise RuntimeError("Run.train: call start() or resume() first")
        with alone_in(self.out):
            if checkpoint.load(self.out / "checkpoint.npz")["step"] != self.saved:
                raise RuntimeError(f"another run has gone on in {self.out} since this one was there last: resume it")
            return self._train(steps, sample_every, save_every)

    def _train(self, steps, sample_every, save_every):
        said = terminal.Unfailing(sys.stderr)
        for sentence in machine.advice():
            print(f"minigan: {sentence}", file=said)
        recent = self._snapshot()
        quiet = np.errstate(over="ignore", invalid="ignore")           # what overflows is found below, and explained
        progress = tqdm(total=steps, initial=self.step, unit="step", file=said, dynamic_ncols=True)
        with quiet, stop_signal() as stopped, progress as bar:
            while self.step < steps and not stopped():
                row = self.train_step()
                stop_here = self.step % 100 == 0 or self.step % save_every == 0 or self.step == steps or stopped()
                if not all(map(math.isfinite, row[1:])) or stop_here and not self._is_finite():
                    self._explain_nan(recent)          # before anything of it is saved
                bar.update()
                bar.set_postfix_str("loss_D {1:.3f}, loss_G {2:.3f}, D(x) {3:.2f}, D(G(z)) {4:.2f}".format(*row), False)
                if self.step % sample_every == 0 or self.step == 1:
                    self._sample(bar)
                if self.step % save_every == 0:
                    self.save()
                if self.step % 100 == 0:
                    self.log.flush()
                    recent = self._snapshot()
                if self.doctor is not None and self.step % self.doctor_every == 0:
                    self._ask_doctor(bar)
        self.save()
        if self.step > 0:                              # else Ctrl-C came before anything is there to be drawn
            self._final_pictures()
        return self.step >= steps

    def train_step(self):
        """One step of the run; its row of the log."""
        step, last = self._up_to_the_last(), self.critic_steps - 1
        captured = self.captured and step == self.gan.train_step
        losses = self.captured(*self.samples(last)) if captured else step(*self.batch(last))
        self.step += 1
        row = (self.step, *backend.scalars((*losses, *self.gan.scores)))
        self.log.add(row)
        return row

    def _up_to_the_last(self):
        """Everything in a step of the run that comes before the last call of the GAN; returns the method to be called then."""
        if self.schedule is not None:
            self.schedule(self.step)
        if self.step >= self.generator_from:
            return self.gan.generator_step
        for i in range(self.critic_steps - 1):
            self.gan.discriminator_step(*self.batch(i))
        return self.gan.train_step

    def samples(self, i):
        """(real, labels) of the i-th step of D within this step."""
        chosen = self.batches[self.step * self.critic_steps + i]
        return [None if array is None else backend.rows(array, chosen) for array in self.resident]

    def batch(self, i, noise=None):
        """(real, z, labels)"""
        real, labels = self.samples(i)
        return real, self.gan.noise(len(real), noise or self.noise), labels

    # --- when it goes wrong ---

    def _ask_doctor(self, bar):
        """On noise of its own, so that the run is the same with him and without."""
        self.doctor.look(self.gan, *self.batch(0, backend.rng([self.seed, 2])))
        for sentence in self.doctor.advice():
            bar.write(f"step {self.step}: {sentence}", file=bar.fp)

    def _snapshot(self):
        """The run in memory, from which up to 100 steps can be repeated."""
        return checkpoint.snapshot(self.gan, **self._own_state())

    def _is_finite(self):
        return finite(self.gan.G.theta) and finite(self.gan.D.theta)

    def _explain_nan(self, recent):
        """The step that failed has spoilt all parameters. Repeat the steps before it, and look at each layer's output."""
        failed, rows = self.step, self.log.waiting[:-1]
        checkpoint.restore(self.gan, recent)
        backend.set_rng_state(self.noise, recent["noise.rng"])
        self.step = int(recent["step"])
        while self.step < failed - 1:
            self.train_step()
        step = self._up_to_the_last()
        batch = self.batch(self.critic_steps - 1)
        culprit = first_bad_layer(self.gan, *batch)
        if culprit is None:                            # then it shows only after the step: in the new D, or in G
            step(*batch)
            culprit = first_bad_layer(self.gan, *batch) or f"all layers are finite, but {self.gan.loss} overflows"
        self.log.waiting = rows
        self.log.flush()
        raise FloatingPointError(f"step {failed}: a number is not finite any more; {culprit}. The last checkpoint, in "
                                 f"{self.out}, is from before; try a smaller learning rate")

    # --- files ---

    def _write_config(self):
        write_whole(self.out / "config.json", (json.dumps(self.config, indent=2) + "\n").encode())

    def _sample(self, bar):
        try:
            self._picture(self.out / "samples" / name_of_picture(self.step))
        except OSError as error:                       # one picture less costs no training
            bar.write(f"minigan: no picture of step {self.step}: {error}", file=sys.stderr)

    def _picture(self, path):
        """Of images of 1 or 3 channels, and of points in the plane; of other samples there is none."""
        if self.x.ndim == 4 and self.x.shape[3] in (1, 3):             # of a conditional GAN a column for each class
            classes = self.gan.classes
            plots.save_grid(path, self.gan.sample(8 * classes or 64, self.seed), classes or None)
        elif self.x.shape[1:] == (2,):
            plots.save_points(path, self.x[:1000], backend.to_numpy(self.gan.sample(1000, self.seed)))

    def _final_pictures(self):
        self._picture(self.out / "samples.png")
        log = self.log.read(self.step)
        plots.save_curves(self.out / "curves.png", {name: [float(row[i]) for row in log] for i, name in enumerate(COLUMNS)})
        self._film()

    def _film(self):
        """training.gif, of the pictures in samples/ up to this step that are like samples.png: others may have come there."""
        if not (self.out / "samples.png").exists():    # these samples are none that can be drawn
            return
        shape, frames = plots.read_picture(self.out / "samples.png").shape, []
        there = {path.name for path in self.out.glob("samples/step_*.png")}
        for name in map(name_of_picture, range(1, self.step + 1)):
            try:
                if name in there:
                    frames.append(plots.read_picture(self.out / "samples" / name, shape))
            except ValueError as error:
                print(f"minigan: left out of training.gif: {error}", file=sys.stderr)
        if frames:
            plots.save_gif(self.out / "training.gif", frames)
