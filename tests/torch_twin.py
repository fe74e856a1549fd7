"""The second oracle: any minigan network as a function of torch tensors, with the same weights, gradients by autograd.

Nothing here uses minigan's code beyond reading weights and settings. Images are (N, H, W, C) outside, as in minigan,
and (N, C, H, W) inside, as torch wants them; everything is float64.
"""
import pytest

from minigan import layers
from minigan.backend import to_numpy

torch = pytest.importorskip("torch", reason="PyTorch, the second oracle, is not installed")
F = torch.nn.functional
torch.set_num_threads(2)


def tensor(array):
    return torch.tensor(to_numpy(array), dtype=torch.float64)


class Twin:
    """Twin(network)(x, train): the network in torch.

    parameters  name -> leaf tensor, in the order of network.theta
    states      name -> tensor, running statistics in Keras' convention
    masks       path of a Dropout layer -> list of the masks that it uses, one a call
    """

    def __init__(self, network):
        self.layers = {str(i): layer for i, layer in enumerate(network.layers)}
        self.parameters = {name: tensor(value).requires_grad_() for name, value, _ in network.parameters()}
        self.states = {name: tensor(value) for name, value in network.states()}
        self.masks = {path: [] for path, layer in self.layers.items() if isinstance(layer, layers.Dropout)}

    def __call__(self, x, train=True):
        for path, layer in self.layers.items():
            x = FORWARD[type(layer)](self, layer, path + ".", x, train)
        return x

    @property
    def theta(self):
        return torch.cat([value.detach().ravel() for value in self.parameters.values()]).numpy()

    def gradient(self, value, keep_graph=False):
        """d value / d theta by autograd, into the .grad of the parameters, where torch.optim looks."""
        leaves = list(self.parameters.values())
        for leaf, gradient in zip(leaves, torch.autograd.grad(value, leaves, retain_graph=keep_graph)):
            leaf.grad = gradient


def dense(twin, layer, path, x, train):
    return F.linear(x, twin.parameters[path + "W"].T, twin.parameters.get(path + "b"))


def kernel(W):
    """W (K, K, C, F) of a convolution -> (F, C, K, K); just so (K, K, F, C) of a transposed one -> (C, F, K, K)."""
    return W.permute(3, 2, 0, 1).contiguous()


def to_torch(x):
    return x.permute(0, 3, 1, 2)


def from_torch(x):
    return x.permute(0, 2, 3, 1)


def same(size, K, S):
    """TensorFlow's padding (before, after) along an axis of `size` pixels."""
    outputs = (size + S - 1) // S
    total = max((outputs - 1) * S + K - size, 0)
    return total // 2, total - total // 2


def edges(layer, sizes):
    """[(before, after)] along both axes of the convolution's input, which is the transposed convolution's output."""
    if layer.padding == "same":
        return [same(size, layer.kernel_size, layer.stride) for size in sizes]
    pad = 0 if layer.padding == "valid" else layer.padding
    return [(pad, pad)] * 2


def conv2d(twin, layer, path, x, train):
    (top, bottom), (left, right) = edges(layer, x.shape[1:3])
    W, b = kernel(twin.parameters[path + "W"]), twin.parameters.get(path + "b")
    return from_torch(F.conv2d(F.pad(to_torch(x), (left, right, top, bottom)), W, b, layer.stride))


def conv_transpose2d(twin, layer, path, x, train):
    whole = F.conv_transpose2d(to_torch(x), kernel(twin.parameters[path + "W"]), stride=layer.stride)
    (top, bottom), (left, right) = edges(layer, [size * layer.stride for size in x.shape[1:3]])
    missing = max(layer.stride - layer.kernel_size, 0) if layer.padding == "same" else 0    # beyond the last kernel
    y = from_torch(F.pad(whole, (-left, missing - right, -top, missing - bottom)))
    return y + twin.parameters[path + "b"] if layer.bias else y


def batch_norm(twin, layer, path, x, train):
    gamma, beta = twin.parameters[path + "gamma"], twin.parameters[path + "beta"]
    mean, var = twin.states[path + "running_mean"], twin.states[path + "running_var"]
    y = F.batch_norm(x.movedim(-1, 1), mean.clone(), var.clone(), gamma, beta, train, eps=layer.eps).movedim(1, -1)
    if train:                               # torch would keep the unbiased variance; Keras keeps the biased one
        rows = x.detach().reshape(-1, layer.C)
        weight = layer.momentum * twin.states[path + "running_weight"] + (1 - layer.momentum)
        twin.states[path + "running_mean"] = mean + (1 - layer.momentum) / weight * (rows.mean(0) - mean)
        twin.states[path + "running_var"] = var + (1 - layer.momentum) / weight * (rows.var(0, correction=0) - var)
        twin.states[path + "running_weight"] = weight
    return y


def sample_norm(axes):
    def forward(twin, layer, path, x, train):
        over = [axis for axis in axes if axis < x.ndim]
        x_hat = (x - x.mean(over, keepdim=True)) / (x.var(over, correction=0, keepdim=True) + layer.eps).sqrt()
        return twin.parameters[path + "gamma"] * x_hat + twin.parameters[path + "beta"]
    return forward


def dropout(twin, layer, path, x, train):
    return x * twin.masks[path[:-1]].pop(0) if train and layer.rate > 0 else x


