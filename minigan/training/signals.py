"""Ctrl-C without breaking a training step in two."""
import contextlib
import signal
from collections.abc import Iterator

from minigan.engine import anywhere


@contextlib.contextmanager
def stop_signal() -> Iterator:
    """While the block runs, Ctrl-C and SIGTERM only raise a flag, so that a step is never cut in two. Gives a function
    that tells whether it is up, on any rank of a distributed run; a second Ctrl-C stops at once."""
    up: list = []

    def handler(number, frame):
        if up:
            raise KeyboardInterrupt
        up.append(number)

    try:
        before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:                                 # not in the main thread, where signals do not arrive anyway
        before = {}
    try:
        yield lambda: anywhere(bool(up))
    finally:
        for number, previous in before.items():
            signal.signal(number, previous or signal.SIG_DFL)          # None: it was not set by Python
