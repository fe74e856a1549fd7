"""The loop around GAN.train_step: batches, progress, samples, log, checkpoints, and going on where a run stopped.

A run lives in one folder:

    config.json       the options it was started with      real.png             real samples as D sees them
    log.csv           a row for every step                 samples/step_N.png   G(z) for one fixed z, as training goes
    checkpoint.npz    everything needed to go on           samples.png, curves.png, training.gif   made at the end

A run that is stopped (Ctrl-C, kill -9, a power cut) and resumed ends with the same bytes as one that was not. That needs no
tricks, only that step t depends on nothing but the options, the data and what the checkpoint holds: the networks, the
optimizers, the states of the random generators, and t itself, from which the place in the shuffled data follows.

One folder, one run: `start`, `resume` and `train` are each alone in it (minigan/files.py), and `train` begins only if the
checkpoint there is still the one that this Run knows.
"""
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from minigan import backend
from minigan.arguments import (
    check_data,
    check_labels,
    check_object,
    check_positive,
    check_range_of_data,
    check_samples,
    check_whole,
)
from minigan.engine import machine, once_per_run
from minigan.files import make_folder
from minigan.training import checkpoint, folder
from minigan.training.album import draw_final_pictures, draw_real
from minigan.training.batches import Batches, resident, rows
from minigan.training.captured import capture as capture_step
from minigan.training.doctor import Doctor
from minigan.training.events import Events
from minigan.training.finite import explain, finite
from minigan.training.log import Log
from minigan.training.signals import stop_signal
from minigan.training.unfailing import Unfailing


