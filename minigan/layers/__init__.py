"""The layers, each with its derivative. Read layer.py first, then dense.py."""
from minigan.layers.activations import LeakyReLU, ReLU, Sigmoid, Tanh
from minigan.layers.convolution import Conv2D, ConvTranspose2D, col2im, im2col
from minigan.layers.dense import Dense, Flatten, Reshape
from minigan.layers.dropout import Dropout
from minigan.layers.layer import Layer
from minigan.layers.normalization import BatchNorm
from minigan.layers.residual import FillIn, Residual
from minigan.layers.resize import PixelShuffle, UpSample2D
from minigan.layers.sample_norm import InstanceNorm, LayerNorm
from minigan.layers.sequential import Sequential

__all__ = ["BatchNorm", "Conv2D", "ConvTranspose2D", "Dense", "Dropout", "FillIn", "Flatten", "InstanceNorm", "Layer",
           "LayerNorm", "LeakyReLU", "PixelShuffle", "ReLU", "Reshape", "Residual", "Sequential", "Sigmoid", "Tanh",
           "UpSample2D", "col2im", "im2col"]
