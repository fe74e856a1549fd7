"""The layers, each with its derivative. Read layer.py first, then dense.py."""
from minigan.layers.activations import LeakyReLU, ReLU, Sigmoid, Tanh
from minigan.layers.augment import Brightness, Cutout, RandomFlip, RandomRotate90, RandomShift
from minigan.layers.batch_norm import BatchNorm
from minigan.layers.convolution import Conv2D, ConvTranspose2D
from minigan.layers.dense import Dense
from minigan.layers.dropout import Dropout
from minigan.layers.layer import Layer
from minigan.layers.maxout import Maxout
from minigan.layers.noise import InstanceNoise
from minigan.layers.patches import col2im, im2col
from minigan.layers.residual import FillIn, Residual
from minigan.layers.sample_norm import InstanceNorm, LayerNorm
from minigan.layers.sequential import Sequential
from minigan.layers.shape import Crop, Flatten, Pack, PixelShuffle, Reshape, UpSample2D
from minigan.layers.spectral_norm import SpectralNorm

__all__ = ["BatchNorm", "Brightness", "Conv2D", "ConvTranspose2D", "Crop", "Cutout", "Dense", "Dropout", "FillIn", "Flatten",
           "InstanceNoise", "InstanceNorm", "Layer", "LayerNorm", "LeakyReLU", "Maxout", "Pack", "PixelShuffle",
           "RandomFlip", "RandomRotate90", "RandomShift", "ReLU", "Reshape", "Residual", "Sequential", "Sigmoid",
           "SpectralNorm", "Tanh", "UpSample2D", "col2im", "im2col"]
