"""Write minigan yourself: exercises made from its own source, which check themselves.

    python examples/exercises.py list                   what there is; with a FOLDER also what is done, and what comes next
    python examples/exercises.py start FOLDER [NAME]    a file for each exercise, or for one; no file is ever overwritten
    python examples/exercises.py check FOLDER [NAME]    what is right, and what is wrong with the rest
    python examples/exercises.py hint NAME [1, 2, 3]    a hint, and what each says more
    python examples/exercises.py solution NAME          the library's own lines
    python examples/exercises.py train FOLDER           your functions, in the place of minigan's, train a GAN on digits

In each file the body of a function is missing. The order is that of README's reading list.
"""
try:
    import argparse
    import ast
    import concurrent.futures
    import contextlib
    import importlib
    import inspect
    import json
    import os
    import subprocess
    import sys
    import textwrap
    import traceback
    from pathlib import Path

    import numpy as np
    from exercise_tasks import EXERCISES

    import minigan as mg
    from minigan import plots
    from minigan.cli import terminal
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None

SECONDS = 20                        # for one exercise; the library needs less than one
MARK = "\nminigan exercise: "
NOT_WRITTEN = "this body is still to be written"


class Mistake(Exception):
    """What the person at the keyboard has to know, in a sentence."""


# --- from the library's source to a file with a gap ---

def place(exercise):
    """(module, class or None, name) of the function that is taken out."""
    module, _, path = exercise.target.partition(":")
    owner, _, name = path.rpartition(".")
    module = importlib.import_module(module)
    return module, getattr(module, owner) if owner else None, name


def solution(exercise):
    """The function as the library has it, without its decorators, at the left margin."""
    module, owner, name = place(exercise)
    text = inspect.getsource(module)
    nodes = ast.parse(text).body
    if owner:
        nodes = next(node for node in nodes if isinstance(node, ast.ClassDef) and node.name == owner.__name__).body
    node = next(node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == name)
    text = textwrap.dedent("\n".join(text.splitlines()[node.lineno - 1:node.end_lineno]))
    return text.replace("super()", f"super({owner.__name__}, self)") if owner else text      # it stands outside of its class


def blank(exercise):
    """The text of the reader's file."""
    module, owner, name = place(exercise)
    text = solution(exercise)
    function, = ast.parse(text).body
    documented = ast.get_docstring(function) is not None
    head = text.splitlines()[:function.body[documented].lineno - 1] if len(function.body) > documented else text.splitlines()
    while head[-1].strip().startswith("#"):
        head.pop()
    texts = [text, *(changed(exercise, changes) for changes in exercise.mistakes.values())]    # mistakes need names, too
    used = {node.id for t in texts for node in ast.walk(ast.parse(t)) if isinstance(node, ast.Name)}
    used = used & set(vars(module)) - {"xp", "np"}
    about = inspect.getdoc(owner if owner else module) or ""
    names = textwrap.fill(", ".join(sorted(used)), 100, initial_indent="    ", subsequent_indent="    ")
    imports = f"from {module.__name__} import (  # noqa: F401\n{names},\n)\n" if used else ""
    file = Path(*module.__name__.split(".")).with_suffix(".py").as_posix()
    note = f"{exercise.name}, exercise {EXERCISES.index(exercise) + 1} of {len(EXERCISES)}, from {file}\n\n"
    note += f"To write   {exercise.task}\nThen       python examples/exercises.py check FOLDER {exercise.name}\n\n{about}"
    note = note.replace("\\", "\\\\").replace('"""', "'''")
    return (f'"""{note}\n"""\nimport numpy as np  # noqa: F401\n\nfrom minigan.backend import xp  # noqa: F401\n{imports}\n\n'
            + "\n".join(head) + f'\n    raise NotImplementedError("{NOT_WRITTEN}")\n')


def file_of(folder, exercise):
    return Path(folder) / f"{EXERCISES.index(exercise) + 1:02d}_{exercise.name}.py"


# --- trying a function in the place of the library's ---

