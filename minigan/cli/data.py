"""Which data: options -> samples, labels, names of the classes."""
import re
from pathlib import Path

from minigan import datasets, models
from minigan.backend import host_rng
from minigan.datasets import handwriting

KNOWN = ("digits", "mnist", "stacked_digits", "stacked_mnist", "ring", "grid")


def load_data(options):
    """(x, labels, names) on the host, in the size that is asked for or that the model takes: resized, never reshaped. MNIST
    without a download is its test set. Labels are None for a folder without class folders."""
    name, fixed = options["data"], models.IMAGE_SIZE.get(options["model"])
    size = parse_size(options["size"]) or (fixed and (fixed, fixed))
    if fixed and size != (fixed, fixed):
        raise ValueError(f"--size {options['size']}: {options['model']} is for {fixed} x {fixed} pixels; dcgan takes any "
                         "size")
    if name in ("ring", "grid"):
        return *getattr(datasets, name)(100_000, host_rng(0)), []
    if name not in KNOWN:
        return load_folder(name, size, options["channels"] or None, options["fit"])
    if name == "mnist":
        x, labels = datasets.mnist("train" if handwriting.has_training_set() else "test")
    else:
        x, labels = datasets.digits() if name == "digits" else getattr(datasets, name)(50_000, host_rng(0))
    if size and x.shape[1:3] != size:
        x = datasets.resize(x, size)
    if options["channels"] == 1 and name.startswith("stacked"):
        raise ValueError(f"--channels 1: the modes of {name} are its three colours")
    if options["channels"]:
        x = datasets.to_channels(x, options["channels"])
    return x, labels, [str(k) for k in range(labels.max() + 1)]


def load_folder(folder, size, channels, fit):
    """Pictures of your own, by default as they are: their size, if they share a small one, and grey if all of them are."""
    if not folder or not Path(folder).is_dir():
        raise ValueError(f"--data {folder}: neither {', '.join(KNOWN[:-1])} or {KNOWN[-1]} nor a folder of images")
    x, labels = datasets.image_folder(folder, size or datasets.natural_size(folder), channels, fit)
    if not labels.any():                               # pictures in the folder itself, or one class only
        return x, None, []
    return x, labels, datasets.class_names(folder)[:labels.max() + 1]          # without empty folders at the end


def parse_size(text):
    """(height, width) of "32" or "40x56", None of ""."""
    if not text:
        return None
    sides = [int(side) for side in text.split("x")] if re.fullmatch(r"[0-9]{1,5}(x[0-9]{1,5})?", text) else [0]
    if min(sides) < 1:
        raise ValueError(f"--size must be a number of pixels or height x width, 32 or 40x56, got {text}")
    return sides[0], sides[-1]