class Run:
    """A GAN in training on the host array x, in the folder `out`. `config`, any JSON value, is kept with it.

    labels            (len(x),) of a conditional GAN
    critic_steps      steps of D for each step of G; all see batches of their own
    generator_from    the step from which G alone is trained, against a D that stays as it is
    schedule          called with the number of each step before it: may change a learning rate or the strength of a noise
    capture           on a GPU, run GAN.train_step as one CUDA graph (captured.py); steps of D or G alone run as they are
    doctor            looks at the GAN after the first step and every `doctor_every` steps; its advice is printed (doctor.py).
                      True: a new Doctor(); False or None: none
    names             of the classes, for the pictures
    Errors    ValueError or TypeError for an x that is empty, not finite or not like what G makes, for labels that are no
              classes, for options that make no sense;  FileExistsError if `out` holds another run;  BlockingIOError if one is
              in it at this moment;  OSError if it cannot be written
    """

    def __init__(self, gan, x, out, *, labels=None, batch_size=64, seed=0, config=None, critic_steps=1,
                 generator_from=None, schedule=None, capture=False, doctor=True, doctor_every=100, names=None):
        check_object("training", "gan", gan, "minigan.GAN(...)", "group", "sample")
        check_whole("training", 2, batch_size=batch_size)
        check_whole("training", 1, critic_steps=critic_steps)
        check_whole("training", 0, seed=seed, generator_from=generator_from or 0)
        doctor = Doctor() if doctor is True else doctor or None
        if doctor is not None:
            check_object("training", "doctor", doctor, "minigan.training.doctor.Doctor()", "look", "advice")
            check_whole("training", 1, doctor_every=doctor_every)
        if schedule is not None:
            check_object("training", "schedule", schedule, "a function of the step", "__call__")
        if batch_size % gan.group:
            raise ValueError(f"training: D judges {gan.group} samples at once, which does not divide batch_size {batch_size}")
        folder.check_config(config)
        check_data("training", x)
        check_samples("GAN", x, gan.sample(1, seed))
        labels = None if labels is None else backend.to_numpy(labels)
        check_labels("training", labels, len(x), gan.classes)
        check_range_of_data("training", gan.G, x)
        gan.begun = True                               # so it need not look at its first batch
        self.gan, self.x, self.labels, self.out, self.seed, self.config = gan, x, labels, Path(out), seed, config
        self.critic_steps, self.schedule, self.doctor, self.doctor_every = critic_steps, schedule, doctor, doctor_every
        self.names = names or [str(k) for k in range(gan.classes)]
        self.resident = [None if array is None else resident(array) for array in (x, labels)]
        self.generator_from = math.inf if generator_from is None else generator_from
        self.batches = Batches(len(x), batch_size, seed)
        self.noise = backend.rng([seed, 1])       # another stream than the shuffles'
        self.captured = capture_step(gan, self.noise) if capture else None
        self.step, self.saved = 0, None           # saved: the checksum of the last checkpoint
        self.data = folder.fingerprint(x, labels)             # to know them again
        self.log = Log(self.out / "log.csv")

    # --- begin, or go on ---

    @once_per_run
    def start(self) -> None:
        """Make the folder and write config.json."""
        make_folder(self.out)
        with folder.only_run_in(self.out):
            folder.refuse_a_used_folder(self.out, self.log)
            make_folder(self.out / "samples")
            self.log.begin()
            self.save()
            folder.write_config(self.out, self.config)        # the last one: a run without it has not started

    def resume(self, steps: int) -> None:
        """Go back to the last checkpoint in the folder: all that was written after it will be written again.

        Errors    CheckpointError, FileNotFoundError;  ValueError if the run has more than `steps` steps already, if it was
                  trained on other data, or if its log is damaged;  BlockingIOError if it is in use
        """
        folder.check_there(self)
        with folder.only_run_in(self.out):
            content, rows = folder.last_state(self, steps)
            path = self.out / "checkpoint.npz"
            checkpoint.restore(self.gan, content, path)
            if not self._is_finite():
                raise checkpoint.CheckpointError(f"{path}: the parameters of its G or D are not finite")
            backend.set_rng_state(self.noise, content["noise.rng"])
            folder.go_back(self, rows)
            self.step = int(content["step"])

    @once_per_run
    def save(self) -> None:
        """The log first, then the checkpoint: so the log never lacks a step that the checkpoint has, not even on the disk."""
        self.log.flush(sync=True)
        checkpoint.save(self.out / "checkpoint.npz", self.gan, self.config, **self.own_state())
        self.saved = folder.checksum(self.out / "checkpoint.npz")

    def own_state(self):
        return {"step": np.array(self.step), "data": self.data, "noise.rng": backend.rng_state(self.noise),
                "log": np.array(self.log.checksum)}

    # --- the loop ---

    def train(self, steps: int, sample_every: int = 500, save_every: int = 1000, save_minutes: float = 5) -> bool:
        """Train up to `steps` in all, with a checkpoint every `save_every` steps and every `save_minutes` minutes. Returns
        False if Ctrl-C stopped it before (everything is saved then).

        Raises FloatingPointError, naming the step and the layer, when a loss or a parameter is no finite number;
        RuntimeError before `start` or `resume`, and if another run has gone on in the folder since;  BlockingIOError.
        """
        check_whole("train", 1, steps=steps, sample_every=sample_every, save_every=save_every)
        check_positive("train", save_minutes=save_minutes)
        folder.check_begun(self)
        with folder.only_run_in(self.out):
            folder.check_last(self)
            return self._train(steps, sample_every, save_every, save_minutes)

    def _train(self, steps, sample_every, save_every, save_minutes):
        stderr = Unfailing(sys.stderr)
        for sentence in machine.advice():
            print(f"minigan: {sentence}", file=stderr)
        draw_real(self)
        recent = checkpoint.snapshot(self.gan, **self.own_state())    # from which up to 100 steps can be repeated
        quiet = np.errstate(over="ignore", invalid="ignore")           # what overflows is found below, and explained
        progress = tqdm(total=steps, initial=self.step, unit="step", file=stderr, dynamic_ncols=True)
        with quiet, stop_signal() as stopped, progress as bar:
            events = Events(self, bar, steps, sample_every, save_every, save_minutes)
            while self.step < steps and not stopped():
                row = self.train_step()
                save = events.save_is_due()
                look = save or self.step % 100 == 0 or self.step == steps or stopped()
                if not all(map(math.isfinite, row[1:])) or look and not self._is_finite():
                    explain(self, recent)          # before anything of it is saved
                events.after(row, save)
                if self.step % 100 == 0:
                    self.log.flush()
                    recent = checkpoint.snapshot(self.gan, **self.own_state())
        self.save()
        if self.step > 0:                              # else Ctrl-C came before anything is there to be drawn
            draw_final_pictures(self)
        return self.step >= steps

    def train_step(self) -> tuple:
        """One step of the run; its row of the log."""
        step, last = self.up_to_the_last(), self.critic_steps - 1
        captured = self.captured and step == self.gan.train_step
        losses = self.captured(*self.samples(last)) if captured else step(*self.batch(last))
        self.step += 1
        row = (self.step, *backend.scalars((*losses, *self.gan.scores)))
        self.log.add(row)
        return row

    def up_to_the_last(self) -> Callable:
        """Everything in a step of the run that comes before the last call of the GAN; returns the method to be called then."""
        if self.schedule is not None:
            self.schedule(self.step)
        if self.step >= self.generator_from:
            return self.gan.generator_step
        for i in range(self.critic_steps - 1):
            self.gan.discriminator_step(*self.batch(i))
        return self.gan.train_step

    def samples(self, i: int) -> list:
        """(real, labels) of the i-th step of D within this step."""
        chosen = self.batches[self.step * self.critic_steps + i]
        return [None if array is None else rows(array, chosen) for array in self.resident]

    def batch(self, i: int, noise=None) -> tuple:
        """(real, z, labels)"""
        real, labels = self.samples(i)
        return real, self.gan.noise(len(real), noise or self.noise), labels

    def _is_finite(self):
        return finite(self.gan.G.theta) and finite(self.gan.D.theta)