@contextlib.contextmanager
def in_place(exercise, function):
    """While the block runs minigan uses this function: everywhere, however it was imported."""
    module, owner, name = place(exercise)
    if owner:
        places = [(owner, name)]
    else:
        original = getattr(module, name)
        modules = [m for title, m in sys.modules.items() if title.partition(".")[0] == "minigan" and m is not None]
        places = [(m, key) for m in modules for key, value in [*vars(m).items()] if value is original]
    before = [vars(holder)[key] for holder, key in places]
    for holder, key in places:
        setattr(holder, key, function)
    try:
        yield
    finally:
        for (holder, key), value in zip(places, before):
            setattr(holder, key, value)


def with_mistake(exercise, changes):
    """The library's function with some of its text changed."""
    module, _, name = place(exercise)
    namespace = dict(vars(module))
    exec(compile(changed(exercise, changes), "<mistake>", "exec"), namespace)
    return namespace[name]


def changed(exercise, changes):
    text = solution(exercise)
    for old, new in changes:
        if text.count(old) != 1:
            raise ValueError(f"{exercise.name}: {old!r} is {text.count(old)} times in the source, not once")
        text = text.replace(old, new)
    return text


def results(exercise):
    """({what it is: the value}, the exception that ended it or None)"""
    values = {}
    try:
        with np.errstate(all="ignore"):
            for what, value in exercise.probe():
                values[what] = None if value is None else np.array(mg.to_numpy(value), float)
    except BaseException as error:                     # the reader's function may raise anything
        return values, error
    return values, None


def differs(expected, found):
    """What is wrong with found, in a sentence; None if it is right."""
    if found is None or expected is None:
        if found is expected:
            return None
        expected, found = ["None" if value is None else f"an array of shape {value.shape}" for value in (expected, found)]
        return f"expected {expected}, found {found}"
    if found.shape != expected.shape:
        return f"expected the shape {expected.shape}, found {found.shape}"
    with np.errstate(all="ignore"):
        size = np.abs(expected) + np.sqrt(np.mean(expected ** 2)) if expected.size else expected
        off = np.where(found == expected, 0, np.abs(found - expected) / np.maximum(size, 1e-300))
    off = np.where(np.isnan(off), np.inf, off)
    if not off.size or off.max() < 1e-7:
        return None
    worst = np.unravel_index(off.argmax(), off.shape)
    at = f"[{', '.join(map(str, worst))}]" if worst else "the number"
    return f"expected {expected[worst]:.6g}, found {found[worst]:.6g} at {at}, the worst of {np.sum(off >= 1e-7)}"


def same(a, b):
    """Whether two results agree, in values, order, and in the error that ended them."""
    (values_a, error_a), (values_b, error_b) = a, b
    return ([*values_a] == [*values_b] and repr(error_a) == repr(error_b)
            and all(differs(values_a[what], values_b[what]) is None for what in values_a))


def judge(exercise, path):
    """(state, [lines that explain it]) of the reader's file; state is "right", "wrong" or "not written yet"."""
    expected, error = results(exercise)
    if error is not None:
        raise error
    function, complaint = load(exercise, path)
    if complaint:
        return "wrong", [complaint]
    with in_place(exercise, function):
        found, error = results(exercise)
    if isinstance(error, NotImplementedError) and NOT_WRITTEN in str(error):
        return "not written yet", []
    wrong = {what: text for what, value in expected.items() if what in found and (text := differs(value, found[what]))}
    if not wrong and error is None:
        return "right", []
    lines = [f"{what}: {text}" for what, text in [*wrong.items()][:1]]
    lines += own_lines(error, path) if error is not None and not lines else []
    return "wrong", lines + [f"a well-known mistake: {name}" for name in known(exercise, (found, error))]


def known(exercise, found):
    """[the name of the mistake that gives the same results], or []. What is wrong in two places may be so in one alone."""
    for name, changes in exercise.mistakes.items():
        for some in [changes, *([change] for change in changes if len(changes) > 1)]:
            with in_place(exercise, with_mistake(exercise, some)):
                if same(found, results(exercise)):
                    return [name]
    return []


