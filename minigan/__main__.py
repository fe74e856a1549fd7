"""The command line, `minigan` or `python -m minigan`:

    minigan                         what minigan found on this machine, and what would make it faster
    minigan train [options]         the same as examples/train_gan.py
    minigan sample CHECKPOINT       the same as examples/sample.py
"""
try:
    import sys

    from minigan.cli import sample, terminal, train
    from minigan.engine import machine
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None

COMMANDS = {"train": train.main, "sample": sample.main}


def report():
    for what, found in machine.describe():
        print(f"{what:<8} {found}")
    for sentence in machine.advice() or ["nothing to improve"]:
        print(f"advice   {sentence}")


def main(argv=None):
    terminal.prepare()
    command, *rest = (sys.argv[1:] if argv is None else argv) or [""]
    if command in COMMANDS:
        return COMMANDS[command](rest, f"minigan {command}")
    if command in ("-h", "--help"):
        print((__doc__ or "").strip())
        return 0
    if command:
        print(f"minigan: there is no command {command!r}; there are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    return terminal.run("minigan", report)


if __name__ == "__main__":
    sys.exit(main())
