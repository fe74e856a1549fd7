"""Rules of the house that can be read off the source, checked on its syntax tree; the checks are checked on bad code.

A rule is a generator over the problems of one parsed file; RULES says for which files it holds.
"""
import ast
import pathlib

import pytest
from fakecupy import TABLE

import minigan

PACKAGE = pathlib.Path(minigan.__file__).parent
SOURCES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path.read_text(encoding="utf-8")
           for path in sorted(PACKAGE.rglob("*.py"))}
ON_DEVICE = ("columns", "losses", "penalties", "optimizers", "rules", "capture", "gan", "translation", "cyclegan")  # as layers


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
    allowed = {"np.zeros", "np.ones", "np.integer", "np.random.Generator"}
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
            yield node, f"{name}: only backend.py, capture.py and cublas.py name CuPy"


def matplotlib_by_one_door(tree):
    """The import in drawing.py survives what the environment says of a backend."""
    for node, name, _ in imports(tree):
        if name.partition(".")[0] == "matplotlib":
            yield node, f"import {name}: only drawing.py imports matplotlib"


def imports(tree):
    """(node, "minigan.layers.Dense", "Dense") of every imported name."""
    for node in ast.walk(tree):
        for name in node.names if isinstance(node, (ast.Import, ast.ImportFrom)) else ():
            module = "" if isinstance(node, ast.Import) else "." * node.level + (node.module or "") + "."
            yield node, module + name.name, name.asname


LAYERS = tuple(name for name in SOURCES if name.startswith("layers."))
RULES = {                                              # rule: the files it holds for
    functions_that_cupy_has: tuple(SOURCES),
    keywords_that_cupy_has: tuple(SOURCES),
    method_keywords_that_cupy_has: (*LAYERS, *ON_DEVICE, "backend", "gradcheck"),
    generator_methods_that_cupy_has: (*LAYERS, "gan"),
    no_numpy_on_arrays: (*LAYERS, *ON_DEVICE),
    matplotlib_by_one_door: tuple(name for name in SOURCES if name != "drawing"),
    no_cupy: tuple(name for name in SOURCES if name not in ("backend", "capture", "cublas")),  # the last two run on a GPU only
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_keeps_the_rule(rule):
    checked = [name for name in RULES[rule] if name in SOURCES]
    problems = [f"minigan/{name.replace('.', '/')}.py:{node.lineno}: {text}"
                for name in checked for node, text in rule(ast.parse(SOURCES[name]))]
    assert checked and not problems, "\n".join(problems)


BAD = [
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
    (no_cupy, "import cupy.cuda as cuda"),
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
        assert not list(matplotlib_by_one_door(ast.parse(path.read_text(encoding="utf-8")))), path


@pytest.mark.parametrize("rule, snippet", BAD)
def test_the_rule_catches(rule, snippet):
    assert len(list(rule(ast.parse(snippet)))) == 1
    assert [other.__name__ for other in RULES if other is not rule and list(other(ast.parse(snippet)))] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_rule_passes_good_code(rule):
    assert list(rule(ast.parse(GOOD))) == []


# --- imports run one way ---

MIDDLE = ["losses", "penalties", "optimizers"]         # and all that is not named here: models, gradcheck, checkpoint
LOW = ["checks", "parallel", "initializers", "cublas", "columns", "sums"]
FLOORS = [["backend", "threads"], LOW, ["layers"], MIDDLE, ["gan", "translation"], ["cyclegan"],
          ["training", "recipe", "lesson"], ["__init__"]]


def floor(name):
    return next((i for i, names in enumerate(FLOORS) if name.partition(".")[0] in names), FLOORS.index(MIDDLE))


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


def upward_imports(graph):
    for name, found in graph.items():
        for (line, _), target in found.items():
            if floor(target) > floor(name):
                yield f"{name}, line {line}: imports {target}, which stands above it"


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
    assert list(upward_imports(graph)) == []
    assert list(circles(graph)) == []


@pytest.mark.parametrize("name, line", [
    ("backend", "from minigan.layers import Dense"),
    ("layers.dense", "import minigan.losses"),
    ("layers.dense", "def later():\n    from minigan import gan"),
    ("losses", "from minigan.gan import GAN"),
    ("gan", "from minigan import training"),
    ("checkpoint", "import minigan.training as t"),
    ("optimizers", "from minigan import Layer"),
])
def test_an_upward_import_is_caught(name, line):
    changed = SOURCES | {"training": "", name: SOURCES[name] + line}
    assert len(list(upward_imports(import_graph(changed)))) == 1


@pytest.mark.parametrize("name, line, circle", [
    ("losses", "from minigan.optimizers import Adam", {"losses", "optimizers"}),
    ("layers.layer", "from minigan.layers.dense import Dense", {"layers.layer", "layers.dense"}),
    ("layers.layer", "from minigan.layers import Dense", {"layers.layer", "layers"}),
])
def test_a_circle_is_caught(name, line, circle):
    changed = SOURCES | {"optimizers": "from minigan import losses", name: SOURCES[name] + line}
    assert circle <= set(circles(import_graph(changed)))


def test_a_relative_import_is_caught():
    assert relative_imports({"gan": "from . import backend"}) == ["gan"]
