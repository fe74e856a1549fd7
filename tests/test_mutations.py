"""Who tests the tests? Broken layers do: each must fail the very check that the right layers pass in test_layers.py.

First the mistakes of one formula, as formulas; then those that any layer can make; then those inside a convolution.
"""
import functools

import numpy as np
import pytest
from cases import CASES, build, check

from minigan.gradcheck import check_layer
from minigan.layers import BatchNorm, Conv2D, ConvTranspose2D, Dropout, FillIn, Maxout, SpectralNorm, convolution
from minigan.layers.augment import Augmentation


def wrong_rows(report):
    return [row.name for row in report if not row.ok]


# --- wrong formulas ---

# (case, mode, gradient): the right formula, then wrong ones. Each takes the place of that gradient of a good layer.
FORMULAS = {
    ("Dense, square", "train", "dx"): """
        dy @ W.T
        dy @ W
        dy @ W.T + b
        dy
        -dy @ W.T""",
    ("Dense, square", "train", "dW"): """
        x.T @ dy
        dy.T @ x
        x @ dy
        x.T @ y
        x.T @ dy / N""",
    ("Dense, square", "train", "db"): """
        dy.sum(axis=0)
        dy.sum(axis=1)
        dy.mean(axis=0)
        dy[0]""",
    ("LeakyReLU", "train", "dx"): """
        where(x > 0, dy, alpha * dy)
        where(dy > 0, dy, alpha * dy)
        where(x > 0, dy, alpha * alpha * dy)
        where(x > 0, dy, -alpha * dy)
        where(x > 0, dy, alpha)
        where(x > 0, dy, 0)
        where(x < 0, dy, alpha * dy)
        where(x > 1, dy, alpha * dy)""",
    ("ReLU", "train", "dx"): """
        where(x > 0, dy, 0)
        where(y >= 0, dy, 0)
        where(dy > 0, dy, 0)
        where(x > 0, dy, 0.01 * dy)""",
    ("Tanh", "train", "dx"): """
        dy * (1 - y * y)
        dy * (1 - y)
        dy * (1 - x * x)
        dy * (1 + y * y)
        dy - y * y
        dy * y * (1 - y)                # sigmoid's""",
    ("Sigmoid", "train", "dx"): """
        dy * y * (1 - y)
        dy * y
        dy * (1 - y)
        dy * x * (1 - x)
        dy * (1 - y * y)                # tanh's""",
    ("Dropout", "train", "dx"): """
        dy * mask
        dy
        dy * (mask > 0)                 # without 1 / (1 - rate)
        dy * mask * mask
        dy * (rng.random(x.shape, dtype="float32") >= rate) / (1 - rate)        # a mask of its own""",
    ("Dropout", "eval", "dx"): """
        dy
        dy * (1 - rate)
        dy * (rng.random(x.shape, dtype="float32") >= rate) / (1 - rate)""",
    ("BatchNorm", "train", "dx"): """
        gamma * inv_std * (dy - dbeta / M - x_hat * dgamma / M)
        gamma * inv_std * (dy - x_hat * dgamma / M)                             # the mean depends on x too
        gamma * inv_std * (dy - dbeta / M)                                      # so does the variance
        gamma * inv_std * dy                                                    # evaluation's
        inv_std * (dy - dbeta / M - x_hat * dgamma / M)
        gamma * (dy - dbeta / M - x_hat * dgamma / M)
        gamma * inv_std * (dy - dbeta - x_hat * dgamma)
        gamma * inv_std * (dy - dbeta / M + x_hat * dgamma / M)
        gamma * inv_std * (dy - dbeta / M - x_hat * dgamma / (M - 1))           # the unbiased variance's
        gamma * inv_std * (dy - dbeta / M - (x - mean) * dgamma / M)
        gamma * running_inv_std * (dy - dbeta / M - x_hat * dgamma / M)""",
    ("BatchNorm", "train", "dgamma"): """
        (dy * x_hat).sum(axis=0)
        (dy * x_hat).mean(axis=0)
        (dy * x).sum(axis=0)
        (dy * y).sum(axis=0)
        (dy * running_x_hat).sum(axis=0)""",
    ("BatchNorm", "train", "dbeta"): """
        dy.sum(axis=0)
        dy.mean(axis=0)
        gamma * dy.sum(axis=0)""",
    ("BatchNorm", "eval", "dx"): """
        gamma * running_inv_std * dy
        running_inv_std * dy
        gamma * inv_std * dy
        gamma * inv_std * (dy - dbeta / M - x_hat * dgamma / M)                 # training's
        gamma * running_inv_std * (dy - dbeta / M - x_hat * dgamma / M)""",
    ("BatchNorm", "eval", "dgamma"): """
        (dy * running_x_hat).sum(axis=0)
        (dy * x_hat).sum(axis=0)""",
    ("InstanceNoise", "train", "dx"): """
        dy
        sigma * dy
        dy + (y - x)
        dy * y / x""",
    ("RandomFlip", "train", "dx"): """
        where(T, dy[:, :, ::-1], dy)
        dy
        dy[:, :, ::-1]
        where(T, dy, dy[:, :, ::-1])
        where(T, dy[:, ::-1], dy)
        where(T[::-1], dy[:, :, ::-1], dy)""",
    ("RandomRotate90", "train", "dx"): """
        self.transform(dy, (4 - T) % 4)
        self.transform(dy, T)                                                   # turned on, not back
        self.transform(dy, (3 - T) % 4)
        dy""",
    ("RandomShift", "train", "dx"): """
        self.transform(dy, 2 * pixels - T)
        self.transform(dy, T)                                                   # moved on, not back
        self.transform(dy, 2 * pixels - T[::-1])                                # rows and columns exchanged
        moved_around(dy, T - pixels)                                            # what went over the edge comes back
        dy""",
    ("Brightness", "train", "dx"): """
        dy
        dy + T
        T * dy
        dy * y / x""",
    ("Cutout", "train", "dx"): """
        T * dy
        dy
        (1 - T) * dy
        T[::-1] * dy
        T * dy * y""",
    ("Cutout", "eval", "dx"): """
        dy
        dy * (abs(x) > 1)""",
    ("SpectralNorm, square", "train", "dx"): """
        dy @ W_hat.T
        dy @ W.T
        dy @ W_hat
        dy @ (W_hat - p @ q.T).T""",
    ("SpectralNorm, square", "train", "dlayer.W"): """
        (dW_hat - (dW_hat * W_hat).sum() * p @ q.T) / sigma
        dW_hat / sigma                                                          # sigma depends on W
        dW_hat - (dW_hat * W_hat).sum() * p @ q.T
        dW_hat
        (dW_hat + (dW_hat * W_hat).sum() * p @ q.T) / sigma
        (dW_hat - (dW_hat * W).sum() * p @ q.T) / sigma
        (dW_hat - (dW_hat * W_hat).sum() * q @ p.T) / sigma
        (dW_hat - (dW_hat * W_hat).sum() * W_hat) / sigma                       # the Frobenius norm's""",
    ("SpectralNorm, square", "eval", "dlayer.W"): """
        (dW_hat - (dW_hat * W_hat).sum() * p @ q.T) / sigma
        dW_hat / sigma                                                          # as if sigma were a constant""",
    ("Flatten", "train", "dx"): """
        dy.reshape(x.shape)
        dy.reshape(x.shape, order="F")
        dy.reshape(N, 2, 4, 2).transpose(0, 2, 3, 1)                            # channels first
        dy""",
    ("Reshape, images", "train", "dx"): """
        dy.reshape(x.shape)
        dy.reshape(x.shape, order="F")
        dy.reshape(x.shape) / N""",
    ("Maxout", "train", "dx"): """
        to_pieces(won, dy) @ W.T
        to_pieces(1, dy) @ W.T                                                  # to all pieces
        to_pieces(1, dy / P) @ W.T                                              # shared between them: the mean's
        to_pieces(won, y) @ W.T
        to_pieces(won[:, ::-1], dy) @ W.T
        to_pieces(z == z.min(axis=1)[:, None], dy) @ W.T                        # the smallest piece
        to_pieces(z > 0, dy) @ W.T                                              # ReLU's
        to_pieces(won.transpose(0, 2, 1), dy) @ W.T                             # pieces and outputs exchanged
        dy @ W[:, :O].T""",
    ("Maxout", "train", "dW"): """
        x.T @ to_pieces(won, dy)
        x.T @ to_pieces(1, dy)
        x.T @ to_pieces(won, dy) / N
        x.T @ to_pieces(won, z.max(axis=1))""",
    ("Maxout", "train", "db"): """
        to_pieces(won, dy).sum(axis=0)
        to_pieces(1, dy).sum(axis=0)
        to_pieces(won, dy).mean(axis=0)""",
    ("Pack, images", "train", "dx"): """
        moveaxis(dy.reshape(N // m, 2, 4, m, C), 3, 1).reshape(x.shape)
        dy.reshape(x.shape)                                                     # right for points only
        moveaxis(dy.reshape(N // m, 2, 4, C, m), 4, 1).reshape(x.shape)         # red, red, red, green ...
        moveaxis(dy.reshape(N // m, 2, 4, m, C), 3, 1)[:, ::-1].reshape(x.shape)
        moveaxis(dy.reshape(N // m, 2, 4, m, C), 3, 0).reshape(x.shape)         # groups of every (N/m)th sample
        moveaxis(dy.reshape(N // m, 2, 4, m, C), 3, 1).reshape(x.shape) / m""",
    ("Conv2D, K5 S2 same 6x7", "train", "dx"): """
        conv_adjoint(dy, W, x.shape, S, padding)
        conv_adjoint(dy, flipped(W), x.shape, S, padding)
        conv_adjoint(dy, W.transpose(1, 0, 2, 3), x.shape, S, padding)
        turned(conv_adjoint(turned(dy), flipped(W), x.shape, S, padding))       # the larger padding first
        conv_adjoint(dy, W, (N, 9, 11, C), S, "valid")[:, :6, :7]               # padding cropped behind only
        conv_adjoint(dy, W, (N, 9, 11, C), S, "valid")[:, 2:8, 3:10]            # cropped one too many before""",
    ("Conv2D, K5 S2 same 6x7", "train", "dW"): """
        conv_weight_grad(x, dy, K, S, padding)
        conv_weight_grad(x, dy, K, S, padding) / N
        conv_weight_grad(x, dy, K, S, padding).transpose(1, 0, 2, 3)
        flipped(conv_weight_grad(x, dy, K, S, padding))
        flipped(conv_weight_grad(turned(x), turned(dy), K, S, padding))         # the larger padding first""",
    ("Conv2D, K5 S2 same 6x7", "train", "db"): """
        dy.sum(axis=(0, 1, 2))
        dy.mean(axis=(0, 1, 2))
        dy.sum(axis=0).mean(axis=(0, 1))
        dy[:, 0, 0].sum(axis=0)""",
    ("ConvTranspose2D, K5 S2 same 6x7", "train", "dx"): """
        conv(dy, W, S, padding)
        conv(dy, flipped(W), S, padding)
        turned(conv(turned(dy), flipped(W), S, padding))                        # the larger padding first""",
    ("ConvTranspose2D, K5 S2 same 6x7", "train", "dW"): """
        conv_weight_grad(dy, x, K, S, padding)
        conv_weight_grad(y, x, K, S, padding)
        flipped(conv_weight_grad(dy, x, K, S, padding))
        flipped(conv_weight_grad(turned(dy), turned(x), K, S, padding))""",
    ("ConvTranspose2D, K5 S2 same 6x7", "train", "db"): """
        dy.sum(axis=(0, 1, 2))
        dy.mean(axis=(0, 1, 2))""",
    ("PixelShuffle", "train", "dx"): """
        dy.reshape(2, 2, 2, 3, 2, 3).transpose(0, 1, 3, 2, 4, 5).reshape(x.shape)
        dy.reshape(x.shape)
        dy.reshape(2, 2, 2, 3, 2, 3).transpose(0, 1, 3, 4, 2, 5).reshape(x.shape)           # i and j exchanged
        dy.reshape(2, 2, 2, 3, 2, 3).transpose(0, 1, 3, 5, 2, 4).reshape(x.shape)           # PyTorch's order, c first
        dy.reshape(2, 2, 2, 3, 2, 3).transpose(0, 1, 3, 2, 4, 5).reshape(x.shape) / r""",
    ("UpSample2D", "train", "dx"): """
        dy.reshape(2, 2, 2, 3, 2, 2).sum(axis=(2, 4))
        dy.reshape(2, 2, 2, 3, 2, 2).mean(axis=(2, 4))
        dy[:, ::2, ::2]                                                         # one copy of four
        dy.reshape(2, 2, 2, 3, 2, 2).sum(axis=2)[:, :, :, 0]
        dy.reshape(2, 2, 2, 2, 3, 2).sum(axis=(1, 3))                           # tiled, not repeated""",
    ("Crop", "train", "dx"): """
        pad(dy, ((0, 0), (1, 2), (0, 0), (0, 0)))
        pad(dy, ((0, 0), (2, 1), (0, 0), (0, 0)))                            # the larger half above
        pad(dy, ((0, 0), (0, 3), (0, 0), (0, 0)))
        pad(dy, ((0, 0), (1, 2), (0, 0), (0, 0)), mode="edge")""",
    ("FillIn", "train", "dx"): """
        through(body, gradient=mask * dy) + joined((1 - mask) * dy, (dy * (painted - image)).sum(axis=3, keepdims=True))
        through(body, gradient=dy) + joined((1 - mask) * dy, (dy * (painted - image)).sum(axis=3, keepdims=True))
        through(body, gradient=mask * dy) + joined(dy, (dy * (painted - image)).sum(axis=3, keepdims=True))
        through(body, gradient=mask * dy) + joined(mask * dy, (dy * (painted - image)).sum(axis=3, keepdims=True))
        through(body, gradient=mask * dy) + joined((1 - mask) * dy, (dy * painted).sum(axis=3, keepdims=True))
        through(body, gradient=mask * dy) + joined((1 - mask) * dy, 0 * mask)
        through(body, gradient=mask * dy)
        joined((1 - mask) * dy, (dy * (painted - image)).sum(axis=3, keepdims=True))""",
    ("Residual", "train", "dx"): """
        dy + through(body)
        through(body)
        dy
        dy * through(body)
        dy + dy + through(body)
        dy + through(body[0], body[2])
        dy + through(body[2], body[1], body[0])""",
    ("Sequential, nested", "train", "dx"): """
        through(*layers)
        -through(*layers)
        through(*layers) / N""",
}


