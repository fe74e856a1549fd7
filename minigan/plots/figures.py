"""matplotlib, loaded so that nothing in the environment breaks it; the colours; a figure as a picture."""
import os
import sys

import numpy as np

from minigan.files import png

# matplotlib cannot be imported where MPLBACKEND names a backend that is not installed, and a program inherits the environment
# of what started it. (A notebook's kernel sets it to a backend of its own.) So this is the only file that imports it.
_backend = None if "matplotlib" in sys.modules else os.environ.pop("MPLBACKEND", None)
try:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch as FancyBboxPatch
finally:
    if _backend is not None:
        os.environ["MPLBACKEND"] = _backend
try:
    if _backend:
        matplotlib.rcParams["backend"] = _backend      # as matplotlib does, for those who draw with pyplot beside minigan
except ValueError:
    pass

REAL, FAKE = "#08519c", "#c2410c"
LOSS_D, LOSS_G = "#6a3d9a", "#1b7837"
SCORES = LinearSegmentedColormap.from_list("scores", [               # steep around 0.5, where a good game is played
    (0, "#fd9f5c"), (0.35, "#fdd5ac"), (0.5, "#ffffff"), (0.65, "#c3dcf1"), (1, "#86b9dc")])
HEIGHTS = LinearSegmentedColormap.from_list("heights", ["#fd9f5c", "#ffffff", "#86b9dc"])


class Shown(Figure):
    """A figure that a notebook shows where it is the last value of a cell, whatever its backend is."""

    def _repr_png_(self):
        return png(rasterize(self))


def rasterize(figure: Figure) -> np.ndarray:
    """A matplotlib Figure as a picture (height, width, 3): its size in inches times its dpi."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
