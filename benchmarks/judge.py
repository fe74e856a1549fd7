"""Train the judge of MNIST that comes with minigan, and write minigan/metrics/judge.npz: about two minutes on two cores.

    MINIGAN_DATA=folder/of/mnist python benchmarks/judge.py

Three convolutions and two Dense layers learn the 60,000 images of the training set, each shifted by up to two pixels anew,
with a learning rate that falls to 0. What they are worth is measured on the 10,000 others, with the weights rounded to float16
as they are kept.
"""
import argparse
import json
from pathlib import Path

import numpy as np

from minigan import datasets, metrics, rng
from minigan.backend import asarray, host_rng
from minigan.layers import Conv2D, Dense, Dropout, Flatten, RandomShift, ReLU, Sequential
from minigan.layers.architecture import describe
from minigan.losses import softmax_cross_entropy
from minigan.optimizers import Adam
from minigan.training.batches import Batches

FILE, BATCH, LR = Path(metrics.__file__).with_name("judge.npz"), 128, 2e-3


def train(x, labels, epochs, seed):
    host, shift = host_rng(seed), RandomShift(2, rng([seed, 1]))
    network = Sequential(
        Conv2D(1, 16, 5, stride=2, rng=host), ReLU(),                          # 14
        Conv2D(16, 32, 5, stride=2, rng=host), ReLU(),                         # 7
        Conv2D(32, 32, 3, stride=2, rng=host), ReLU(), Flatten(),              # 4
        Dense(4 * 4 * 32, 64, rng=host), ReLU(), Dropout(0.3, rng=rng([seed, 2])), Dense(64, 10, rng=host), name="judge")
    optimizer = Adam(LR, beta1=0.9)
    optimizer.bind(network)
    batches = Batches(len(x), BATCH, seed)
    steps = epochs * (len(x) // BATCH)
    for step in range(steps):
        optimizer.lr = LR * (1 - step / steps)
        batch = batches[step]
        seen, _ = shift.forward(asarray(x[batch]))
        logits, cache = network.forward(seen)
        _, dlogits = softmax_cross_entropy(logits, asarray(labels[batch]))
        network.zero_grad()
        network.backward(dlogits, cache, input_grad=False)
        optimizer.step()
    return network


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FILE)
    args = parser.parse_args()
    network = train(*datasets.mnist("train"), args.epochs, args.seed)
    theta = network.theta.astype(np.float16)
    network.theta[...] = theta
    judge = metrics.Judge(network, *datasets.mnist("test"))
    np.savez(args.out, description=np.array(json.dumps(describe(network))), theta=theta)
    print(f"{network.size:,} parameters; of the 10,000 others {judge.accuracy:.2%} right, "
          f"{judge.verdict(judge.held_out).confident:.2%} with p > 0.9; {args.out}: {args.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
