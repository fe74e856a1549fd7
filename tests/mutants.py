"""Would the tests notice? Small wrongs, put into the source one at a time. A program, not a test:

    python tests/mutants.py minigan/losses.py                          every change of the file, its survivors, its score
    python tests/mutants.py minigan/layers --sample 100 --seed 1       100 of the changes of a folder, drawn

Each change turns one operator, constant, sign, condition or function into its neighbour (`other`), on the syntax tree. It is
written into a copy of the repository in a temporary folder, and the tests of that file run there as README's second command
runs them, without PyTorch, CuPy and MNIST. A survivor is a change that no test notices: either a test is missing, or the
change makes no difference to any number, and then EQUIVALENT says why. (test_mutations.py tests the checks of the layers in
the same spirit, with mistakes of a whole formula.)

It has to be fast. So pytest collects the tests of a file once, and each change is tried in a fork of that process, where the
changed function gets its new byte code. Changes outside of functions (default values, tables) are tried from the start, with
the changed file on the disk; and so is what passed on NumPy, with all tests. Forks need Linux or macOS.
"""
import argparse
import ast
import gc
import math
import mmap
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import CodeType, FunctionType

os.environ["OPENBLAS_NUM_THREADS"] = "1"               # before NumPy is loaded, as in conftest.py

import hypothesis  # noqa: F401
import numpy  # noqa: F401
import pytest

ROOT = Path(__file__).resolve().parent.parent

# The tests of a file, the cheap and telling first; of those not listed here, tests/test_<name>.py.
TESTS = {
    "engine/sums.py": "test_sums test_layers", "engine/exchange.py": "test_accelerate test_shards",
    "engine/shards.py": "test_shards test_accelerate test_penalties",
    "engine/pieces.py": "test_accelerate test_convolution test_shards",
    "engine/kernels.py": "test_patches", "training/symptoms.py": "test_doctor",
    "metrics/classifier.py": "test_metrics", "metrics/classes.py": "test_metrics", "metrics/points.py": "test_metrics",
    "metrics/distance.py": "test_metrics", "datasets/points.py": "test_datasets", "datasets/handwriting.py": "test_datasets",
    "datasets/folder.py": "test_datasets", "gan.py": "test_gan test_gan_options", "models.py": "test_models test_pacgan",
    "losses.py": "test_losses test_translation test_metrics",
    "layers/parameters.py": "test_layers test_sequential test_gradcheck", "layers/dense.py": "test_layers",
    "layers/network.py": "test_sequential test_layers", "layers/statistics.py": "test_sums test_optimizers test_regularizers",
    "layers/activations.py": "test_layers test_mutations", "layers/maxout.py": "test_pacgan test_layers test_sums",
    "layers/noise.py": "test_noise test_layers", "layers/patches.py": "test_convolution",
    "layers/residual.py": "test_layers test_penalties", "layers/shape.py": "test_pacgan test_layers test_penalties test_sums",
    "layers/dropout.py": "test_layers", "layers/batch_norm.py": "test_sums test_batch_norm test_layers",
    "layers/augment.py": "test_augment test_layers", "layers/convolution.py": "test_convolution test_layers",
    "layers/sample_norm.py": "test_sums test_layers test_penalties", "layers/random_layer.py": "test_layers",
    "layers/spectral_norm.py": "test_spectral_norm test_layers", "layers/differences.py": "test_gradcheck",
    "layers/sequential.py": "test_sequential test_layers test_penalties",
}

# Files with code that runs on a GPU only, and so on the stand-in.
ON_GPU = {"minigan/engine/kernels.py", "minigan/engine/sums.py"}

TINY = "any number as tiny would do"

