"""How good are the samples of a trained GAN? The numbers that a run ends with, and their spread over several seeds."""
import statistics

from matplotlib.figure import Figure

from minigan import datasets, metrics, plots
from minigan.backend import to_numpy

SIGMA = {"ring": 0.01, "grid": 0.05}                   # of the modes of the two mixtures


def score(gan, data, x, labels, seed):
    """{what: (for samples, for real data)} for data with modes or classes to count; {} for pictures without labels.

    ring, grid       share of points within 3 sigma of a mode, modes found
    digits, mnist    share of images that a classifier is sure of (p > 0.9), classes found, and for a conditional GAN the share
                     of samples that it takes for what they were asked to be
    """
    if data in SIGMA:
        centres = getattr(datasets, f"{data}_centres")()
        fake, real = (metrics.modes(points, centres, SIGMA[data]) for points in (to_numpy(gan.sample(2500, seed)), x[:2500]))
        return {"high quality": (fake.high_quality, real.high_quality), "modes": (fake.modes, real.modes)}
    if labels is None:
        return {}
    judge = metrics.Classifier(x[:10_000], labels[:10_000], epochs=100 if len(x) < 10_000 else 10)
    samples = to_numpy(gan.sample(1000, seed))
    fake, real = judge.verdict(samples), judge.verdict(judge.held_out)
    found = {"sure": (fake.confident, real.confident), "classes": (fake.classes, real.classes)}
    if gan.classes:
        asked = [i % gan.classes for i in range(len(samples))]
        as_asked = (judge.probabilities(samples).argmax(axis=1) == asked).mean()
        found["as asked"] = (float(as_asked), judge.accuracy)
    return found


def show(value):
    return f"{value:.1%}" if isinstance(value, float) else str(value)


def print_score(found):
    if found:
        print(f"{'':<14}{'samples':>10}{'real':>10}")
    for name, (fake, real) in found.items():
        print(f"{name:<14}{show(fake):>10}{show(real):>10}")


def print_seeds(scores):
    """scores: {seed: what `score` returned}. A line for each number: mean, standard deviation (n - 1), best and its seed."""
    print(f"{len(scores)} seeds     {'mean':>9}{'std':>9}{'best':>9}   of seed{'real':>9}")
    for name, values in columns(scores).items():
        best = max(values, key=values.get)
        spread = statistics.stdev(values.values()) if len(values) > 1 else 0.0
        real = next(iter(scores.values()))[name][1]
        cell = show if isinstance(real, float) else lambda value: f"{value:.1f}"
        print(f"{name:<12}{cell(statistics.mean(values.values())):>9}{cell(spread):>9}{show(values[best]):>9}{best:>10}"
              f"{show(real):>9}")


def save_seeds(path, scores):
    """A strip for each number, a dot for each seed, a line at the mean, and a dashed one where real data is."""
    figure = Figure(figsize=(2.6 * max(1, len(columns(scores))), 3.2), dpi=100, layout="constrained")
    axes = figure.subplots(1, max(1, len(columns(scores))), squeeze=False)[0]
    for ax, (name, values) in zip(axes, columns(scores).items()):
        real = next(iter(scores.values()))[name][1]
        ax.scatter(list(values), list(values.values()), color=plots.FAKE, zorder=3)
        ax.axhline(statistics.mean(values.values()), color=plots.FAKE, linewidth=1.2)
        ax.axhline(real, color=plots.REAL, linewidth=1.2, linestyle="--")
        ax.set(title=f"{name} (dashed: real)", xlabel="seed", ylim=(0, 1.08 * max(real, *values.values())))
        ax.set_xticks(list(values))
    plots.save_picture(path, plots.rasterize(figure))


def columns(scores):
    """{name: {seed: value}}"""
    names = next(iter(scores.values()))
    return {name: {seed: found[name][0] for seed, found in scores.items()} for name in names}
