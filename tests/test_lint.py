"""Rules of the house that can be read off the source, checked on its syntax tree; the checks are checked on bad code.

A rule is a generator over the problems of one parsed file; RULES says for which files it holds.
"""
import ast
import pathlib
import re

import pytest
from fakecupy import TABLE

import minigan

PACKAGE = pathlib.Path(minigan.__file__).parent
SOURCES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path.read_text(encoding="utf-8")
           for path in sorted(PACKAGE.rglob("*.py"))}
MATHS = ("losses", "optimizers", "regularizers", "penalties", "sampler", "gan", "translation", "cyclegan", "models")


def dotted(node):
    """["xp", "lib", "stride_tricks"] for xp.lib.stride_tricks; [] if the expression is more than names and dots."""
    if isinstance(node, ast.Name):
        return [node.id]
    before = dotted(node.value) if isinstance(node, ast.Attribute) else []
    return [*before, node.attr] if before else []


def chains(tree):
    """(node, names) of every chain of names, the longest only: np.random.Generator, not np.random also."""
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Name, ast.Attribute)) and id(node) not in inner and dotted(node):
            yield node, dotted(node)


def numpy_path(chain):
    """("lib.stride_tricks", "as_strided") for a chain with xp.lib.stride_tricks.as_strided in it, else None."""
    if "xp" not in chain or chain[-1] == "xp":
        return None
    names = chain[chain.index("xp") + 1:]
    for path in ("lib.stride_tricks", "linalg"):
        depth = path.count(".") + 1
        if names[:depth] == path.split(".") and len(names) > depth:
            return path, names[depth]
    return "numpy", names[0]


# --- the rules ---

def functions_that_cupy_has(tree):
    for node, chain in chains(tree):
        path = numpy_path(chain)
        if path and path[1] not in TABLE["names"][path[0]]:
            yield node, f"CuPy does not have {'.'.join(chain)}"
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(name.name == "xp" and name.asname for name in node.names):
            yield node, "xp under another name escapes this check"


def keywords_that_cupy_has(tree):
    for node in calls(tree):
        path = numpy_path(dotted(node.func))
        if path:
            yield from missing_keywords(node, *path)


def method_keywords_that_cupy_has(tree):
    """x.sum(where=m), whatever x is."""
    for node in calls(tree):
        if not numpy_path(dotted(node.func)):
            yield from missing_keywords(node, "ndarray", node.func.attr)


