"""How good are the samples of a trained GAN? The numbers that a run ends with, and their spread over several seeds."""
import numpy as np

from minigan import datasets, metrics, plots
from minigan.backend import to_numpy
from minigan.metrics.distance import frechet
from minigan.plots import Figure

SIGMA = {"ring": 0.01, "grid": 0.05}                   # of the modes of the two mixtures


def score(gan, data, x, seed):
    """{what: (of samples, of as many real ones)}, by the kind of data; {} for pictures that nothing is known of."""
    if data in SIGMA:
        return score_points(gan, getattr(datasets, f"{data}_centres")(), SIGMA[data], x, seed)
    if data in ("digits", "mnist"):
        return score_digits(gan, judge_of(data), x, seed)
    if data in ("stacked_digits", "stacked_mnist"):
        return score_stacked(gan, judge_of(data), x, seed)
    return {}


def score_points(gan, centres, sigma, x, seed):
    """2,500 points: the share of high quality, the modes found, the KL of their histogram (metrics.modes)."""
    fake, real = (metrics.modes(points, centres, sigma) for points in (to_numpy(gan.sample(2500, seed)), x[:2500]))
    return {"high quality": (fake.high_quality, real.high_quality), "modes": (fake.modes, real.modes),
            "reverse KL": (fake.reverse_kl, real.reverse_kl)}


def score_digits(gan, judge, x, seed):
    """1,000 images before a classifier: the share that it is sure of (p > 0.9), the classes that it finds, their KL from
    uniform, its score of quality and variety, the Fréchet distance of its features; and of a conditional GAN the share that it
    takes for what they were asked to be. Beside them real images, which it was not trained on."""
    samples = as_the_judge_knows(to_numpy(gan.sample(1000, seed)), judge)
    fake, real = (judge.probabilities(images) for images in (samples, judge.held_out))
    sure_fake, sure_real = judge.verdict(samples), judge.verdict(judge.held_out)
    distance = frechet(judge, samples, as_the_judge_knows(x[:10_000], judge))
    found = {"sure": (sure_fake.confident, sure_real.confident), "classes": (sure_fake.classes, sure_real.classes),
             "KL of classes": (metrics.class_kl(fake), metrics.class_kl(real)),
             "score": (metrics.classifier_score(fake), metrics.classifier_score(real)),
             "Frechet": (distance.fake, distance.real)}
    if gan.classes:
        asked = [i % gan.classes for i in range(len(samples))]
        found = {"as asked": (float((fake.argmax(axis=1) == asked).mean()), judge.accuracy)} | found
    return found


def score_stacked(gan, judge, x, seed):
    """26,000 images: the modes of 1,000 found, and the KL of their histogram (metrics.stacked_modes)."""
    size = judge.held_out.shape[1:3]
    fake, real = (metrics.stacked_modes(images if images.shape[1:3] == size else datasets.resize(images, size), judge)
                  for images in (to_numpy(gan.sample(26_000, seed)), x[:26_000]))
    return {"modes": (fake.modes, real.modes), "KL": (fake.kl, real.kl)}


def judge_of(data):
    """The judge of MNIST comes with minigan, that of the small digits learns them in a few seconds."""
    return metrics.mnist_judge() if data.endswith("mnist") else metrics.Classifier(*datasets.digits(), epochs=100)


def as_the_judge_knows(x, judge):
    """Images in the size and the channels of those that the judge has learned."""
    H, W, C = judge.held_out.shape[1:]
    return x if x.shape[1:] == (H, W, C) else datasets.resize(datasets.to_channels(x, C), (H, W))


# --- tables and plots ---

SHARES = ("sure", "as asked", "high quality")
LESS_IS_BETTER = ("reverse KL", "KL of classes", "KL", "Frechet")
MEANING = {
    "sure": "images that the classifier recognises with p > 0.9: more is better",
    "classes": "classes that it finds",
    "KL of classes": "how unevenly they are spread: 0 if evenly",
    "score": "sure and varied at once, at most the number of classes: more is better",
    "Frechet": "how far the images are from real ones, as a cloud of features: less is better",
    "as asked": "images that show the class that was asked for: more is better",
    "high quality": "points within three standard deviations of a mode: more is better",
    "modes": "modes that are hit: more is better",
    "reverse KL": "how unevenly they are hit: 0 if evenly",
    "KL": "how unevenly they are hit: 0 if evenly"}


def show(name, value):
    if name in SHARES:
        return f"{value:.1%}"
    return f"{value:.3f}" if name not in ("modes", "classes") else f"{value:.1f}".removesuffix(".0")


def print_score(found):
    if found:
        print(f"{'':<14}{'samples':>10}{'real':>10}")
    for name, (fake, real) in found.items():
        print(f"{name:<14}{show(name, fake):>10}{show(name, real):>10}   {MEANING[name]}")


def has_collapsed(found):
    """Whether the samples lack classes or modes that real ones show, or show few of them most of the time."""
    lacking = any(found[name][0] < 0.95 * found[name][1] for name in ("classes", "modes") if name in found)
    return lacking or any(found[name][0] > 0.5 for name in ("KL of classes", "reverse KL", "KL") if name in found)


def print_seeds(scores):
    """scores: {seed: what `score` returned}. A line for each number: mean, standard deviation (n - 1), best and its seed; a
    run that has collapsed is never the best."""
    collapsed = [seed for seed, found in scores.items() if has_collapsed(found)]
    print(f"{f'{len(scores)} seeds':<14}{'mean':>9}{'std':>9}{'best':>9}   of seed{'real':>9}")
    for name, values in columns(scores).items():
        whole = {seed: value for seed, value in values.items() if seed not in collapsed and not np.isnan(value)}
        best = (min if name in LESS_IS_BETTER else max)(whole, key=whole.get) if whole else None
        spread = float(np.std([*values.values()], ddof=1)) if len(values) > 1 else 0.0
        real = next(iter(scores.values()))[name][1]
        print(f"{name:<14}{show(name, float(np.mean([*values.values()]))):>9}{show(name, spread):>9}"
              f"{'-' if best is None else show(name, values[best]):>9}{'-' if best is None else best:>10}"
              f"{show(name, real):>9}   {MEANING[name]}")
    if collapsed:
        print(f"collapsed, and so never the best: seed {', '.join(map(str, collapsed))}")


def save_seeds(path, scores):
    """A strip for each number: a dot for each seed, a line at the mean, and a dashed one where real data is."""
    strips = columns(scores)
    figure = Figure(figsize=(2.6 * max(1, len(strips)), 3.2), dpi=100, layout="constrained")
    for ax, (name, values) in zip(figure.subplots(1, max(1, len(strips)), squeeze=False)[0], strips.items()):
        real = next(iter(scores.values()))[name][1]
        ax.scatter(list(values), list(values.values()), color=plots.FAKE, zorder=3)
        ax.axhline(np.mean([*values.values()]), color=plots.FAKE, linewidth=1.2)
        ax.axhline(real, color=plots.REAL, linewidth=1.2, linestyle="--")
        top = max([value for value in (real, *values.values()) if np.isfinite(value)], default=0)
        ax.set(title=f"{name} (dashed: real)", xlabel="seed", ylim=(0, 1.08 * top or 1))
        ax.set_xticks(list(values))
    plots.save_picture(path, plots.rasterize(figure))


def columns(scores):
    """{name: {seed: value}}"""
    return {name: {seed: found[name][0] for seed, found in scores.items()} for name in next(iter(scores.values()))}
