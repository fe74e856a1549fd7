"""What a GAN learns to imitate: points in the plane, handwritten digits, and your own pictures.

Every data set is a pair (x, labels) of NumPy arrays. Images are (N, H, W, C) float32 with pixels in [-1, 1], the
range of the tanh that generators end in; points are (n, 2) float32; labels are int64.
"""
from minigan.datasets.folder import class_names, image_folder, natural_size, pixels, resize, to_channels
from minigan.datasets.handwriting import digits, mnist, read_idx, stacked_digits, stacked_mnist
from minigan.datasets.points import grid, grid_centres, ring, ring_centres

__all__ = ["class_names", "digits", "grid", "grid_centres", "image_folder", "mnist", "natural_size", "pixels", "read_idx",
           "resize", "ring", "ring_centres", "stacked_digits", "stacked_mnist", "to_channels"]
