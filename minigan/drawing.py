"""matplotlib, the part that minigan draws with: figures are plain objects, drawn by Agg, with no display and no pyplot.

Whoever draws imports it from here. A program takes over the environment of what started it, and matplotlib cannot be imported
where MPLBACKEND names a backend that is not installed. (A notebook's kernel sets it to a backend of its own.)
"""
import os
import sys

_backend = None if "matplotlib" in sys.modules else os.environ.pop("MPLBACKEND", None)
try:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch
finally:
    if _backend is not None:
        os.environ["MPLBACKEND"] = _backend
try:
    if _backend:
        matplotlib.rcParams["backend"] = _backend      # as matplotlib does, for those who draw with pyplot beside minigan
except ValueError:
    pass

__all__ = ["FancyBboxPatch", "Figure", "FigureCanvasAgg", "LinearSegmentedColormap"]
