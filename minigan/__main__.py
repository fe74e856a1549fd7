"""`python -m minigan`: what minigan found on this machine, and what would make it faster."""
import sys

from minigan.cli import terminal
from minigan.engine import machine


def main():
    for what, found in machine.describe():
        print(f"{what:<8} {found}")
    for sentence in machine.advice() or ["nothing to improve"]:
        print(f"advice   {sentence}")


if __name__ == "__main__":
    terminal.prepare()
    sys.exit(terminal.run("minigan", main))