def flipped(kernel):
    """The kernel turned by 180°: all taps change places."""
    return kernel[::-1, ::-1]


def turned(images):
    """Images turned by 180°. With a kernel turned as well, that exchanges the padding before and after."""
    return images[:, ::-1, ::-1]


def moved_around(images, steps):
    """Each image moved by its own (rows, columns), in at the other edge what goes over one."""
    return np.stack([np.roll(image, steps[:, n, 0, 0], axis=(0, 1)) for n, image in enumerate(images)])


def names_of_formulas(layer, x, y, dy, states, cache):
    """What the formulas speak of. For a BatchNorm the statistics of the batch, and the running ones."""
    def through(*layers, gradient=dy):
        caches, h = [], x
        for part in layers:
            h, cache = part.forward(h)
            caches.append((part, cache))
        for part, cache in reversed(caches):
            gradient = part.backward(gradient, cache, param_grads=False)
        return gradient

    names = {name: getattr(convolution, name) for name in ("conv", "conv_adjoint", "conv_weight_grad")}
    names |= {"where": np.where, "flipped": flipped, "turned": turned, "through": through, "moved_around": moved_around,
              "moveaxis": np.moveaxis, "pad": np.pad}
    names |= vars(layer) | states | {"x": x, "y": y, "dy": dy, "N": len(x), "M": len(x), "C": x.shape[-1], "self": layer}
    if isinstance(layer, Dropout):
        names |= {"mask": y / x}
    if isinstance(layer, Augmentation):
        names |= {"T": cache[0]}
    if isinstance(layer, SpectralNorm):
        names |= dict(zip(("W_hat", "p", "q", "sigma"), cache[1:])) | {"W": layer.layer.W, "dW_hat": x.T @ dy}
    if isinstance(layer, FillIn):
        names |= {"image": x[..., :-1], "mask": x[..., -1:], "painted": layer.body.forward(x)[0],
                  "joined": lambda *parts: np.concatenate(parts, axis=3)}
    if isinstance(layer, (Conv2D, ConvTranspose2D)):
        names |= {"K": layer.kernel_size, "S": layer.stride}
    if isinstance(layer, Maxout):
        z = (x @ layer.W + layer.b).reshape(len(x), layer.pieces, layer.O)
        names |= {"P": layer.pieces, "z": z, "won": z == y[:, None],
                  "to_pieces": lambda share, dy: (np.ones(z.shape) * share * dy[:, None]).reshape(len(x), -1)}
    if isinstance(layer, BatchNorm):
        mean, inv_std = x.mean(axis=0), 1 / np.sqrt(x.var(axis=0) + layer.eps)
        running_inv_std = 1 / np.sqrt(states["running_var"] + layer.eps)
        x_hat, running_x_hat = (x - mean) * inv_std, (x - states["running_mean"]) * running_inv_std
        names |= {"mean": mean, "inv_std": inv_std, "x_hat": x_hat,
                  "dbeta": dy.sum(axis=0), "dgamma": (dy * x_hat).sum(axis=0),
                  "running_inv_std": running_inv_std, "running_x_hat": running_x_hat}
    return names