def load(exercise, path):
    """(the reader's function, None) or (None, what is wrong with his file)."""
    namespace, (_, _, name) = {"__name__": exercise.name, "__file__": str(path)}, place(exercise)
    try:
        exec(compile(path.read_bytes(), str(path), "exec"), namespace)
    except SyntaxError as error:
        return None, f"line {error.lineno}: {error.msg}" if error.lineno else error.msg
    except BaseException as error:
        return None, "; ".join(own_lines(error, path))
    function = namespace.get(name)
    return (function, None) if callable(function) else (None, f"the file defines no function {name}")


def own_lines(error, path):
    """An exception, with those lines alone that are the reader's."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    said = f"{type(error).__name__}: {error}".rstrip(": ")
    if not frames:
        return [f"what it returned cannot be used: {said}"]
    return [f"line {frame.lineno}: {frame.line}" for frame in frames[-3:]] + [said]


# --- each file in a process of its own, which can be stopped ---

def check(exercise, folder):
    path = file_of(folder, exercise).resolve()
    if not path.exists():
        return "not started", []
    if path.read_bytes() == blank(exercise).encode():
        return "not written yet", []
    command = [sys.executable, str(Path(__file__).resolve()), "_judge", exercise.name, str(path)]
    environment = os.environ | {"MINIGAN_PLAIN": "1", "MINIGAN_THREADS": "1", "MINIGAN_DEVICE": "cpu",
                                "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": "utf-8"}
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", env=environment,
                              timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return "wrong", [f"stopped after {SECONDS} seconds: a loop that does not end?"]
    said, mark, answer = done.stdout.rpartition(MARK)
    if not mark:
        return "wrong", ["it ended the program", *done.stderr.strip().splitlines()[-1:]]
    state, lines = json.loads(answer)
    return state, lines + [f"it printed: {line}" for line in said.splitlines()[:5]]


def check_all(exercises, folder):
    if Path(folder).is_file():
        raise Mistake(f"{folder} is a file; FOLDER is the one in which `start` has written the exercises")
    if not Path(folder).is_dir():
        raise Mistake(f"there is no folder {folder}; this makes it: python examples/exercises.py start {folder}")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip([e.name for e in exercises], pool.map(lambda exercise: check(exercise, folder), exercises)))


# --- the commands ---

def find(name):
    for exercise in EXERCISES:
        if exercise.name == name:
            return exercise
    raise Mistake(f"there is no exercise {name!r}; there are {', '.join(exercise.name for exercise in EXERCISES)}")


def chosen(name):
    return [find(name)] if name else EXERCISES


def list_all(args):
    states = check_all(EXERCISES, args.folder) if args.folder else {}
    for i, exercise in enumerate(EXERCISES, 1):
        state = states.get(exercise.name, ("",))[0]
        print(f"{i:3d}  {exercise.name:<28} {state:<16} {exercise.target.replace(':', ', ')}".rstrip())
    if args.folder:
        done = [name for name, (state, _) in states.items() if state == "right"]
        print(f"\n{len(done)} of {len(EXERCISES)} are right." + next_one(states))


def next_one(states):
    left = [name for name, (state, _) in states.items() if state != "right"]
    return f" The next one: {left[0]}" if left else " All are done: now `train` them."


def start(args):
    folder = Path(args.folder)
    if folder.is_file():
        raise Mistake(f"{folder} is a file; FOLDER is where the exercises are to be written")
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for exercise in chosen(args.name):
        with contextlib.suppress(FileExistsError):
            with open(file_of(folder, exercise), "x", encoding="utf-8", newline="\n") as file:
                file.write(blank(exercise))
            written += 1
    kept = len(chosen(args.name)) - written
    print(f"{written} files written in {folder}" + (f", {kept} were there and stay as they are" if kept else ""))


def check_some(args):
    states = check_all(chosen(args.name), args.folder)
    for name, (state, lines) in states.items():
        print(f"{name}: {state}")
        for line in lines:
            print(f"    {line}")
    print(f"\n{sum(state == 'right' for state, _ in states.values())} of {len(states)} right." + next_one(states))
    return 0 if all(state == "right" for state, _ in states.values()) else 1


def hint(args):
    exercise = find(args.name)
    if not 1 <= args.number <= len(exercise.hints):
        raise Mistake(f"{args.name} has hints 1 to {len(exercise.hints)}, got {args.number}")
    print(exercise.hints[args.number - 1])
    if args.number < len(exercise.hints):
        print(f"(more: hint {args.name} {args.number + 1})")


def train(args):
    states = check_all(EXERCISES, args.folder)
    yours = [exercise for exercise in EXERCISES if states[exercise.name][0] == "right"]
    if not yours:
        raise Mistake(f"none of the exercises in {args.folder} is right yet: python examples/exercises.py check {args.folder}")
    print(f"{len(yours)} functions are yours: {', '.join(exercise.name for exercise in yours)}")
    if len(yours) < len(EXERCISES):
        print(f"{len(EXERCISES) - len(yours)} others are minigan's")
    mg.engine.use_threads(1)                           # a function stands in for one that may be cut into shards
    with contextlib.ExitStack() as stack:
        for exercise in yours:
            function, _ = load(exercise, file_of(args.folder, exercise).resolve())
            stack.enter_context(in_place(exercise, function))
        images = train_digits(args.steps)
    path = Path(args.folder) / "digits.png"
    plots.save_grid(path, images, 10)
    print(f"wrote {path}: digits that they have learned to make")


def train_digits(steps):
    """A column for each digit that the generator was asked for."""
    x, labels = mg.datasets.digits()
    G, D = mg.models.build("dcgan", mg.host_rng(0), x.shape[1:], classes=10, width=64)
    gan = mg.GAN(G, D, mg.losses.NonSaturating(), mg.optimizers.Adam(5e-4), mg.optimizers.Adam(5e-4), average=0.99, classes=10)
    noise = mg.rng(1)
    for step in range(1, steps + 1):
        chosen = mg.host_rng([2, step]).integers(len(x), size=64)
        loss_D, loss_G = gan.train_step(mg.asarray(x[chosen]), gan.noise(64, noise), mg.asarray(labels[chosen]))
        if step % max(1, steps // 6) == 0 or step == steps:
            print(f"step {step:5d}   loss_D {float(loss_D):.3f}   loss_G {float(loss_G):.3f}", flush=True)
    return gan.sample(50, seed=3)


def main():
    if sys.argv[1:2] == ["_judge"]:
        answer = judge(find(sys.argv[2]), Path(sys.argv[3]))
        sys.stdout.write(MARK + json.dumps(answer))
        return 0
    terminal.prepare()
    parser = terminal.Parser("exercises.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, function, about in [("list", list_all, "what there is"), ("start", start, "write the files"),
                                  ("check", check_some, "what is right"), ("hint", hint, "a hint"),
                                  ("solution", lambda args: print(solution(find(args.name))), "the library's own lines"),
                                  ("train", train, "a GAN of your functions")]:
        command = commands.add_parser(name, help=about)
        command.set_defaults(run=function)
        if name in ("list", "start", "check", "train"):
            command.add_argument("folder", metavar="FOLDER", nargs="?" if name == "list" else None)
        if name in ("start", "check"):
            command.add_argument("name", metavar="NAME", nargs="?")
        if name in ("hint", "solution"):
            command.add_argument("name", metavar="NAME")
        if name == "hint":
            command.add_argument("number", metavar="1, 2, 3", nargs="?", type=int, default=1)
        if name == "train":
            command.add_argument("--steps", type=int, default=3000, help="3000 take one or two minutes")
    args = parser.parse_args()
    try:
        return args.run(args)
    except KeyboardInterrupt:
        print("exercises.py: interrupted", file=sys.stderr)
        return 130
    except (Mistake, OSError) as error:
        print(f"exercises.py: {terminal.sentence(error) if isinstance(error, OSError) else error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
