"""Numbers that say how good samples are. The losses of a GAN do not: they only measure what D believes of G.

For images the judge is a classifier, made of minigan's own layers and trained on the real images with their labels: it
classifies the samples, with a probability. For points the centres of the modes are known. Scores depend on the judge,
on the number of samples and on the real data beside them: numbers of two papers, or of two classifiers, do not compare.
"""
from minigan.metrics.classes import StackedModes, class_kl, classifier_score, kl, stacked_modes
from minigan.metrics.classifier import Classifier, Judge, Verdict, learn_classes, mnist_judge
from minigan.metrics.distance import Frechet, frechet, frechet_distance
from minigan.metrics.points import Modes, modes, psnr

__all__ = ["Classifier", "Frechet", "Judge", "Modes", "StackedModes", "Verdict", "class_kl", "classifier_score", "frechet",
           "frechet_distance", "kl", "learn_classes", "mnist_judge",
           "modes", "psnr", "stacked_modes"]
