"""What a program prints, and with which status it ends, whatever is at the other end of its two streams: a terminal that
cannot show every letter, a pipe that is no longer read, nothing at all."""
import argparse
import os
import sys

from minigan.training.unfailing import Unfailing

MISTAKES = (ValueError, TypeError, OSError, RuntimeError, MemoryError, OverflowError)      # what the user can mend


def prepare():
    """For the first line of a program: its print works from here on, whatever sys.stdout and sys.stderr are."""
    while os.open(os.devnull, os.O_RDWR) < 2:          # a stream that is missing: its number would be that of the next file
        pass
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if getattr(stream, "errors", None) in ("strict", "surrogateescape"):
            stream.reconfigure(errors="replace")       # a letter that it cannot show becomes another
        setattr(sys, name, Unfailing(stream))


def summary(doc):
    """The first paragraph of a docstring, which is None under python -OO."""
    return (doc or "").split("\n\n")[0]


class Parser(argparse.ArgumentParser):
    """A mistake in the arguments is answered by one line, without the usage."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {sentence(message)}\n")


def sentence(error):
    """What happened, in one line. Of an OSError the file first."""
    named = isinstance(error, OSError) and error.filename is not None and error.strerror
    return " ".join((f"{error.filename}: {error.strerror}" if named else str(error)).split()) or type(error).__name__


def run(program, main):
    """The exit status of a program: 0 if main() returns; else, after one line, 1 if its training failed, 2 for a mistake that
    the user can mend, 130 for Ctrl-C."""
    try:
        main()
        return 0
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return 130
    except FloatingPointError as error:
        print(f"{program}: {sentence(error)}", file=sys.stderr)
        return 1
    except MISTAKES as error:
        print(f"{program}: {sentence(error)}", file=sys.stderr)
        return 2
