"""Checks of what enters: numbers, labels, data, the parts of a game. What is wrong raises one sentence that names it.

Values of arrays on a GPU are not looked at: to read one is to wait for the device, and such checks run in every training step.
(The first batch of a game is the exception: game.py.)
"""
from minigan.arguments.data import (
    check_alike,
    check_array,
    check_batch,
    check_between,
    check_data,
    check_finite,
    check_samples,
)
from minigan.arguments.game import (
    check_ending_of_D,
    check_first_batch,
    check_game,
    check_in_front_of_D,
    check_range_of_data,
    ending,
    length_of_z,
)
from minigan.arguments.labels import check_labels, check_logits, check_real_label, one_hot
from minigan.arguments.values import check_object, check_positive, check_range, check_whole, is_number, is_whole
from minigan.arguments.words import brief, kind

__all__ = ["brief", "check_alike", "check_array", "check_batch", "check_between", "check_data", "check_ending_of_D",
           "check_finite", "check_first_batch", "check_game", "check_in_front_of_D", "check_labels", "check_logits",
           "check_object", "check_positive", "check_range", "check_range_of_data", "check_real_label", "check_samples",
           "check_whole", "ending", "is_number", "is_whole", "kind", "length_of_z", "one_hot"]
