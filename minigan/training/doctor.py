"""What is wrong with a GAN, in words. Its losses do not say it; the symptoms of symptoms.py do, when they are read together.

    doctor = Doctor()
    ... every hundred steps: doctor.look(gan, real, z), then print each sentence of doctor.advice()

A look runs G and D in evaluation mode, and no parameter, statistic or generator changes by it: a run with a doctor gives the
same bytes as one without. It sees what a batch shows. Two modes far apart are as diverse as eight: only a count of modes
(metrics.modes) finds that. The limits below are rules of thumb, set so that healthy runs of the examples stay silent.
"""
import math
import statistics

import numpy as np

from minigan.arguments import check_whole
from minigan.backend import Array
from minigan.gan import GAN
from minigan.training.finite import first_bad_layer
from minigan.training.symptoms import measure

PATIENCE = 3            # looks in a row: a GAN swings, and one bad batch is no illness
GONE = 10               # looks without an illness, until it is news again
SURE = 0.98             # an accuracy, from which on D makes no mistakes worth learning from
FLAT = 0.03             # of a push, or of the largest gradient so far: G learns next to nothing
COLLAPSED = 0.2         # of the real diversity
YOUNG = 10              # looks: G's first samples are all alike, and it takes some time until they are not
EXPLODED, HUGE = 100.0, 1e4            # a gradient: times the median so far; whatever it was before