def with_formula(layer, mode, gradient, formula):
    """The layer, with this formula for one of its gradients ("dx", "dW" ...) in one mode; all else stays as it is."""
    forward, backward = layer.forward, layer.backward

    def forward_that_keeps_x_and_y(x, train=True):
        states = {name: value.copy() for name, value in layer.states()}
        y, cache = forward(x, train)
        return y, (x, y, cache, states, train == (mode == "train"))

    def backward_by_formula(dy, cache, param_grads=True, input_grad=True):
        x, y, cache, states, applies = cache
        names = names_of_formulas(layer, x, y, dy, states, cache)
        totals = {f"d{name}": total for name, _, total in layer.parameters()}
        before = {name: total.copy() for name, total in totals.items()}
        dx = backward(dy, cache, param_grads, input_grad)
        if applies and gradient == "dx" and input_grad:
            return eval(formula, names)
        if applies and gradient in totals and param_grads:
            totals[gradient][...] = before[gradient] + eval(formula, names)
        return dx

    layer.forward, layer.backward = forward_that_keeps_x_and_y, backward_by_formula
    layer.samples = "mixed"                    # the formulas are those of the whole batch
    return layer


def formulas(which):
    """All formulas of the table that are right, or all that are wrong, as (case, mode, gradient, formula)."""
    for key, text in FORMULAS.items():
        right, *wrong = (line.partition("#")[0].strip() for line in text.strip().splitlines())
        for formula in wrong if which == "wrong" else [right]:
            yield pytest.param(*key, formula, id=f"{key[0]} {key[1]}: {key[2]} = {formula}")


