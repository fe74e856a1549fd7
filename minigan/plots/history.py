"""How a training went."""
from pathlib import Path

import numpy as np

from minigan.files import save_picture
from minigan.plots.figures import FAKE, LOSS_D, LOSS_G, REAL, Shown, rasterize


def save_curves(path: str | Path, log: dict[str, list]) -> None:
    """Write `curves(log)` as PNG."""
    save_picture(path, rasterize(curves(log)))


def curves(log: dict[str, list]) -> Shown:
    """How a training went, as a matplotlib figure: above the losses, below D's mean score of real samples and of fakes. Pale
    is every row, strong the mean over a 25th of them.

    Shapes    log: dict of the columns step, loss_D, loss_G, score_real, score_fake, each a list of one length
    """
    columns = {name: len(log.get(name, ())) for name in ("step", "loss_D", "loss_G", "score_real", "score_fake")}
    if len(set(columns.values())) != 1 or columns["step"] == 0:
        raise ValueError(f"plots.curves: expected columns of one length, not empty, got {columns}")
    figure = Shown(figsize=(8, 6), dpi=100, layout="constrained")
    losses, scores = figure.subplots(2, 1, sharex=True)
    losses.set(title="Losses: each network minimises its own; neither says how good the samples are", ylabel="loss")
    _curves(losses, log, {"loss_D": ("D", LOSS_D), "loss_G": ("G", LOSS_G)})
    scores.set(title="D's mean score before each step: where they meet, D cannot tell", ylabel="score", xlabel="step")
    _curves(scores, log, {"score_real": ("real samples", REAL), "score_fake": ("fakes", FAKE)})
    return figure


def _curves(ax, log, lines):
    for name, (label, colour) in lines.items():
        y = np.asarray(log[name], float)
        window = np.ones(len(y) // 25 | 1)                                         # of odd length: centred
        smooth = np.convolve(y, window, "same") / np.convolve(np.ones_like(y), window, "same")
        ax.plot(log["step"], y, color=colour, alpha=0.25, linewidth=0.8)
        ax.plot(log["step"], smooth, color=colour, linewidth=1.8, label=label, marker="o" if len(y) == 1 else None)
    seen = np.concatenate([np.asarray(log[name], float) for name in lines])
    if np.isfinite(seen).any():
        low, high = np.percentile(seen[np.isfinite(seen)], [0.5, 99.5])            # one spike must not flatten the rest
        ax.set_ylim(low - 0.1 * (high - low) - 1e-3, high + 0.1 * (high - low) + 1e-3)
    ax.title.set_fontsize(11)
    ax.grid(color="0.9")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9, frameon=False)       # beside it, over no curve