def calls(tree):
    """Every call of the form something.name(...)."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute))


def missing_keywords(node, path, name):
    for keyword in node.keywords:
        if keyword.arg in TABLE["missing_keywords"].get(f"{path}.{name}", ()):
            yield node, f"CuPy's {path}.{name} does not have the keyword {keyword.arg}"


def generator_methods_that_cupy_has(tree):
    for node, chain in chains(tree):
        if "rng" in chain[:-1] and chain[chain.index("rng") + 1] not in TABLE["names"]["Generator"]:
            yield node, f"CuPy's Generator does not have {chain[-1]}"


def no_numpy_on_arrays(tree):
    """NumPy is for what lives on the host: the first values of parameters, and types to compare with."""
    allowed = {"np.zeros", "np.ones", "np.integer", "np.random.Generator", "np.ndarray"}
    for node, chain in chains(tree):
        if chain[0] in ("np", "numpy") and ".".join(chain) not in allowed:
            yield node, f"{'.'.join(chain)}: write xp, or let the caller pass it"
    for node, name, alias in imports(tree):
        if name.partition(".")[0] == "numpy" and (name, alias) != ("numpy", "np"):
            yield node, f"import {name}: only `import numpy as np` can be checked"


def no_cupy(tree):
    names = [(node, chain[0]) for node, chain in chains(tree)]
    names += [(node, name) for node, name, _ in imports(tree)]
    names += [(node, node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    for node, name in names:
        if str(name).partition(".")[0] in ("cupy", "cupyx"):
            yield node, f"{name}: only backend.py and the engine name CuPy"


def matplotlib_by_one_door(tree):
    """The import in plots/figures.py survives what the environment says of a backend."""
    for node, name, _ in imports(tree):
        if name.partition(".")[0] == "matplotlib":
            yield node, f"import {name}: only plots/figures.py imports matplotlib"


ENGINE = re.compile(r"\b((?i:threads?|blas|cache lines?|crew|each_step|smallest_share|finish|dy_x_hat|cuda|cores?|captured?)\b"
                    r"|joined\(|device\(|pieces\(|\w*PIECE\w*|GPU_\w+)")


def no_words_of_the_engine(tree):
    """Who reads the mathematics meets no threads, caches, kernels or devices: not in the code, not in its docstrings."""
    for found in ENGINE.finditer(ast.unparse(tree)):
        yield tree.body[0], f"{found[0]!r} is a word of the engine"


def short_functions(tree):
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = node.end_lineno - node.lineno + 1 - len((ast.get_docstring(node) or "").splitlines())
            if lines > 45:
                yield node, f"{node.name} has {lines} lines of code, more than 45"


HEADINGS = ("Shapes", "Forward", "Backward", "Cache", "Double", "Why", "Source")


def layers_explain_themselves(tree):
    """Every layer with a backward has the headings, in their order; Double if it has a double_backward; and forward directly
    above backward."""
    for node in ast.walk(tree):
        body = node.body if isinstance(node, ast.ClassDef) else []
        methods = [item.name for item in body if isinstance(item, ast.FunctionDef)]
        if "backward" not in methods or node.name == "Layer":
            continue
        found = re.findall(rf"(?m)^({'|'.join(HEADINGS)})\b", ast.get_docstring(node) or "")
        needed = {"Shapes", "Forward", "Backward", "Cache", "Source"} | ({"Double"} if "double_backward" in methods else set())
        if not needed <= set(found):
            yield node, f"{node.name}: its docstring lacks {', '.join(sorted(needed - set(found)))}"
        elif found != sorted(found, key=HEADINGS.index):
            yield node, f"{node.name}: its headings are not in the order {', '.join(HEADINGS)}"
        elif methods.index("backward") != methods.index("forward") + 1:
            yield node, f"{node.name}: backward is not directly below forward"


# The contract of a layer is annotated once, in layer.py: in the layers these are read as formulas. So are those of optimizers.
CONTRACT = ("forward", "backward", "double_backward", "draw", "transform", "adjoint", "update", "count_step")


def what_users_call_has_types(tree):
    """Public functions, and public methods of public classes, if they have a docstring."""
    public = [node for node in tree.body if getattr(node, "name", "_")[0] != "_"]
    functions = [node for node in public if isinstance(node, ast.FunctionDef)]
    functions += [item for node in public if isinstance(node, ast.ClassDef) for item in node.body
                  if isinstance(item, ast.FunctionDef) and item.name[0] != "_" and item.name not in CONTRACT]
    for node in functions:
        if node.returns is None and ast.get_docstring(node):
            yield node, f"{node.name} has no type"


def imports(tree):
    """(node, "minigan.layers.Dense", "Dense") of every imported name."""
    for node in ast.walk(tree):
        for name in node.names if isinstance(node, (ast.Import, ast.ImportFrom)) else ():
            module = "" if isinstance(node, ast.Import) else "." * node.level + (node.module or "") + "."
            yield node, module + name.name, name.asname


# differences.py and complex_step.py count on the host.
ARGUMENTS = tuple(name for name in SOURCES if name.startswith("arguments."))
ON_THE_HOST = ("layers.differences", "layers.complex_step")
LAYERS = tuple(name for name in SOURCES if name.startswith("layers.") and name not in ON_THE_HOST)
RULES = {                                              # rule: the files it holds for
    functions_that_cupy_has: tuple(SOURCES),
    keywords_that_cupy_has: tuple(SOURCES),
    method_keywords_that_cupy_has: (*LAYERS, *MATHS, "backend", "gradcheck"),
    generator_methods_that_cupy_has: (*(name for name in LAYERS if name != "layers.initializers"), "gan"),
    no_numpy_on_arrays: (*LAYERS, *MATHS),
    matplotlib_by_one_door: tuple(name for name in SOURCES if name != "plots.figures"),
    no_cupy: tuple(name for name in SOURCES if name != "backend" and not name.startswith("engine.")),
    no_words_of_the_engine: tuple(name for name in (*LAYERS, *MATHS) if name != "layers.checks"),      # it names the device
    short_functions: tuple(SOURCES),
    layers_explain_themselves: LAYERS,
    what_users_call_has_types: tuple(name for name in SOURCES if name not in (
        *ARGUMENTS, "cli.data", "cli.recipe", "cli.report", "cli.sample", "cli.terminal", "cli.train", "datasets.metadata",
        "datasets.picture_file", "engine.blas", "engine.capture", "engine.cublas", "engine.kernels", "engine.pieces",
        "engine.run", "layers.activations", "layers.batch_norm", "layers.sample_norm", "layers.spectral_norm")),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_keeps_the_rule(rule):
    checked = [name for name in RULES[rule] if name in SOURCES]
    problems = [f"minigan/{name.replace('.', '/')}.py:{node.lineno}: {text}"
                for name in checked for node, text in rule(ast.parse(SOURCES[name]))]
    assert checked and not problems, "\n".join(problems)


def layer(headings, methods):
    words = "".join(f"    {heading}  something\n" for heading in headings.split())
    body = "".join(f"    def {name}(self): pass\n" for name in methods.split())
    return f"class A(Layer):\n    '''A layer.\n\n{words}    '''\n{body}"


BAD = [
    (no_words_of_the_engine, "x = threads"),
    (no_words_of_the_engine, "class A:\n    'One for each of the cores.'"),
    (no_words_of_the_engine, "y = forward(x, finish=scaled)"),
    (no_words_of_the_engine, "if device() == 'cpu':\n    y = x"),
    (short_functions, "def f(x):\n" + 45 * "    x = x + 1\n"),
    (layers_explain_themselves, layer("Shapes Forward Backward Source", "forward backward")),
    (layers_explain_themselves, layer("Shapes Backward Forward Cache Source", "forward backward")),
    (layers_explain_themselves, layer("Shapes Forward Backward Cache Source", "forward other backward")),
    (layers_explain_themselves, layer("Shapes Forward Backward Cache Source", "forward backward double_backward")),
    (what_users_call_has_types, "def f(x):\n    'What it does.'\n    return x"),
    (what_users_call_has_types, "class A:\n    def f(self, x):\n        'What it does.'\n        return x"),
    (functions_that_cupy_has, "y = xp.geomspace(1, 2)"),
    (functions_that_cupy_has, "with backend.xp.errstate(all='ignore'): pass"),
    (functions_that_cupy_has, "f = xp.linalg.multi_dot"),
    (functions_that_cupy_has, "xp.lib.stride_tricks.broadcast_to(x, (2, 3))"),
    (functions_that_cupy_has, "xp.block([x]).sum()"),
    (functions_that_cupy_has, "xp.fft.rfft(x)"),
    (functions_that_cupy_has, "from minigan.backend import xp as cp"),
    (keywords_that_cupy_has, "xp.sum(x, where=mask)"),
    (method_keywords_that_cupy_has, "y = (x * x).mean(axis=0, where=mask)"),
    (method_keywords_that_cupy_has, "self.W.max(initial=0)"),
    (keywords_that_cupy_has, "xp.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)"),
    (keywords_that_cupy_has, "xp.clip(x, min=0)"),
    (generator_methods_that_cupy_has, "self.rng.normal(size=3)"),
    (generator_methods_that_cupy_has, "z = rng.permutation(n)"),
    (no_numpy_on_arrays, "y = np.maximum(x, 0)"),
    (no_numpy_on_arrays, "y = np.random.standard_normal(3)"),
    (no_numpy_on_arrays, "f = np.float64(2)"),
    (no_numpy_on_arrays, "import numpy"),
    (no_numpy_on_arrays, "from numpy import exp"),
    (matplotlib_by_one_door, "from matplotlib.figure import Figure"),
    (no_cupy, "import cupy"),
    (no_cupy, "import cupy.random as random"),
    (no_cupy, "from cupyx import jit"),
    (no_cupy, "def f():\n    return cupy.exp(1)"),
    (no_cupy, "importlib.import_module('cupy')"),
]
GOOD = """
'''CuPy may be named in words.'''
import numpy as np
from minigan.backend import xp
def forward(self, x, train=True):
    patches = xp.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    noise = self.rng.random(x.shape, dtype="float32")
    assert isinstance(x, xp.ndarray) and isinstance(self.rng, np.random.Generator)
    clipped = x.clip(min=0)
    return xp.exp(x).sum(axis=0, keepdims=True).reshape(-1) + np.zeros(3) + xp.linalg.norm(x)
