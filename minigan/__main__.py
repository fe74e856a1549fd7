"""`python -m minigan`: what minigan found on this machine, and what would make it faster."""
import sys

from minigan import machine

try:
    for what, found in machine.describe():
        print(f"{what:<8} {found}")
    for sentence in machine.advice() or ["nothing to improve"]:
        print(f"advice   {sentence}")
except (ValueError, RuntimeError) as error:            # a variable of the environment that makes no sense here
    sys.exit(f"minigan: {error}")
