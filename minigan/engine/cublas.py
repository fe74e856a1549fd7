"""Matrix products straight from cuBLAS, the library that CuPy's `@` calls too: for CUDA graphs, where CuPy refuses its own.

cuBLAS stores matrices column by column, and CuPy and NumPy row by row. The same memory read the other way is the transposed
matrix, so C = A B is had as Cᵀ = Bᵀ Aᵀ: cuBLAS gets B, then A, and writes Cᵀ column by column, which is C row by row. For an
operand that is itself a transposed view, its flag turns it once more.
"""
import ctypes

from minigan import backend

WORKSPACE = 32 << 20                    # bytes that cuBLAS may use; its own, it could not allocate while a stream is recorded
TENSOR_OPERATIONS = 99                  # CUBLAS_GEMM_DEFAULT_TENSOR_OP
FLOAT32, FLOAT64 = 0, 1                 # CUDA_R_32F, CUDA_R_64F
COMPUTE_32F, COMPUTE_TF32, COMPUTE_64F = 68, 77, 70


def library(version):
    """The cuBLAS that CuPy has loaded already."""
    try:
        return ctypes.CDLL(f"libcublas.so.{version}")
    except OSError:
        return ctypes.CDLL(f"cublas64_{version}.dll")          # its name on Windows


class Products:
    """products(a, b, out=None) = a @ b of 2-D arrays, float32 or float64, in the stream in use."""

    def __init__(self, cupy):
        self.cupy, cublas = cupy, cupy.cuda.cublas
        handle = cublas.create()
        self.lib, self.handle = library(cublas.getVersion(handle) // 10_000), ctypes.c_void_p(handle)
        self.workspace = cupy.cuda.alloc(WORKSPACE)
        self.stream = None

    def __call__(self, a, b, out=None):
        (m, k), n = a.shape, b.shape[1]
        if b.shape[0] != k or a.dtype != b.dtype:
            raise ValueError(f"matmul: cannot multiply {a.shape} {a.dtype} by {b.shape} {b.dtype}")
        out = self.cupy.empty((m, n), a.dtype) if out is None else out
        if out.shape != (m, n) or out.dtype != a.dtype or not out.flags.c_contiguous:
            raise ValueError(f"matmul: out must be a contiguous array ({m}, {n}) {a.dtype}, got {out.shape} {out.dtype}")
        self.follow(self.cupy.cuda.get_current_stream().ptr)
        a, turn_a, step_a = self.operand(a)
        b, turn_b, step_b = self.operand(b)
        if a.dtype == "float32":
            kind, number, compute = FLOAT32, ctypes.c_float, COMPUTE_TF32 if backend.tf32() else COMPUTE_32F
        else:
            kind, number, compute = FLOAT64, ctypes.c_double, COMPUTE_64F
        one, zero = number(1), number(0)               # C = one · A B + zero · C
        pointer = ctypes.c_void_p
        self.check(self.lib.cublasGemmEx(
            self.handle, turn_b, turn_a, n, m, k, ctypes.byref(one), pointer(b.data.ptr), kind, step_b,
            pointer(a.data.ptr), kind, step_a, ctypes.byref(zero), pointer(out.data.ptr), kind, n, compute, TENSOR_OPERATIONS))
        return out

    def operand(self, x):
        """(x, whether to turn it, the way in memory from one row, or column, to the next)."""
        if not (x.flags.c_contiguous or x.flags.f_contiguous):
            x = self.cupy.ascontiguousarray(x)
        return (x, 0, x.shape[1]) if x.flags.c_contiguous else (x, 1, x.shape[0])

    def follow(self, stream):
        if stream != self.stream:
            self.check(self.lib.cublasSetStream_v2(self.handle, ctypes.c_void_p(stream)))
            # after the stream, which takes the workspace away
            self.check(self.lib.cublasSetWorkspace_v2(self.handle, ctypes.c_void_p(self.workspace.ptr),
                                                      ctypes.c_size_t(WORKSPACE)))
            self.stream = stream

    @staticmethod
    def check(status):
        if status:
            raise RuntimeError(f"cuBLAS: status {status}")