"""


def test_the_examples_import_matplotlib_by_that_door_too():
    for path in (PACKAGE.parent / "examples").glob("*.py"):
        if path.name != "gan_in_100_lines.py":             # which imports nothing of minigan
            assert not list(matplotlib_by_one_door(ast.parse(path.read_text(encoding="utf-8")))), path


@pytest.mark.parametrize("rule, snippet", BAD)
def test_the_rule_catches(rule, snippet):
    assert len(list(rule(ast.parse(snippet)))) == 1
    others = (other for other in RULES if other not in (rule, what_users_call_has_types))
    assert [other.__name__ for other in others if list(other(ast.parse(snippet)))] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_rule_passes_good_code(rule):
    assert list(rule(ast.parse(GOOD))) == []


# --- imports run one way ---

GROUND = ["backend", "arguments", "padding"]
LAYERS_MAY = [*GROUND, "engine", "layers"]             # "engine" is its face, no file of it
MATHEMATICS = [*LAYERS_MAY, "losses", "optimizers", "regularizers", "penalties", "sampler", "gan", "translation", "cyclegan",
               "models"]
BELOW = [*MATHEMATICS, "gradcheck", "plots", "files", "datasets", "engine.*"]
MAY_IMPORT = {                                         # module or folder: what it may import, beside its own folder
    "backend": [], "files": [], "padding": [], "arguments": ["backend"], "engine": ["backend", "padding"],
    "layers": LAYERS_MAY, "losses": LAYERS_MAY, "optimizers": LAYERS_MAY, "regularizers": LAYERS_MAY,
    "penalties": LAYERS_MAY, "sampler": LAYERS_MAY, "models": LAYERS_MAY,
    "gan": [*LAYERS_MAY, "sampler"],
    "translation": [*LAYERS_MAY, "losses"], "cyclegan": [*LAYERS_MAY, "losses", "translation"], "gradcheck": LAYERS_MAY,
    "plots": [*GROUND, "files"], "datasets": [*GROUND, "files"], "metrics": BELOW, "training": BELOW,
    "cli": [*BELOW, "metrics", "training"], "__init__": ["backend"], "__main__": ["cli", "engine.*"]}


def place(name):
    """The module at the root, or the folder, that a module belongs to."""
    return name.partition(".")[0]


def forbidden_imports(graph):
    """The mathematics gets of the engine its face only; the engine's files know each other."""
    for name, found in graph.items():
        allowed = MAY_IMPORT.get(place(name), [])
        for (line, imported), target in found.items():
            whole = place(target) == place(name) or f"{place(target)}.*" in allowed
            if not whole and (place(target) not in allowed or place(target) == "engine" and target != "engine"):
                yield f"{name}, line {line}: imports {imported}, which it may not"


