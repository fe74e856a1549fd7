"""What a program prints, and with which status it ends, whatever is at the other end of its two streams: a terminal that
cannot show every letter, a pipe that is no longer read, nothing at all."""
import argparse
import os
import sys
import time

from minigan.engine import ranks
from minigan.training.unfailing import Unfailing

LET_RANK_0_SPEAK = 2.0                                 # seconds
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


def prepare_rank() -> None:
    """This process is a rank of a distributed run: those that are not the first say nothing, unless they fail."""
    ranks.begin()
    if ranks.rank() > 0:
        sys.stdout, sys.stderr = Unfailing(None), Unfailing(None)


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
    stderr = sys.stderr
    try:
        main()
        return 0
    except KeyboardInterrupt:
        said, status = "interrupted", 130
    except FloatingPointError as error:
        said, status = sentence(error), 1
    except MISTAKES as error:
        said, status = sentence(error), 2
    if ranks.rank() > 0:
        time.sleep(LET_RANK_0_SPEAK)                   # if it has failed, too, it says so and ends this process meanwhile
        said = f"rank {ranks.rank()}: {said}"
    print(f"{program}: {said}", file=stderr, flush=True)
    ranks.end_all(status)
    return status