# What no test can notice, as "file: before -> after", and why.
EQUIVALENT = {
    "engine/sums.py: while M > 4: -> while M >= 4:": "the last four rows are added either way",
    "engine/sums.py: M == 4 * n -> M == 4 / n": "nothing is then put behind the sums",
    "layers/batch_norm.py: batch_sum(x.size // self.C) -> batch_sum(x.size / self.C)": "the same number",
    "layers/dropout.py: (noise >= rate).astype -> (noise > rate).astype": "one draw in 2 ** 24",
    "penalties.py: g = (0.5 * gamma / len(ones)) ** 0.5 * g -> g = -((0.5 * gamma / len(ones)) ** 0.5 * g)": "it is squared",
    "training/schedules.py: math.cos(math.pi * t) -> math.cos(-(math.pi * t))": "the cosine of either is the same",
    "metrics/classes.py: p.sum() == 0 -> p.mean() == 0": "both are 0 for zeros only",
    "metrics/classes.py: q.sum() == 0 -> q.mean() == 0": "both are 0 for zeros only",
    "metrics/classes.py: marginal = p.mean(axis=0) -> marginal = p.sum(axis=0)": "kl divides by the sum",
    "losses.py: xp.where(right == 0, 0.0, log_p) -> xp.where(right == 0, 1.0, log_p)": "times right, which is 0 there",
    "metrics/classifier.py: :1 -> :2": "two images get as many logits each as one",
    "translation.py: (0.0 * fidelity, self.weight * fidelity, self.weight * dfake) -> "
    "(-(0.0 * fidelity), self.weight * fidelity, self.weight * dfake)": "-0 is 0",
    "cyclegan.py: self.parts.get('identity', 0.0) -> self.parts.get('identity', 1.0)": "times the weight, which is 0 then",
    "cyclegan.py: self.size and self.rng.random() < 0.5 -> self.size and self.rng.random() <= 0.5": "one draw in 2 ** 53",
    "cyclegan.py: xp.zeros(0, 'float32') if self.images is None else self.images[:self.count] -> "
    "xp.ones(0, 'float32') if self.images is None else self.images[:self.count]": "there are none",
    "datasets/handwriting.py: timeout=30 -> timeout=31": "a second more or less",
    "datasets/handwriting.py: timeout=30 -> timeout=29": "the same",
    "datasets/handwriting.py: usedforsecurity=False -> usedforsecurity=True": "the sum is the same",
    "datasets/handwriting.py: 'truncated' if len(data) < start + math.prod(shape) else 'too long' -> "
    "'truncated' if len(data) <= start + math.prod(shape) else 'too long'": "asked only where they differ",
    "metrics/distance.py: U * np.sqrt(values.clip(min=0)) @ U.T -> -(U * np.sqrt(values.clip(min=0))) @ U.T":
    "S C S is that of -S",
}

OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div,
             ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
             ast.LShift: ast.RShift, ast.RShift: ast.LShift}
COMPARISONS = {ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
               ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,),
               ast.NotIn: (ast.In,)}
PAIRS = [("min", "max"), ("minimum", "maximum"), ("argmin", "argmax"), ("sum", "mean"), ("any", "all"), ("floor", "ceil"),
         ("zeros", "ones"), ("zeros_like", "ones_like"), ("sin", "cos"), ("sqrt", "abs")]
FUNCTIONS = dict(PAIRS) | {after: before for before, after in PAIRS}


def other(node):
    """The neighbours of a node of the syntax tree."""
    match node:
        case ast.BinOp(op=op) if type(op) in OPERATORS:
            yield ast.BinOp(node.left, OPERATORS[type(op)](), node.right)
            if isinstance(op, (ast.Mult, ast.Div)):
                yield ast.UnaryOp(ast.USub(), node)
        case ast.AugAssign(op=op) if type(op) in OPERATORS:
            yield ast.AugAssign(node.target, OPERATORS[type(op)](), node.value)
            yield ast.Assign([node.target], node.value, lineno=node.lineno)
        case ast.Compare():
            for i, op in enumerate(node.ops):
                for neighbour in COMPARISONS[type(op)]:
                    yield ast.Compare(node.left, [*node.ops[:i], neighbour(), *node.ops[i + 1:]], node.comparators)
        case ast.BoolOp(op=op):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), node.values)
        case ast.UnaryOp(op=ast.USub() | ast.Not()):
            yield node.operand
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield from (ast.Constant(number) for number in {0: (1,), 1: (0, 2)}.get(value, (value + 1, value - 1)))
        case ast.Constant(value=float(value)):
            yield from (ast.Constant(number) for number in (value + 1, 2 * value, value / 2) if number != value)
        case ast.Slice(lower, upper, step):
            if isinstance(lower, (ast.Name, ast.Attribute, ast.BinOp)):
                yield ast.Slice(ast.UnaryOp(ast.USub(), lower), upper, step)
            if isinstance(upper, (ast.Name, ast.Attribute, ast.BinOp)):
                yield ast.Slice(lower, ast.UnaryOp(ast.USub(), upper), step)
        case ast.If(test=test) if not isinstance(test, (ast.Compare, ast.UnaryOp)):
            yield ast.If(ast.UnaryOp(ast.Not(), test), node.body, node.orelse)
        case ast.IfExp(test=test) if not isinstance(test, (ast.Compare, ast.UnaryOp)):
            yield ast.IfExp(ast.UnaryOp(ast.Not(), test), node.body, node.orelse)
        case ast.Call(func=ast.Name(id=name)) if name in FUNCTIONS:
            yield ast.Call(ast.Name(FUNCTIONS[name]), node.args, node.keywords)
        case ast.Call(func=ast.Attribute(attr=name)) if name in FUNCTIONS:
            yield ast.Call(ast.Attribute(node.func.value, FUNCTIONS[name]), node.args, node.keywords)