def import_graph(sources):
    """{module: {(line, name): imported module}} inside the package. "layers" is that folder's __init__.py."""
    names = {name.removesuffix(".__init__"): ast.parse(text) for name, text in sources.items()}
    graph = {}
    for name, tree in names.items():
        graph[name] = {}
        for node, imported, _ in imports(tree):
            path = imported.split(".")
            if path[0] != "minigan":
                continue
            while path[1:] and ".".join(path[1:]) not in names:
                path.pop()                             # minigan.layers.Dense is a name in the module minigan.layers
            graph[name][node.lineno, imported] = ".".join(path[1:]) or "__init__"
    return graph


def circles(graph):
    """Every module that imports itself by way of others."""
    for start in graph:
        seen, waiting = set(), list(graph[start].values())
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += graph.get(name, {}).values()
        if start in seen:
            yield start


def relative_imports(sources):
    return [name for name, text in sources.items()
            for _, imported, _ in imports(ast.parse(text)) if imported.startswith(".")]


def test_imports_run_one_way_and_never_in_circles():
    assert relative_imports(SOURCES) == []             # those the graph would not see
    graph = import_graph(SOURCES)
    assert "layers.layer" in graph["layers.dense"].values() and "backend" in graph["__init__"].values()
    assert list(forbidden_imports(graph)) == []
    assert {place(name) for name in graph} <= set(MAY_IMPORT)
    assert list(circles(graph)) == []


