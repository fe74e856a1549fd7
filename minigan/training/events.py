"""What happens between the steps of a run: the progress bar, pictures, checkpoints, the doctor; and what a run will cost."""
import statistics
import sys
import time

from minigan.backend import rng
from minigan.engine import anywhere, once_per_run
from minigan.training.album import draw_final_pictures, draw_samples, name_of_picture

FIRST_STEPS = 6                                        # of which the first is left out of the estimate: it loads and warms up
FIRST_PICTURES = 10.0                                  # seconds of training, after which the film and the samples are shown


class Events:
    """Called after every step of a training.Run, once the step is known to be finite."""

    def __init__(self, run, bar, steps, sample_every, save_every, save_minutes):
        self.run, self.bar, self.steps, self.sample_every = run, bar, steps, sample_every
        self.save_every, self.save_seconds = save_every, 60 * save_minutes
        self.times, self.saved_at, self.shown = [time.monotonic()], time.monotonic(), False

    def save_is_due(self) -> bool:
        return anywhere(self.run.step % self.save_every == 0 or time.monotonic() - self.saved_at > self.save_seconds)

    def after(self, row, save: bool) -> None:
        """The step of this row of the log is done; a checkpoint is to be written, or not."""
        run, bar = self.run, self.bar
        bar.update()
        bar.set_postfix_str("loss_D {1:.3f}, loss_G {2:.3f}, D(x) {3:.2f}, D(G(z)) {4:.2f}".format(*row), False)
        if len(self.times) <= FIRST_STEPS:
            self.times.append(time.monotonic())
            if len(self.times) > FIRST_STEPS:
                self.say(self.cost())
        if run.step % self.sample_every == 0 or run.step == 1:
            self.draw()
        if save:
            run.save()
            self.saved_at = time.monotonic()
        if run.doctor is not None and (run.step % run.doctor_every == 0 or run.step == 1):
            self.ask_doctor()

    def cost(self) -> str:
        """What the whole run will take, from its first steps: "about 45 ms a step: 1.4 min for the 1,900 steps ..."."""
        step = statistics.median(later - earlier for earlier, later in zip(self.times[1:], self.times[2:]))
        left = step * (self.steps - self.run.step)
        saves = min(step * self.save_every, self.save_seconds)
        return (f"about {duration(step)} a step: {duration(left)} for the {self.steps - self.run.step:,} steps to come; "
                f"samples every {duration(step * self.sample_every)}, a checkpoint every {duration(saves)}")

    @once_per_run
    def draw(self) -> None:
        run = self.run
        path = run.out / "samples" / name_of_picture(run.step)
        try:
            draw_samples(run, path)
            if not self.shown and time.monotonic() - self.times[0] > FIRST_PICTURES:
                self.shown = True
                run.log.flush()
                draw_final_pictures(run)
                self.say(f"the first pictures are there: {run.out / 'samples.png'} and training.gif, as far as it is")
        except OSError as error:                       # one picture less costs no training
            self.say(f"minigan: no picture of step {run.step}: {error}", sys.stderr)

    @once_per_run
    def ask_doctor(self) -> None:
        """On noise of its own, so that the run is the same with the doctor and without."""
        run = self.run
        run.doctor.look(run.gan, *run.batch(0, rng([run.seed, 2])))
        for sentence in run.doctor.advice():
            self.say(f"step {run.step}: {sentence}")

    def say(self, sentence, file=None) -> None:
        """A line above the bar."""
        self.bar.write(sentence, file=file or self.bar.fp)


def duration(seconds: float) -> str:
    """45 ms, 2.2 s, 1.4 min, 6 h, 3 days."""
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if seconds >= (2 if unit == "days" else 1) * length:
            return f"{seconds / length:.2g} {unit}" if seconds < 100 * length else f"{seconds / length:.0f} {unit}"
    return f"{1000 * seconds:.2g} ms" if seconds < 0.1 else f"{1000 * seconds:.0f} ms"
