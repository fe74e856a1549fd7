"""`fuse`: a formula, element by element, that runs as one kernel on a GPU, and side by side in pieces on a CPU.

On a GPU a formula of ten operations would be ten kernels, each of which reads its numbers from the main memory and puts them
back there. As one kernel it reads and writes each array once. On a CPU the same holds for the vectors of an optimizer, which
are too long for a cache: pieces.py takes them a piece at a time.
"""
import functools
from typing import cast

import numpy as np

from minigan.backend import F, array_module
from minigan.engine.pieces import in_pieces

FORMULAS: list = []             # all that is decorated with `fuse`


def fuse(formula: F) -> F:
    """Decorator for an element-wise formula, which changes its arguments in place or returns arrays.

    CuPy finds the kernel by calling the formula once with symbols in place of arrays. So it takes its arguments by position,
    arrays and Python numbers; computes with operators and functions of xp only (no method but astype, no index but [...],
    no sums); returns arrays of one shape, that of all its arguments together; and never combines two Python numbers: CuPy
    would compute 1 - beta, both Python floats, in float16. tests/test_fuse.py holds every formula against that.
    """
    kernels = {}

    @functools.wraps(formula)
    def late(*arguments):
        module = array_module()
        if module is np:
            return in_pieces(formula, arguments)
        if module not in kernels:
            kernels[module] = module.fuse(kernel_name=formula.__name__)(formula)
        return kernels[module](*arguments)

    FORMULAS.append(late)
    return cast(F, late)
