"""Numbers and objects."""
import math
import numbers

from minigan.arguments.words import brief


def is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def is_whole(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_whole(owner, least, **arguments):
    """Raise unless all arguments, given as name=value, are whole numbers of at least `least`."""
    for name, value in arguments.items():
        if not is_whole(value) or value < least:
            raise ValueError(f"{owner}: {name} must be a whole number of at least {least}, got {brief(value)}")


def check_range(owner, **arguments):
    """Raise unless low <= value < high for all, given as name=(value, low, high)."""
    for name, (value, low, high) in arguments.items():
        if not is_number(value) or not low <= value < high:
            raise ValueError(f"{owner}: {name} must be at least {low} and below {high}, got {brief(value)}")


def check_positive(owner, **arguments):
    """Raise unless all arguments, given as name=value, are finite numbers above 0."""
    for name, value in arguments.items():
        if not is_number(value) or not 0 < value < math.inf:
            raise ValueError(f"{owner}: {name} must be a finite number above 0, got {brief(value)}")


def check_object(owner, name, value, example, *attributes):
    """Raise unless `value` is an object, and not a class, that has these attributes."""
    if isinstance(value, type) or not all(hasattr(value, attribute) for attribute in attributes):
        raise TypeError(f"{owner}: {name} must be an object such as {example}, got {brief(value)}")