@pytest.mark.parametrize("case, mode, gradient, formula", list(formulas("right")))
def test_the_right_formula_passes(case, mode, gradient, formula):
    """So the wrong ones fail for what they say and not for how they are put in place."""
    layer, x = build(case)
    report = check(with_formula(layer, mode, gradient, formula), x, mode == "train")
    assert report.ok, str(report)


@pytest.mark.parametrize("case, mode, gradient, formula", list(formulas("wrong")))
def test_a_wrong_formula_is_caught(case, mode, gradient, formula):
    layer, x = build(case)
    assert gradient in wrong_rows(check(with_formula(layer, mode, gradient, formula), x, mode == "train"))


class Ones:
    """In place of a random generator: an upstream gradient of ones."""
    standard_normal = staticmethod(np.ones)
    permutation = staticmethod(np.arange)


def test_an_upstream_gradient_of_ones_does_not_see_that_a_term_is_missing():
    """The sum of BatchNorm's outputs is constant, whatever x is: only a random dy looks at the x_hat term."""
    layer, x = build("BatchNorm")
    broken = with_formula(layer, "train", "dx", "gamma * inv_std * (dy - dbeta / M)")
    assert check_layer(broken, x, rng=Ones()).ok
    assert wrong_rows(check_layer(broken, x)) == ["dx"]


