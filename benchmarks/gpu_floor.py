"""What does a training step ask of a GPU? Its kernels, bytes and operations, counted without one.

    python benchmarks/gpu_floor.py                     all models, batches 64, 128 and 512
    python benchmarks/gpu_floor.py --models dcgan_64 --batches 128 --layers           and a line for each layer

The step runs on the stand-in for CuPy of the tests, which notes for each kernel the bytes of the arrays that it reads and
writes, and the operations of a product. The floor of the step is the sum over its kernels of the longer of two times: that of
its bytes at the full speed of the memory, and that of its operations at the full rate. It is printed for an H100: 3.35 TB/s,
495 TFLOP/s in TF32, by the tensor cores, and 67 in float32 (NVIDIA's data sheet of the H100 SXM, without sparsity).

A real step takes longer: kernels start and end, and few run at full speed. It may be faster where numbers stay in the cache,
of 50 MB, from one kernel to the next: those of small networks do. The floor says which layer is worth a thought, and what a
change can bring, before it is measured.
"""
import argparse
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")

from gpu import MODELS, stand_in, use
from minigan_step import make_gan

import minigan as mg
from minigan.cli import terminal

BYTES_PER_S, TF32_PER_S, FLOAT32_PER_S = 3.35e12, 495e12, 67e12


def count(model, batch):
    """[(who, bytes, operations)] of every kernel of a step that is not the first, in order; who is "D.2 Conv2D backward", or
    "" between layers."""
    import fakecupy
    use("cuda")
    gan, real = make_gan(model, batch)
    noise, kernels = mg.rng(1), []

    def note(who):
        kernels.extend((who, *work) for work in fakecupy.traffic)
        fakecupy.traffic.clear()

    def noted(layer, way):
        """The method `way` of the layer; its kernels are known as those of the layer."""
        method = getattr(layer, way)

        def run(*arguments):
            note("")
            result = method(*arguments)
            note(f"{layer.name} {type(layer).__name__} {way}")
            return result
        return run

    for layer in (*gan.G.layers, *gan.D.layers):
        vars(layer).update(forward=noted(layer, "forward"), backward=noted(layer, "backward"))
    gan.train_step(real, gan.noise(batch, noise))      # the first one, which looks at its batch
    note("")
    kernels.clear()
    gan.train_step(real, gan.noise(batch, noise))
    note("")
    return kernels


def floor(kernels, rate=TF32_PER_S):
    """The least time in ms."""
    return 1000 * sum(max(size / BYTES_PER_S, operations / rate) for _, size, operations in kernels)


def line(name, kernels):
    moved, operations = (sum(kernel[i] for kernel in kernels) for i in (1, 2))
    return (f"{name:<40}{len(kernels):9d}{moved / 1e9:9.3f}{operations / 1e9:10.2f}{floor(kernels):12.3f}"
            f"{floor(kernels, FLOAT32_PER_S):14.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 128, 512])
    parser.add_argument("--layers", action="store_true", help="a line for each layer too, the longest first")
    args = parser.parse_args()
    stand_in()
    print(f"{'alternating step':<40}{'kernels':>9}{'GB':>9}{'GFLOP':>10}{'floor TF32':>12}{'floor float32':>14}  ms")
    for model in args.models:
        for batch in args.batches:
            kernels, layers = count(model, batch), {}
            for kernel in kernels:
                layers.setdefault(kernel[0] or "losses, Adam ...", []).append(kernel)
            print(line(f"{model}, batch {batch}", kernels), flush=True)
            for name in sorted(layers, key=lambda name: floor(layers[name]), reverse=True) if args.layers else ():
                print(line("    " + name, layers[name]))


if __name__ == "__main__":
    terminal.prepare()
    main()
