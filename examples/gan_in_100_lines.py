"""A GAN in a hundred lines of NumPy: no framework, no minigan, every gradient in sight.

    python gan_in_100_lines.py          about half a minute; leaves gan_in_100_lines.png

The data are points of the plane, in eight clusters on a ring. The generator G never sees them. It turns noise into points,
the fakes. The discriminator D sees real points and fakes, and gives each a number, the logit: above 0 if it takes the point
for real. G learns from D alone: the gradient of G's loss at a fake, which D's backward pass gives, points to where D would
take it for less real, and against it lies the way to go.

A d before a name means the derivative of the loss: dy is ∂loss/∂y, and has the shape of y. Rows are samples.
"""
import matplotlib
import numpy as np

matplotlib.use("Agg")                                           # draws into a file, and needs no window
import matplotlib.pyplot as plt  # noqa: E402

N, LATENT, STEPS, LR = 128, 2, 4000, 1e-3                       # samples in a batch, numbers of noise for each
MOMENTS = (0, 100, 400, STEPS)                                  # of which steps the picture shows the game


def ring(rng, n):
    """n real points: eight clusters on a circle of radius 2."""
    angle = rng.integers(8, size=n) * np.pi / 4
    return 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.1 * rng.standard_normal((n, 2))


# --- a network: layers y = x W + b, with a LeakyReLU of slope 0.2 between them ---

def network(rng, *sizes):
    return [[rng.standard_normal((i, o)) * np.sqrt(2 / i), np.zeros(o)] for i, o in zip(sizes, sizes[1:])]


def forward(layers, x):
    """The output, and what backward needs: the input of every layer."""
    inputs = []
    for W, b in layers:
        if inputs:
            x = np.maximum(x, 0.2 * x)                          # LeakyReLU: x where x > 0, else 0.2 x
        inputs.append(x)
        x = x @ W + b
    return x, inputs


def backward(layers, dy, inputs):
    """The chain rule, from the last layer to the first: the gradients of all W and b, and that of the network's input."""
    gradients = []
    for (W, _), x in zip(reversed(layers), reversed(inputs)):
        gradients.insert(0, [x.T @ dy, dy.sum(axis=0)])         # y = x W + b:  dW = xᵀ dy,  db = Σ dy
        dy = dy @ W.T                                           #               dx = dy Wᵀ
        if x is not inputs[0]:
            dy = dy * np.where(x > 0, 1, 0.2)                   # LeakyReLU keeps the sign: slope 1 where x > 0, else 0.2
    return gradients, dy


class Adam:
    """Steps of about lr for every parameter: the mean of its gradient over the root of the mean of its square, so that
    its size cancels (Kingma & Ba 2015, algorithm 1)."""

    def __init__(self, layers, beta1=0.5, beta2=0.999):
        self.layers, self.beta1, self.beta2, self.t = layers, beta1, beta2, 0
        self.m = [[np.zeros_like(p) for p in layer] for layer in layers]        # running mean of the gradient
        self.v = [[np.zeros_like(p) for p in layer] for layer in layers]        # running mean of its square

    def step(self, gradients, lr):
        self.t += 1
        for layer, ms, vs, ds in zip(self.layers, self.m, self.v, gradients):
            for p, m, v, d in zip(layer, ms, vs, ds):
                m += (1 - self.beta1) * (d - m)
                v += (1 - self.beta2) * (d * d - v)
                m_hat, v_hat = m / (1 - self.beta1 ** self.t), v / (1 - self.beta2 ** self.t)      # m, v began at 0
                p -= lr * m_hat / (np.sqrt(v_hat) + 1e-8)


# --- the game ---

def softplus(x):
    return np.logaddexp(0, x)                                   # log(1 + eˣ)


def sigmoid(x):
    return np.exp(-softplus(-x))                                # 1/(1 + e⁻ˣ): the probability that a logit stands for


def train_step(G, D, adam_G, adam_D, real, z, lr):
    """One step of D, then one of G. Returns both losses."""
    fake, inputs_G = forward(G, z)

    # D: -log σ(a) = softplus(-a) for the logits a of real points, -log(1 - σ(b)) = softplus(b) for the logits b of fakes. The
    # derivative of softplus is σ: so they are -σ(-a) and σ(b), and each sample has the len-th part of a mean.
    a, inputs_a = forward(D, real)
    b, inputs_b = forward(D, fake)
    loss_D = softplus(-a).mean() + softplus(b).mean()
    from_real, _ = backward(D, -sigmoid(-a) / len(a), inputs_a)
    from_fake, _ = backward(D, sigmoid(b) / len(b), inputs_b)
    adam_D.step([[d + e for d, e in zip(ds, es)] for ds, es in zip(from_real, from_fake)], lr)         # loss_D is a sum

    # G: -log σ(b) for the fakes, under the D that has just moved. It is called non-saturating: where D is sure, b << 0, its
    # slope is -1, while that of log(1 - σ(b)), D's own loss with the sign turned, is nearly 0. The gradient goes back through
    # D, which stays as it is, to the fakes, and there it is the upstream gradient of G.
    b, inputs_b = forward(D, fake)
    loss_G = softplus(-b).mean()
    _, dfake = backward(D, -sigmoid(-b) / len(b), inputs_b)
    gradients, _ = backward(G, dfake, inputs_G)
    adam_G.step(gradients, lr)
    return loss_D, loss_G


def draw(ax, D, real, fake, step):
    """D's probability as colour, real points, fakes, and where each fake is sent: against the gradient of its own loss."""
    axis = np.linspace(-3.2, 3.2, 80)
    plane = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    ax.contourf(axis, axis, sigmoid(forward(D, plane)[0]).reshape(80, 80), np.linspace(0, 1, 21), cmap="RdBu", alpha=0.6)
    b, inputs = forward(D, fake)
    arrow = -backward(D, -sigmoid(-b), inputs)[1]
    arrow /= 1 + np.abs(arrow)                                  # long ones are drawn shorter
    ax.scatter(*real.T, s=4, c="#1b7837")
    ax.quiver(*fake.T, *arrow.T, angles="xy", scale=12, width=0.004)
    ax.scatter(*fake.T, s=6, c="black")
    ax.set(title=f"step {step}", xticks=[], yticks=[], xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), aspect="equal")


def main(steps=STEPS):
    rng = np.random.default_rng(0)
    G, D = network(rng, LATENT, 64, 64, 2), network(rng, 2, 64, 64, 1)
    adam_G, adam_D = Adam(G), Adam(D)
    figure, panels = plt.subplots(1, 4, figsize=(14, 3.8), layout="constrained")
    shown, z_shown = ring(rng, 200), rng.standard_normal((100, LATENT))
    for step in range(steps + 1):
        if step in MOMENTS:
            draw(panels[MOMENTS.index(step)], D, shown, forward(G, z_shown)[0], step)
        lr = LR * min(1, 2 - 2 * step / steps)                  # it falls in the second half, so that both come to rest
        losses = train_step(G, D, adam_G, adam_D, ring(rng, N), rng.standard_normal((N, LATENT)), lr)
        if step % 500 == 0:
            print("step {:5d}   loss_D {:.3f}   loss_G {:.3f}".format(step, *losses))
    figure.savefig("gan_in_100_lines.png", dpi=90)
    print("wrote gan_in_100_lines.png: blue is what D takes for real, red for fake; real points green, fakes black")


if __name__ == "__main__":
    main()
