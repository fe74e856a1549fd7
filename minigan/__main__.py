"""`python -m minigan`: what minigan found on this machine, and what would make it faster."""
from minigan import machine

for what, found in machine.describe():
    print(f"{what:<8} {found}")
for sentence in machine.advice() or ["nothing to improve"]:
    print(f"advice   {sentence}")