class Doctor:
    """Looks at a GAN now and then, and gives each advice once, or again when the illness comes back after having gone."""

    def __init__(self, samples=128):
        """samples: how many of a batch a look uses at most; more make it slower and the shares finer. Where D judges several
        samples at once, it is a multiple of these."""
        check_whole("Doctor", 2, samples=samples)
        self.samples, self.history, self.culprit = samples, [], None
        self.absent = {}                               # advice that was given -> looks since the illness has gone

    def look(self, gan: GAN, real: Array, z: Array, labels: Array | None = None) -> dict[str, float]:
        """Measure and remember the symptoms: a dict of floats. real and z as for a training step, best just after one."""
        n = max(1, min(self.samples, len(real), len(z)) // gan.group) * gan.group
        real, z, labels = real[:n], z[:n], None if labels is None else labels[:n]
        with np.errstate(over="ignore", invalid="ignore"):             # what overflows is named in words
            symptoms = measure(gan, real, z, labels)
        sick = not all(map(math.isfinite, symptoms.values()))
        self.culprit = first_bad_layer(gan, real, z, labels, train=False) if sick else None
        self.history.append(symptoms)
        return symptoms

    def advice(self) -> list[str]:
        """The sentences that the last look adds to those that were given before."""
        if not self.history:
            return []
        found = diagnose(self.history[-1], self.history[:-1], self.culprit)
        news = [sentence for name, sentence in found.items() if name not in self.absent]
        gone = {name: 0 if name in found else looks + 1 for name, looks in self.absent.items()}
        self.absent = {name: looks for name, looks in gone.items() if looks < GONE} | dict.fromkeys(found, 0)
        return news


# --- what they mean ---

def diagnose(symptoms, history, culprit=None) -> dict[str, str]:
    """{name of an illness: a sentence with its numbers and what to try}, for the last symptoms and all before them."""
    bad = [name for name, value in symptoms.items() if not math.isfinite(value)]
    if bad:
        return {"not finite": f"A number is not finite any more: {culprit or ', '.join(bad)}. Go back to the last checkpoint, "
                              "and try a smaller --lr or --clip-norm."}
    looks = [*history, symptoms]
    found = {"wrong range": wrong_range(symptoms), "exploded": exploded(symptoms, history)}
    if len(looks) >= PATIENCE:
        recent = looks[-PATIENCE:]
        found |= {"D has won": D_has_won(symptoms, recent, looks), "D has given up": D_has_given_up(symptoms, recent),
                  "collapsed": collapsed(symptoms, recent, looks), "saturated": saturated(symptoms, recent),
                  "dead": dead(symptoms, recent)}
    return {name: sentence for name, sentence in found.items() if sentence}


def D_has_won(symptoms, recent, looks):
    if any(min(look["accuracy_real"], look["accuracy_fake"]) < SURE for look in recent):
        return None
    largest = max(look["gradient_G"] for look in looks)
    losses = [look.get("loss_G", 0.0) for look in recent]
    sure = (f"D has won: it is right on {symptoms['accuracy_real']:.0%} of the real and {symptoms['accuracy_fake']:.0%} of "
            "the fakes")
    if symptoms["push"] < FLAT and "bounded" in symptoms:
        return (f"{sure}, and there G's loss is flat: {symptoms['push']:.1g} of its slope is left. D ends in a sigmoid or a "
                "tanh, flat where D is sure: leave it out, and take a loss of logits, minigan.losses.NonSaturating().")
    if symptoms["push"] < FLAT:
        return (f"{sure}, and there G's loss is flat: {symptoms['push']:.1g} of its slope is left. "
                "Try --loss nonsaturating, which is steep there.")
    if symptoms["gradient_G"] <= FLAT * largest:
        why = f"and G's gradient is {symptoms['gradient_G']:.2g}, where it has been {largest:.2g}"
    elif min(losses) > 5 or losses == sorted(losses) and losses[-1] > max(3, 1.2 * losses[0]):
        why = f"and G's loss was {', '.join(f'{loss:.1f}' for loss in losses)} in the last looks"
    else:
        return None                                    # a sure D alone is no illness while G still learns from it
    return (f"{sure}, {why}. Make D's task harder: --instance-noise, --label-smoothing, --penalty r1, --spectral-norm, "
            "--augment if there are few data; or a smaller --lr.")


def D_has_given_up(symptoms, recent):
    one_sided = all(abs(look["accuracy_real"] - look["accuracy_fake"]) > 0.95 for look in recent)
    no_opinion = all(look["spread"] < 0.01 and look["accuracy_real"] + look["accuracy_fake"] < 1.2 for look in recent)
    if not one_sided and not no_opinion:
        return None
    what = "calls everything real" if symptoms["accuracy_real"] > symptoms["accuracy_fake"] else "calls everything fake"
    what = what if one_sided else "says the same of everything"
    return (f"D has given up: it {what} (its scores vary by {symptoms['spread']:.2g}), so G learns nothing from it. Try a "
            "larger --n-critic, another --loss, or less of what holds D back: --penalty, --instance-noise, --label-smoothing.")


def collapsed(symptoms, recent, looks):
    if any(look["diversity"] > COLLAPSED for look in recent):
        return None
    if len(looks) < YOUNG and max(look["diversity"] for look in looks) < 2 * COLLAPSED:
        return None                                    # it is only beginning
    return (f"G has collapsed: its samples are only {symptoms['diversity']:.2g} times as far from each other as real ones. "
            "Try --packing, --loss wasserstein with --penalty wgan-gp and --n-critic 5, or a smaller --lr.")


def saturated(symptoms, recent) -> str | None:
    """Where real images have many pixels at ±1 G must have as many; it is ill if next to none are left between."""
    if any(1 - look.get("saturated", 0.0) >= 0.1 * (1 - look.get("saturated_real", 0.0)) for look in recent):
        return None
    return (f"G's output is saturated: {symptoms['saturated']:.0%} of its pixels are beyond ±0.99, of the real ones "
            f"{symptoms['saturated_real']:.0%}, and there the slope of tanh is below 0.02. Try a smaller --lr, --clip-norm or "
            "--penalty r1.")


def dead(symptoms, recent):
    layers = [name for name in symptoms if name.startswith("dead_") and all(look.get(name, 0.0) > 0.9 for look in recent)]
    if not layers:
        return None
    shares = ", ".join(f"{symptoms[name]:.0%} in {name.removeprefix('dead_')}" for name in layers)
    return f"Dead units, zero for the whole batch and without a gradient: {shares}. Try a smaller --lr, or LeakyReLU for ReLU."


def exploded(symptoms, history):
    for name in ("gradient_G", "gradient_D"):
        usual = statistics.median(look[name] for look in history) if len(history) >= PATIENCE else math.inf
        if symptoms[name] > max(1, EXPLODED * usual) or symptoms[name] > HUGE:
            return (f"The gradient of {name[-1]} has exploded: its norm is {symptoms[name]:.2g}. Try --clip-norm, a smaller "
                    "--lr, or a D that cannot get so steep: --penalty r1, --spectral-norm.")
    return None


def wrong_range(symptoms):
    if "real_min" not in symptoms or (-1.01 <= symptoms["real_min"] < -0.01 and symptoms["real_max"] <= 1.01):
        return None
    return (f"The data lie between {symptoms['real_min']:.3g} and {symptoms['real_max']:.3g}, but G ends in tanh, which spans "
            "-1 to 1: D tells fakes by their range. Scale the data to [-1, 1], bytes by x / 127.5 - 1.")