def maxout(twin, layer, path, x, train):
    pieces = F.linear(x, twin.parameters[path + "W"].T, twin.parameters[path + "b"]).unflatten(1, (layer.pieces, layer.O))
    return pieces.max(1).values


def pack(twin, layer, path, x, train):
    """Sample i of each group, beside the others of its group."""
    return torch.cat([x[i::layer.m] for i in range(layer.m)], dim=-1)


def pixel_shuffle(twin, layer, path, x, train):
    N, H, W, C = x.shape
    channels = x.reshape(N, H, W, layer.r ** 2, -1).permute(0, 4, 3, 1, 2)             # torch has the channel first: c, i, j
    return from_torch(F.pixel_shuffle(channels.reshape(N, C, H, W), layer.r))


def up_sample(twin, layer, path, x, train):
    return from_torch(F.interpolate(to_torch(x), scale_factor=layer.factor, mode="nearest"))


def crop(twin, layer, path, x, train):
    (top, left), (H, W) = [(x.shape[i] - size) // 2 for i, size in ((1, layer.H), (2, layer.W))], (layer.H, layer.W)
    return x.narrow(1, top, H).narrow(2, left, W)


def residual(twin, layer, path, x, train):
    y = x
    for i, part in enumerate(layer.body.layers):
        y = FORWARD[type(part)](twin, part, f"{path}body.{i}.", y, train)
    return x + y


def activation(f):
    return lambda twin, layer, path, x, train: f(x)


FORWARD = {
    layers.Dense: dense, layers.Conv2D: conv2d, layers.ConvTranspose2D: conv_transpose2d,
    layers.BatchNorm: batch_norm, layers.Dropout: dropout, layers.Maxout: maxout, layers.Pack: pack,
    layers.LayerNorm: sample_norm([1, 2, 3]), layers.InstanceNorm: sample_norm([1, 2]),
    layers.LeakyReLU: lambda twin, layer, path, x, train: F.leaky_relu(x, layer.alpha),
    layers.ReLU: activation(torch.relu), layers.Tanh: activation(torch.tanh), layers.Sigmoid: activation(torch.sigmoid),
    layers.PixelShuffle: pixel_shuffle, layers.UpSample2D: up_sample, layers.Crop: crop, layers.Residual: residual,
    layers.Flatten: lambda twin, layer, path, x, train: x.flatten(1),
    layers.Reshape: lambda twin, layer, path, x, train: x.reshape(-1, *layer.shape),
}


def record_masks(network, twin):
    """From now on hand every mask that a Dropout of the network draws over to the twin."""
    def handing_over(layer, masks):
        forward = layer.forward

        def recorded(x, train=True):
            y, mask = forward(x, train)
            if mask is not None:
                masks.append(tensor(mask))
            return y, mask
        return recorded

    for path, masks in twin.masks.items():
        layer = twin.layers[path]
        layer.forward = handing_over(layer, masks)


# --- losses: (loss of D, loss of G), with torch's own functions ---

def bce(logits, target):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def half_mse(logits, target):
    return F.mse_loss(logits, torch.full_like(logits, target)) / 2


LOSSES = {
    "Minimax": (lambda a, b: bce(a, 1) + bce(b, 0), lambda b: -bce(b, 0)),
    "NonSaturating": (lambda a, b: bce(a, 1) + bce(b, 0), lambda b: bce(b, 1)),
    "LeastSquares": (lambda a, b: half_mse(a, 1) + half_mse(b, 0), lambda b: half_mse(b, 1)),
    "Wasserstein": (lambda a, b: b.mean() - a.mean(), lambda b: -b.mean()),
    "Hinge": (lambda a, b: F.relu(1 - a).mean() + F.relu(1 + b).mean(), lambda b: -b.mean()),
}


def torch_optimizer(parameters, optimizer):
    """The optimizer of torch with the settings of this one of minigan."""
    if type(optimizer).__name__ == "SGD":
        return torch.optim.SGD(parameters, optimizer.lr, momentum=optimizer.momentum)
    return torch.optim.Adam(parameters, optimizer.lr, (optimizer.beta1, optimizer.beta2), optimizer.eps)


class TwinGAN:
    """The whole training step in torch: autograd, torch.optim, and both update orders."""

    def __init__(self, gan):
        self.G, self.D, self.update = Twin(gan.G), Twin(gan.D), gan.update
        self.loss_D, self.loss_G = LOSSES[repr(gan.loss)]
        self.optimizer_G = torch_optimizer(self.G.parameters.values(), gan.optimizer_G)
        self.optimizer_D = torch_optimizer(self.D.parameters.values(), gan.optimizer_D)
        for network, twin in ((gan.G, self.G), (gan.D, self.D)):
            record_masks(network, twin)

    def train_step(self, real, z):
        real, z = tensor(real), tensor(z)
        fake = self.G(z)
        logits_real, logits_fake = self.D(real), self.D(fake)
        loss_D = self.loss_D(logits_real, logits_fake)
        self.D.gradient(loss_D, keep_graph=True)
        if self.update == "alternating":
            self.optimizer_D.step()
            states = dict(self.D.states)
            logits_fake = self.D(fake)
            self.D.states = states
        loss_G = self.loss_G(logits_fake)
        self.G.gradient(loss_G)
        if self.update == "simultaneous":
            self.optimizer_D.step()
        self.optimizer_G.step()
        return loss_D.item(), loss_G.item()
