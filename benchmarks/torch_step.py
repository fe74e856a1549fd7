"""The four image models and their training step in eager PyTorch, as its users write them: channels first, two Adams."""
import torch
from torch import nn
from torch.nn import functional as F


class Reshape(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.reshape(len(x), *self.shape)


def up(C, F, K, S, bias=True):
    """ConvTranspose2d whose output is S times as large."""
    return nn.ConvTranspose2d(C, F, K, S, padding=(K - 1) // 2, output_padding=(K % 2) * (S - 1), bias=bias)


def down(C, F, K):
    return nn.Conv2d(C, F, K, 2, padding=(K - 1) // 2)


def mlp_gan():
    def relu_layers(*sizes):
        return [layer for a, b in zip(sizes, sizes[1:]) for layer in (nn.Linear(a, b), nn.ReLU())]
    G = nn.Sequential(*relu_layers(100, 256, 512, 1024), nn.Linear(1024, 784), nn.Tanh(), Reshape(1, 28, 28))
    return G, nn.Sequential(nn.Flatten(), *relu_layers(784, 1024, 512, 256), nn.Linear(256, 1))


def dcgan_28():
    G = nn.Sequential(
        nn.Linear(100, 12544, bias=False), nn.BatchNorm1d(12544), nn.LeakyReLU(0.3), Reshape(256, 7, 7),
        up(256, 128, 5, 1, False), nn.BatchNorm2d(128), nn.LeakyReLU(0.3),
        up(128, 64, 5, 2, False), nn.BatchNorm2d(64), nn.LeakyReLU(0.3), up(64, 1, 5, 2, False), nn.Tanh())
    D = nn.Sequential(down(1, 64, 5), nn.LeakyReLU(0.3), nn.Dropout(0.3), down(64, 128, 5), nn.LeakyReLU(0.3),
                      nn.Dropout(0.3), nn.Flatten(), nn.Linear(6272, 1))
    return G, D


def dcgan_64():
    G = nn.Sequential(
        nn.Linear(100, 8192), nn.BatchNorm1d(8192), nn.LeakyReLU(0.2), Reshape(128, 8, 8),
        up(128, 128, 4, 2), nn.BatchNorm2d(128), nn.LeakyReLU(0.2), up(128, 64, 4, 2), nn.BatchNorm2d(64),
        nn.LeakyReLU(0.2), up(64, 3, 4, 2), nn.Tanh())
    D = nn.Sequential(down(3, 128, 4), nn.LeakyReLU(0.2), down(128, 128, 4), nn.LeakyReLU(0.2), nn.Flatten(),
                      nn.Linear(32768, 1))
    return G, D


def dcgan_64_stem():
    stem = []
    for a, b in ((100, 128), (128, 128), (128, 1024), (1024, 1024)):
        stem += [nn.Linear(a, b), nn.LeakyReLU(0.2), nn.BatchNorm1d(b)]
    G = nn.Sequential(
        *stem, nn.Linear(1024, 4096), nn.ReLU(), Reshape(256, 4, 4),
        up(256, 128, 4, 2), nn.BatchNorm2d(128), nn.LeakyReLU(0.2), up(128, 128, 4, 2), nn.BatchNorm2d(128),
        nn.LeakyReLU(0.2), up(128, 64, 4, 2), nn.BatchNorm2d(64), nn.LeakyReLU(0.2), up(64, 3, 4, 2), nn.Tanh())
    D = nn.Sequential(down(3, 64, 4), nn.LeakyReLU(0.2), down(64, 128, 4), nn.LeakyReLU(0.2), down(128, 128, 4),
                      nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(8192, 1))
    return G, D


def make_step(model, batch, update, threads, device="cpu", mode="eager", layout=torch.contiguous_format):
    """A function of no arguments that does one training step, with the non-saturating loss; it returns (loss_D, loss_G).

    layout  of images and kernels in memory: PyTorch's default, channel by channel, or torch.channels_last
    mode    "eager";  "graph": the eager step, recorded whole as one CUDA graph;  "compiled": both networks by torch.compile,
            which makes CUDA graphs of their passes (the alternating order only)
    """
    torch.set_num_threads(threads)
    G, D = {"mlp_gan": mlp_gan, "dcgan_28": dcgan_28, "dcgan_64": dcgan_64, "dcgan_64_stem": dcgan_64_stem}[model]()
    G, D = (network.to(device, memory_format=layout) for network in (G, D))
    adam_G, adam_D = (torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999), capturable=mode == "graph")
                      for network in (G, D))
    real = G(torch.randn(batch, 100, device=device)).detach()
    if real.ndim == 4:
        real = real.contiguous(memory_format=layout)
    ones, zeros = torch.ones(batch, 1, device=device), torch.zeros(batch, 1, device=device)
    loss = F.binary_cross_entropy_with_logits
    if mode == "compiled":
        G, D = torch.compile(G, mode="reduce-overhead"), torch.compile(D, mode="reduce-overhead")

    def alternating():
        if mode == "compiled":
            torch.compiler.cudagraph_mark_step_begin()
        fake = G(torch.randn(batch, 100, device=device))
        adam_D.zero_grad()
        loss_D = loss(D(real), ones) + loss(D(fake.detach()), zeros)
        loss_D.backward()
        adam_D.step()
        adam_G.zero_grad()
        loss_G = loss(D(fake), ones)
        loss_G.backward()
        adam_G.step()
        return loss_D, loss_G

    def simultaneous():
        fake = G(torch.randn(batch, 100, device=device))
        logits = D(fake)
        loss_D, loss_G = loss(D(real), ones) + loss(logits, zeros), loss(logits, ones)
        gradients_G = torch.autograd.grad(loss_G, list(G.parameters()), retain_graph=True)
        gradients_D = torch.autograd.grad(loss_D, list(D.parameters()))
        for network, gradients in ((G, gradients_G), (D, gradients_D)):
            for parameter, gradient in zip(network.parameters(), gradients):
                parameter.grad = gradient
        adam_D.step()
        adam_G.step()
        return loss_D, loss_G

    step = alternating if update == "alternating" else simultaneous
    return in_a_graph(step) if mode == "graph" else step


def in_a_graph(step):
    """PyTorch's recipe: some steps on another stream, then one that is recorded (docs, "CUDA semantics", CUDA graphs)."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        losses = step()

    def replay():
        graph.replay()
        return losses

    return replay


def describe():
    return f"PyTorch {torch.__version__}, eager, {torch.get_num_threads()} threads"
