"""Draw new samples from a saved run, and walk from one noise to another; the training data is not needed."""
from pathlib import Path

import numpy as np

from minigan import plots, training
from minigan.backend import asarray, device, host_rng, use
from minigan.cli import terminal
from minigan.files import make_folder
from minigan.sampler import append_labels
from minigan.training.finite import finite


def walk(start, end, steps):
    """Noises from start to end, (steps, latent_dim), along the great circle between them.

    Gaussian noise of many dimensions has a length of about √latent_dim, always. The middle of a straight line would be shorter
    by a factor of about 0.7, and G has never seen such noise in training. Source: White 2016, arXiv:1609.04468
    """
    t = np.linspace(0, 1, steps)[:, None]
    cosine = start @ end / (np.linalg.norm(start) * np.linalg.norm(end))
    angle = np.arccos(np.clip(cosine, -1, 1))
    return ((np.sin((1 - t) * angle) * start + np.sin(t * angle) * end) / np.sin(angle)).astype(start.dtype)


def parse_arguments(argv, program):
    parser = terminal.Parser(program, description=terminal.summary(__doc__))
    parser.add_argument("checkpoint", type=Path, help="the checkpoint.npz that train_gan.py left")
    parser.add_argument("--count", type=int, default=100, help="how many samples (default: 100)")
    parser.add_argument("--seed", type=int, default=1, help="of the noise (default: 1)")
    parser.add_argument("--device", help="cpu, cuda or cuda:N")
    parser.add_argument("--out", type=Path, help="folder of the pictures (default: that of the checkpoint)")
    return parser.parse_args(argv)


def draw(args):
    if args.count < 1 or args.seed < 0:
        raise ValueError(f"--count must be at least 1 and --seed at least 0, got {args.count} and {args.seed}")
    use(args.device or device())
    trained = training.load(args.checkpoint)
    G, classes, latent_dim = trained.G_average or trained.G, trained.classes, trained.latent_dim
    if latent_dim is None:
        raise ValueError(f"{args.checkpoint} holds no GAN, which makes images of noise, but {', '.join(trained.networks)}")
    if not finite(G.theta):
        raise training.checkpoint.CheckpointError(f"{args.checkpoint}: the parameters of its G are not finite")

    rng = host_rng(args.seed)                       # on the host: the same noise on every device
    ends = rng.standard_normal((9, latent_dim), dtype="float32")
    walks = np.concatenate([walk(start, end, 10) for start, end in zip(ends[:-1], ends[1:])])
    out = args.out or args.checkpoint.parent
    make_folder(out)
    for name, z, columns in (("new_samples.png", rng.standard_normal((args.count, latent_dim), dtype="float32"), None),
                             ("interpolation.png", walks, 10)):
        z = asarray(z)
        if classes:                                    # in turn, a column for each; a walk goes through one class
            labels = np.arange(len(z)) % classes if columns is None else np.arange(len(z)) // columns % classes
            z = append_labels(z, asarray(labels), classes)
        x = G(z)
        if x.ndim == 4:
            times = max(1, 8 // classes) if classes else 0             # few classes get several columns each
            names = trained.extra.get("names", []) if isinstance(trained.extra, dict) and columns is None else []
            plots.save_grid(out / name, x, columns or times * classes or None, names=times * names)
        else:
            plots.save_points(out / name, None, x)
        print(f"written: {out / name}")


def main(argv=None, program="sample.py"):
    return terminal.run(program, lambda: draw(parse_arguments(argv, program)))