def test_first_values_of_parameters_would_hide_a_missing_factor():
    """Why cases.py draws gamma at random: as long as gamma is 1, a dx without it is right."""
    layer, x = build("BatchNorm")
    broken = with_formula(layer, "train", "dx", "inv_std * (dy - dbeta / M - x_hat * dgamma / M)")
    layer.gamma[...] = 1
    assert check_layer(broken, x).ok


# --- mistakes that any layer can make ---

KINDS = ["Dense", "Conv2D, K4 S2 same 4x6", "ConvTranspose2D, K4 S2 same 4x6", "BatchNorm", "BatchNorm, images",
         "LeakyReLU", "ReLU", "Tanh", "Sigmoid", "Dropout", "Maxout", "Pack", "Flatten", "Reshape", "Sequential",
         "Sequential, nested", "PixelShuffle", "UpSample2D", "Crop", "FillIn", "Residual", "Parabola", "LayerNorm",
         "InstanceNorm", "InstanceNoise", "RandomFlip", "RandomRotate90", "RandomShift", "Brightness", "Cutout",
         "SpectralNorm", "SpectralNorm, ConvTranspose2D"]
PARAMETERS = [(kind, name) for kind in KINDS for name, _, _ in build(kind)[0].parameters()]


def in_backward(mistake):
    """mistake(good, layer, dy, cache, param_grads, input_grad) takes the place of layer.backward, which is `good`."""
    def breaks(layer):
        layer.backward = functools.partial(mistake, layer.backward, layer)
        return layer
    breaks.__name__ = mistake.__name__
    return breaks


