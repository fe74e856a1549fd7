"""Train any of minigan's GANs on any data; with no arguments, a conditional DCGAN on MNIST, in two minutes on two cores.

    python examples/train_gan.py
    python examples/train_gan.py --data path/to/folder --size 40x56
    python examples/train_gan.py --data ring --loss wasserstein --penalty wgan-gp --penalty-weight 0.1 --n-critic 5
    python examples/train_gan.py --data digits --seeds 5
    python examples/train_gan.py --resume --out runs/mine --steps 20000
"""
try:
    import sys

    from minigan.cli import terminal
    from minigan.cli.train import main
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None

if __name__ == "__main__":
    terminal.prepare()
    sys.exit(main())
