"""What the lessons in examples/ have in common: their command line."""
import argparse
from pathlib import Path

from minigan import backend
from minigan.files import make_folder


def arguments(doc, name, **numbers):
    """The arguments of the lesson `name`: out, a folder that can be written, and one whole number for each of
    `numbers`, name=(default, smallest, help). The device is in use on return. A mistake ends the program, with exit
    status 2 and one line."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.error = lambda message: parser.exit(2, f"{parser.prog}: {message}\n")
    for option, (default, _, text) in numbers.items():
        parser.add_argument(f"--{option}", type=int, default=default, help=f"{text} ({default})")
    parser.add_argument("--out", type=Path, default=Path("runs", name), help=f"folder for the pictures (runs/{name})")
    parser.add_argument("--device", help="cpu, cuda or cuda:N")
    args = parser.parse_args()
    for option, (_, smallest, _) in numbers.items():
        if getattr(args, option) < smallest:
            parser.error(f"--{option} must be at least {smallest}, got {getattr(args, option)}")
    try:
        backend.use(args.device or backend.device())
        make_folder(args.out)
    except (OSError, RuntimeError, ValueError) as error:
        parser.error(error)
    return args