@in_backward
def dx_divided_by_N(good, layer, dy, cache, param_grads=True, input_grad=True):
    dx = good(dy, cache, param_grads, input_grad)
    return dx / len(dy) if input_grad else None


@in_backward
def dx_of_zeros(good, layer, dy, cache, param_grads=True, input_grad=True):
    dx = good(dy, cache, param_grads, input_grad)
    return 0 * dx if input_grad else None


@in_backward
def one_entry_of_dx_wrong(good, layer, dy, cache, param_grads=True, input_grad=True):
    dx = good(dy, cache, param_grads, input_grad)
    if input_grad:
        dx = dx.copy()
        dx.flat[-1] += 1e-3
    return dx


@in_backward
def input_grad_ignored(good, layer, dy, cache, param_grads=True, input_grad=True):
    return good(dy, cache, param_grads, True)


@in_backward
def dy_overwritten(good, layer, dy, cache, param_grads=True, input_grad=True):
    dx = good(dy.copy(), cache, param_grads, input_grad)
    dy *= 0.5
    return dx


@in_backward
def gradients_assigned(good, layer, dy, cache, param_grads=True, input_grad=True):
    if param_grads:
        layer.zero_grad()
    return good(dy, cache, param_grads, input_grad)


@in_backward
def param_grads_ignored(good, layer, dy, cache, param_grads=True, input_grad=True):
    return good(dy, cache, True, input_grad)


@in_backward
def gradients_skipped_with_dx(good, layer, dy, cache, param_grads=True, input_grad=True):
    return good(dy, cache, param_grads and input_grad, input_grad)


def x_overwritten(layer):
    forward = layer.forward

    def broken(x, train=True):
        result = forward(x.copy(), train)
        x *= 0.5
        return result
    layer.forward = broken
    return layer


def cache_kept_on_the_layer(layer):
    forward, backward = layer.forward, layer.backward

    def broken(x, train=True):
        y, layer.kept = forward(x, train)
        return y, None
    layer.forward = broken
    layer.backward = lambda dy, cache, *flags, **named: backward(dy, layer.kept, *flags, **named)
    return layer


def cache_used_up(layer):
    """backward works inside the arrays of its cache: fine once, wrong the second time."""
    forward, backward = layer.forward, layer.backward

    def broken_forward(x, train=True):
        y, cache = forward(x, train)
        return y, [cache, 1.0]

    def broken_backward(dy, cache, *flags, **named):
        dx = backward(dy * cache[1], cache[0], *flags, **named)
        cache[1] += 1
        return dx
    layer.forward, layer.backward = broken_forward, broken_backward
    return layer


@pytest.mark.parametrize("mistake, row", [
    (dx_divided_by_N, "dx"), (dx_of_zeros, "dx"), (one_entry_of_dx_wrong, "dx"),
    (input_grad_ignored, "input_grad=False"), (cache_used_up, "second backward adds"),
    (dy_overwritten, "inputs unchanged"), (x_overwritten, "inputs unchanged"), (cache_kept_on_the_layer, "two passes"),
])
@pytest.mark.parametrize("kind", KINDS)
def test_a_mistake_that_any_layer_can_make_is_caught(kind, mistake, row):
    layer, x = build(kind)
    assert row in wrong_rows(check(mistake(layer), x, entries=x.size))


