"""A value, and its kind, in a few words."""


def brief(value):
    """A value in a few words, for a sentence."""
    text = repr(value)
    return text if len(text) <= 60 and "\n" not in text else kind(value)


def kind(value):
    return f"{type(value).__module__}.{type(value).__name__}".removeprefix("builtins.")