@pytest.mark.parametrize("name, line", [
    ("backend", "from minigan.layers import Dense"),
    ("files", "from minigan import backend"),
    ("engine.shards", "from minigan.layers import Dense"),
    ("layers.dense", "import minigan.losses"),
    ("layers.dense", "def later():\n    from minigan import gan"),
    ("layers.dense", "from minigan.engine.threads import workers"),
    ("losses", "from minigan.gan import GAN"),
    ("gan", "from minigan import training"),
    ("gan", "from minigan.engine import capture"),
    ("optimizers", "from minigan import Layer"),
    ("plots.images", "from minigan.layers import Dense"),
    ("datasets.points", "from minigan.plots import grid"),
    ("metrics.points", "from minigan.training import Run"),
    ("training.checkpoint", "import minigan.metrics as m"),
    ("training.run", "from minigan.cli import terminal"),
    ("new_module", "import minigan.backend"),
])
def test_a_forbidden_import_is_caught(name, line):
    graph = import_graph(SOURCES | {name: SOURCES.get(name, "") + "\n" + line})
    assert len(list(forbidden_imports(graph))) == 1


@pytest.mark.parametrize("name, line, circle", [
    ("losses", "from minigan.optimizers import Adam", {"losses", "optimizers"}),
    ("layers.layer", "from minigan.layers.dense import Dense", {"layers.layer", "layers.dense"}),
    ("layers.layer", "from minigan.layers import Dense", {"layers.layer", "layers"}),
])
def test_a_circle_is_caught(name, line, circle):
    changed = SOURCES | {"optimizers": "from minigan import losses", name: SOURCES[name] + "\n" + line}
    assert circle <= set(circles(import_graph(changed)))


def test_a_relative_import_is_caught():
    assert relative_imports({"gan": "from . import backend"}) == ["gan"]


# --- the size of the house ---

ROOT = {"__init__", "__main__", "backend", "cyclegan", "files", "gan", "gradcheck", "losses", "models", "padding",
        "optimizers", "penalties", "regularizers", "sampler", "translation"}


def test_the_root_is_the_mathematics():
    assert {path.stem for path in PACKAGE.glob("*.py")} == ROOT and len(ROOT) <= 15
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == {"arguments", "cli", "datasets", "engine", "layers", "metrics", "plots", "training"}


def too_long(sources):
    return [f"{name}: {len(text.splitlines())} lines" for name, text in sources.items() if len(text.splitlines()) > 220]


def test_no_file_is_longer_than_220_lines():
    assert too_long(SOURCES) == []
    assert too_long({"long": 221 * "x = 1\n", "short": 220 * "x = 1\n"}) == ["long: 221 lines"]