@pytest.mark.parametrize("mistake, row", [
    (gradients_assigned, "second backward adds"), (param_grads_ignored, "param_grads=False"),
    (gradients_skipped_with_dx, "input_grad=False")])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind in dict(PARAMETERS)])
def test_a_mistake_with_parameter_gradients_is_caught(kind, mistake, row):
    layer, x = build(kind)
    assert row in wrong_rows(check(mistake(layer), x))


@pytest.mark.parametrize("factor", [0, 1 / 3, -1, 1 + 1e-5], ids=["forgotten", "averaged", "negated", "digit 6"])
@pytest.mark.parametrize("kind, name", PARAMETERS)
def test_the_gradient_of_every_parameter_is_looked_at(kind, name, factor):
    """Among them the bias that one forgets. Nothing else than that gradient is reported."""
    @in_backward
    def mistake(good, layer, dy, cache, param_grads=True, input_grad=True):
        gradient = {name: gradient for name, _, gradient in layer.parameters()}[name]
        before = gradient.copy()
        dx = good(dy, cache, param_grads, input_grad)
        gradient[...] = before + factor * (gradient - before)
        return dx

    layer, x = build(kind)
    assert wrong_rows(check(mistake(layer), x)) == [f"d{name}"]


@pytest.mark.parametrize("case", ["BatchNorm", "BatchNorm, images", "Dropout", "RandomFlip", "RandomRotate90",
                                  "RandomShift", "Cutout"])
@pytest.mark.parametrize("mode", [True, False], ids=["always training", "always evaluation"])
def test_a_layer_that_goes_back_as_in_the_other_mode_is_caught(case, mode):
    """It ran forward in one mode and backward, from another pass over the same x, in the other."""
    layer, x = build(case)
    forward = layer.forward
    layer.forward = lambda x, train=True: (forward(x, train)[0], forward(x, mode)[1])
    assert "dx" in wrong_rows(check(layer, x, train=not mode))


# --- mistakes inside a convolution ---

def tap_missing_in_col2im(cols, shape, K, S, padding, good=convolution.col2im):
    taps = cols.reshape(-1, K * K, shape[3]).copy()
    taps[:, -1] = 0
    return good(taps.reshape(cols.shape), shape, K, S, padding)


def taps_transposed_in_col2im(cols, shape, K, S, padding, good=convolution.col2im):
    return good(cols.reshape(-1, K, K, shape[3]).transpose(0, 2, 1, 3).reshape(cols.shape), shape, K, S, padding)


def tap_missing_in_im2col(x, K, S, padding, good=convolution.im2col):
    cols = good(x, K, S, padding)
    cols[:, :x.shape[3]] = 0
    return cols


def overlaps_averaged_in_col2im(cols, shape, K, S, padding, good=convolution.col2im):
    """As x[...] = patch in place of x[...] += patch would be: right only where no patches overlap."""
    return good(cols, shape, K, S, padding) / np.maximum(1, good(np.ones_like(cols), shape, K, S, padding))


def stride_forgotten_in_conv_weight_grad(x, dy, K, S, padding):
    (N, H, W, C), (_, OH, OW, F) = x.shape, dy.shape
    cols = convolution.im2col(x, K, 1, "same").reshape(N, H, W, -1)[:, :OH, :OW]
    return (cols.reshape(N * OH * OW, -1).T @ dy.reshape(-1, F)).reshape(K, K, C, F)


@pytest.mark.parametrize("function, broken, row", [
    ("im2col", tap_missing_in_im2col, "dx"), ("col2im", tap_missing_in_col2im, "dx"),
    ("col2im", taps_transposed_in_col2im, "dx"), ("col2im", overlaps_averaged_in_col2im, "dx"),
    ("conv_weight_grad", stride_forgotten_in_conv_weight_grad, "dW"),
], ids=lambda value: getattr(value, "__name__", value))
@pytest.mark.parametrize("case", ["Conv2D, K4 S2 same 4x6", "ConvTranspose2D, K4 S2 same 4x6"])
def test_a_mistake_inside_a_convolution_is_caught(monkeypatch, case, function, broken, row):
    monkeypatch.setattr(convolution, function, broken)
    assert row in wrong_rows(check(*build(case)))


def test_every_kind_of_layer_is_among_the_mutants():
    assert {type(build(case)[0]) for case in CASES} == {type(build(case)[0]) for case in KINDS}
