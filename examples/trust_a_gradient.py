"""Three ways to trust a gradient, and what each cannot see.

    python examples/trust_a_gradient.py          a second; leaves trust_a_gradient.png in runs/trust_a_gradient

1  Central differences, (f(x + h) - f(x - h))/2h: for every f. Two numbers that agree in most digits are subtracted, so 11
   digits are the best; a smaller h is worse. Nothing at a kink, and no mistake below the 11th digit.
2  The complex step, Im f(x + ih)/h: nothing is subtracted, 16 digits. For analytic f alone: of |x| it sees nothing.
3  The adjoint identity, <A x, y> = <x, Aᵀ y>: two lines for any linear map, no h. It says that the two belong together, not
   that either is what was meant: a kernel that is turned over in both passes it.
"""
try:
    import lesson
    import numpy as np

    import minigan as mg
    from minigan import plots
    from minigan.layers.convolution import conv, conv_adjoint
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None


def f(x):
    return np.exp(x) / (1 + np.exp(x)) * np.tanh(x)


def slope(x):
    s, t = 1 / (1 + np.exp(-x)), np.tanh(x)
    return s * (1 - s) * t + s * (1 - t * t)


def central(f, x, h):
    return (f(x + h) - f(x - h)) / (2 * h)


def complex_step(f, x, h):
    return f(x + 1j * h).imag / h


def main():
    args = lesson.arguments(__doc__, "trust_a_gradient")
    x, steps = 0.7, 10.0 ** np.arange(-18, 0.1, 0.25)
    errors = {name: [abs(way(f, x, h) - slope(x)) / slope(x) for h in steps]
              for name, way in (("central differences", central), ("complex step", complex_step))}
    print("1, 2  a smooth f: relative error        h = 1e-2    1e-5     1e-8     1e-11    1e-16")
    for name, way in (("central differences", central), ("complex step", complex_step)):
        numbers = [abs(way(f, x, h) - slope(x)) / slope(x) for h in (1e-2, 1e-5, 1e-8, 1e-11, 1e-16)]
        print(f"      {name:<32}" + "".join(f"{number:9.0e}" for number in numbers))
    print(f"      |x| at 0.7, whose slope is 1: differences say {central(abs, 0.7, 1e-5):.4f}, the complex step "
          f"{complex_step(lambda z: np.abs(z) + 0j, 0.7, 1e-5):.4f}")

    rng = mg.host_rng(0)
    image, kernel, y = (mg.asarray(rng.standard_normal(shape)) for shape in ((2, 6, 6, 3), (3, 3, 3, 4), (2, 3, 3, 4)))
    turned = kernel[::-1, ::-1]

    def products(forward, backward):                   # <A x, y> and <x, Aᵀ y>, each with a kernel of its own
        adjoint = conv_adjoint(y, backward, image.shape, 2, "same")
        return float((conv(image, forward, 2, "same") * y).sum()), float((image * adjoint).sum())

    right, one, both = products(kernel, kernel), products(kernel, turned), products(turned, turned)
    print(f"\n3     <A x, y> = {right[0]:.12f} and <x, Aᵀ y> = {right[1]:.12f}: they belong together")
    print(f"      the kernel turned over in one of them: {one[0]:.6f} and {one[1]:.6f}: seen")
    print(f"      turned over in both: {both[0]:.12f} and {both[1]:.12f}: not seen\n")

    print("The same for a layer, by minigan.gradcheck:")
    layer = mg.layers.BatchNorm(3, dtype="float64")
    layer.gamma[...] = mg.asarray(rng.standard_normal(3))
    print(mg.gradcheck.check_complex_step(layer, mg.asarray(rng.standard_normal((6, 3)))))
    try:
        mg.gradcheck.check_complex_step(mg.layers.Sigmoid(), mg.asarray(rng.standard_normal((2, 3))))
    except TypeError as error:
        print(f"Sigmoid is written with |x|, so that nothing overflows. TypeError: {error}")

    figure, axes = lesson.panels("relative error of the slope, by the step h", width=7, height=4)
    for (name, error), colour in zip(errors.items(), ("#b2182b", "#2166ac")):
        axes[0].loglog(steps, np.maximum(error, 1e-17), color=colour, label=name)
    axes[0].annotate("rounding: what is subtracted agrees in most digits", (1e-13, 3e-4), fontsize=8)
    axes[0].annotate("curvature: h²", (2e-3, 1e-8), fontsize=8)
    axes[0].set(xlabel="h", ylim=(1e-17, 10))
    axes[0].legend(fontsize=8)
    path = args.out / "trust_a_gradient.png"
    plots.save_picture(path, plots.rasterize(figure))
    print(f"\nwrote {path}")


if __name__ == "__main__":
    main()
