"""A whole training step as one CUDA graph.

A step of a GAN is some hundred kernels, and for small networks or batches it takes the CPU longer to ask for them than the
GPU to run them. CUDA can record the work that is put into a stream, without doing it: a graph, which is then launched as often
as wanted, with a single call. It repeats the same kernels with the same addresses and the same plain numbers. Hence the rules:

    addresses       parameters, Adam's averages and the states of generators are arrays that live as long as the GAN and are
                    changed in place; the batch is copied into arrays of the graph's own; all that lies between gets memory
                    from a pool of its own, so that no other array can lie where the graph will write
    plain numbers   what the host computes anew for each step comes through this_step, and is written into arrays
                    of one number before each launch. All other numbers are those of the capture. Decisions of the host that
                    come through once_per_batch are taken again before each launch: if one has changed, all is recorded anew
    randomness      a device generator keeps its state on the device, and each launch moves it on
    waiting         no read of a value from the device, no copy from the host
    first use       of a kernel loads it, which cannot be recorded: so the step runs as it is before (twice, so that the
                    second run also meets what the first has left behind). After the recording everything is put back

CuPy 14 refuses its own matrix products during a capture; `products` puts those of cublas.py in their place.

On the CPU there is nothing to win, and a captured step is the plain one.
"""
import contextlib
import functools
import gc

from minigan import backend
from minigan.backend import xp
from minigan.engine.cublas import Products
from minigan.engine.fusion import fuse
from minigan.engine.step import capturing

WARM_UP = 2


class Captured:
    """step(*inputs), a function of device arrays, as one graph; called in the same way, and recorded at the first call.

    The results are the same arrays at every call, and a call writes over those of the one before.

    snapshot    called before the recording; what it returns is given to put_back after it
    Raises      RuntimeError or NotImplementedError (CuPy's) if the step does something that cannot be recorded; then the
                state is put back too
    """

    def __init__(self, step, snapshot, put_back):
        self.step, self.snapshot, self.put_back = step, snapshot, put_back
        self.graph, self.form, self.decisions = None, None, []

    def __call__(self, *inputs):
        form = [x if x is None else (x.shape, x.dtype) for x in inputs]
        if self.graph is None or form != self.form or any(decide() != before for decide, before in self.decisions):
            self.form, self.inputs = form, [x if x is None else x.copy() for x in inputs]
            self.record()
        for own, x in zip(self.inputs, inputs):
            if x is not None:
                own[...] = x
        self.write([value for function in self.functions for value in function()])
        self.graph.launch()                            # in the stream in use, so what comes before and after keeps its order
        return self.results

    def record(self):
        self.graph, before = None, self.snapshot()
        backend.synchronize()
        collecting = gc.isenabled()
        try:
            with capturing(self) as cupy, products(cupy):
                stream, pool = cupy.cuda.Stream(non_blocking=True), cupy.cuda.MemoryPool()
                with stream, cupy.cuda.using_allocator(pool.malloc):
                    self.numbers, self.zeros = [], []
                    for _ in range(WARM_UP):
                        self.run()
                        self.write(self.values)
                    stream.synchronize()
                    gc.collect()
                    gc.disable()                       # a graph or a stream that is freed now would break the recording
                    self.graph, self.results = self.run_recorded(stream)
                self.stream, self.pool = stream, pool  # the graph's memory, for as long as the graph
        finally:
            if collecting:
                gc.enable()
            self.put_back(before)

    def run_recorded(self, stream):
        stream.begin_capture()
        try:
            results = self.run()
        except BaseException:
            with contextlib.suppress(Exception):       # the first error explains more than that the recording is broken
                stream.end_capture()
            raise
        return stream.end_capture(), results

    def write(self, values):
        if values:
            write(*self.zeros, *self.numbers, *values)         # one kernel; a copy from the host might wait for the GPU

    def run(self):
        self.functions, self.decisions, self.values = [], [], []
        return self.step(*self.inputs)

    # --- what `this_step` and `once_per_batch` ask, while the step runs in `record` ---

    def this_step(self, function, dtype):
        start, values = len(self.values), function()
        self.functions.append(function)
        self.values += values
        if len(self.numbers) == start:                 # in the first run
            self.numbers += [xp.full((), value, dtype) for value in values]
            self.zeros += [xp.zeros((), dtype) for _ in values]
        return self.numbers[start:start + len(values)]

    def decided(self, function):
        value = function()
        if isinstance(value, bool):
            self.decisions.append((function, value))
        return value


@fuse
def write(*zeros_numbers_values):
    """Every value into its array. (A number alone CuPy would round to float16, see fusion.py; a zero is an array.)"""
    n = len(zeros_numbers_values) // 3
    for i in range(n):
        zero, number, value = zeros_numbers_values[i::n]
        number[...] = zero + value


shared_products = functools.cache(lambda cupy, device: Products(cupy))         # one handle and workspace for all graphs


@contextlib.contextmanager
def products(cupy):
    """While the block runs, a @ b and xp.matmul are products that a graph can hold."""
    multiply = shared_products(cupy, backend.device())
    with replaced(cupy, "matmul", multiply), replaced(cupy.ndarray, "__matmul__", lambda a, b: multiply(a, b)):
        yield


@contextlib.contextmanager
def replaced(owner, name, value):
    own = name in vars(owner)                          # else it is inherited
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before) if own else delattr(owner, name)
