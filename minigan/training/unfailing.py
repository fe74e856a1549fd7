"""A stream that need not be read: for what a run prints while it trains."""


class Unfailing:
    """A stream that takes everything, and loses it where `stream` is None, closed or broken: a run does not end because
    its output goes nowhere."""

    def __init__(self, stream):
        self.stream = stream

    def write(self, text):
        try:
            self.stream.write(text)
        except (AttributeError, OSError, ValueError):  # there is none; it is broken; it is closed
            pass
        return len(text)

    def flush(self):
        try:
            self.stream.flush()
        except (AttributeError, OSError, ValueError):
            pass

    def __getattr__(self, name):
        return getattr(self.stream, name)