def places(node):
    """(put, parent, child) for every node below: put(something) puts it in the child's place. Not what computes nothing:
    annotations, error messages, how a thing calls itself. Nor the -1 of a reshape, where NumPy takes any negative number."""
    for field, value in ast.iter_fields(node):
        for i, child in enumerate(value if isinstance(value, list) else [value]):
            match child:
                case ast.Raise() | ast.JoinedStr() | ast.FunctionDef(name="__repr__" | "__str__"):
                    continue
                case ast.UnaryOp() if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("reshape"):
                    continue
                case ast.AST() if field not in ("annotation", "returns", "decorator_list"):
                    if isinstance(value, list):
                        yield (lambda new, value=value, i=i: value.__setitem__(i, new)), node, child
                    else:
                        yield (lambda new, field=field: setattr(node, field, new)), node, child
                    yield from places(child)


def changes(file):
    """(file, line, "before -> after", the changed source) of every change; before and after show what is around it, too."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    for put, parent, node in list(places(tree)):
        shown = node if isinstance(node, ast.stmt) else parent
        before = ast.unparse(shown).split("\n")[0]
        for neighbour in other(node):
            put(neighbour)
            after = ast.unparse(neighbour if shown is node else shown).split("\n")[0]
            yield file, getattr(node, "lineno", 0), f"{before} -> {after}", ast.unparse(tree)
            put(node)


# --- trying them ---

def functions_of(text, file):
    """All code objects of a source, the functions inside functions too, in the order of the text."""
    def inside(code):
        return [code, *(inner for const in code.co_consts if isinstance(const, CodeType) for inner in inside(const))]
    return inside(compile(text, file, "exec", dont_inherit=True))  # the first one is the module itself


def swap(text, changed, file):
    """Give every function that exists the byte code of the changed source. Whether there was one that needs it."""
    pairs = zip(functions_of(text, file), functions_of(changed, file), strict=True)
    new = {before: after for before, after in pairs if before != after}
    functions = [thing for thing in gc.get_objects() if isinstance(thing, FunctionType) and thing.__code__ in new]
    for function in functions:
        function.__code__ = new[function.__code__]
    return bool(functions)


PASSED, FAILED, UNTRIED = 0, 1, 2


class Trial:
    """A plugin of pytest: runs the collected tests once for each text of the file, in a fork, and says into a pipe how that
    went. The first and the last text are the file as it is. A test that noticed a change comes first from then on."""

    def __init__(self, file, texts, pipe):
        self.file, self.texts, self.pipe = file, texts, pipe
        self.failed = mmap.mmap(-1, 4)                 # the number of the test that failed: the forks write it, too

    def pytest_runtestloop(self, session):
        start, limit = time.monotonic(), math.inf
        for text in self.texts:
            self.failed[:] = bytes(4)
            os.write(self.pipe, b"%d" % in_fork(lambda text=text: self.outcome(text, session), limit))
            session.items.insert(0, session.items.pop(int.from_bytes(self.failed[:], "little")))
            if limit == math.inf:
                limit = 30 + 10 * (time.monotonic() - start)           # an endless loop, or a machine that is busy
        return True

    def outcome(self, text, session):
        if text is not self.texts[0] and not swap(self.texts[0], text, self.file):
            return UNTRIED
        for i, (item, following) in enumerate(zip(session.items, [*session.items[1:], None])):
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                self.failed[:] = i.to_bytes(4, "little")
                return FAILED
        return PASSED


def in_fork(function, limit):
    """The number that function() returns in a fork of this process; FAILED if it breaks or takes more than `limit` seconds,
    not counting those in which this process was stopped."""
    child = os.fork()
    if child == 0:
        code = FAILED
        try:
            os.setsid()
            code = function()
        finally:
            os._exit(code)
    waited = 0.0
    while not (done := os.waitpid(child, os.WNOHANG))[0]:
        if waited > limit:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return FAILED
        time.sleep(0.004)
        waited += 0.004
    return os.waitstatus_to_exitcode(done[1])


class Copy:
    """A copy of the repository in a temporary folder, in which tests run with changed files."""

    def __init__(self, folder):
        self.folder, self.written = Path(folder), 0
        shutil.copytree(ROOT, self.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(
            ".*", "runs", "build", "dist", "*.egg-info", "__pycache__"))

    def write(self, file, text):
        """With a time of its own, or Python would take old byte code for it."""
        (self.folder / file).write_text(text, encoding="utf-8")
        self.written += 1
        os.utime(self.folder / file, (self.written, self.written))

    def pytest(self, arguments, plugins=()):
        """pytest's exit status, in a process that is a fork."""
        os.chdir(self.folder)
        with open("log", "w") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        sys.path[0] = str(self.folder)
        sys.modules |= {"torch": None, "cupy": None}
        os.environ |= {"PYTHONPATH": sys.path[0], "MINIGAN_DATA": "", "XDG_CACHE_HOME": sys.path[0], "MPLBACKEND": "Agg"}
        return pytest.main(["-x", "-q", "-n", "0", "-m", "", "-p", "no:cacheprovider", *arguments], plugins=plugins)

    def survivors(self, file, found, numpy_only):
        """Those of the changes of a file that no test of it notices."""
        names = TESTS.get(file.removeprefix("minigan/"), f"test_{Path(file).stem}").split()
        tests = [f"tests/{name}.py" for name in [*names, "test_arguments"]]
        whole = file in ON_GPU or "test_shards" in names       # -k would leave out all of test_shards
        quick = tests if whole else ["-k", "not (shards or standin)", *tests]         # first the same on NumPy alone
        original = ast.unparse(ast.parse((ROOT / file).read_text(encoding="utf-8")))
        self.write(file, original)
        read, write = os.pipe()
        texts = [original, *(text for *_, text in found), original]
        in_fork(lambda: self.pytest(quick, [Trial(file, texts, write)]), math.inf)
        os.close(write)
        with open(read, "rb") as pipe:
            first, *outcomes, last = map(int, pipe.read().decode() or "11")
        if first or last or len(outcomes) < len(found):
            raise SystemExit(f"the tests of {file} fail without any change:\n{(self.folder / 'log').read_text()}")
        for change, outcome in zip(found, outcomes):
            self.write(file, change[-1])
            rounds = [quick] * (outcome == UNTRIED) + [tests] * (not numpy_only)
            if outcome in (PASSED, UNTRIED) and not any(in_fork(lambda a=a: self.pytest(a), 1800) for a in rounds):
                yield change
        self.write(file, original)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+", help="files or folders: minigan/losses.py")
    parser.add_argument("--sample", type=int, help="a number of the changes, drawn; else all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--numpy", action="store_true", help="leave out what runs on the stand-in for CuPy and in shards")
    options = parser.parse_args()
    paths = [path for name in options.files for path in ([*(ROOT / name).rglob("*.py")] or [ROOT / name])]
    todo = [change for path in sorted(paths) for change in changes(str(path.relative_to(ROOT)))]
    equal = [change for change in todo if f"{change[0].removeprefix('minigan/')}: {change[2]}" in EQUIVALENT]
    todo = [change for change in todo if change not in equal]
    if options.sample:
        todo = random.Random(options.seed).sample(todo, min(options.sample, len(todo)))
    survivors = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(folder)
        for file in dict.fromkeys(change[0] for change in todo):
            for _, line, change, _ in copy.survivors(file, [change for change in todo if change[0] == file], options.numpy):
                survivors += 1
                print(f"{file}:{line}: {change}", flush=True)
    print(f"{len(todo)} changes, {len(todo) - survivors} noticed, {survivors} not; {len(equal)} more make no difference")


if __name__ == "__main__":
    main()
