"""Pictures: grids of samples, points in the plane, D's surface and the gradients that the fakes receive, curves, films.

A picture is an array (height, width, 1 or 3) of uint8; a film is a list of pictures. In all of them blue means real and
orange means fake. Arrays may be on the GPU. Nothing needs a display, and no state of pyplot is touched. Every file appears
whole or not at all; OSError if its folder is missing or closed.
"""
from minigan.files import read_picture, save_gif, save_picture
from minigan.plots.figures import FAKE, HEIGHTS, LOSS_D, LOSS_G, REAL, SCORES, FancyBboxPatch, Figure, rasterize
from minigan.plots.history import curves, save_curves
from minigan.plots.images import caption, enlarge, grid, heading, in_colour, save_grid, save_rows, show, to_pixels
from minigan.plots.planes import arrows, heights, plane, points, save_points, scatter, surface

__all__ = ["FAKE", "FancyBboxPatch", "Figure", "HEIGHTS", "LOSS_D", "LOSS_G", "REAL", "SCORES", "arrows", "caption", "curves",
           "enlarge", "grid", "heading", "heights", "in_colour", "plane", "points", "rasterize", "read_picture",
           "save_curves", "save_gif", "save_grid", "save_picture", "save_points", "save_rows", "scatter", "show", "surface",
           "to_pixels"]
