"""Draw new samples from a saved run, and walk from one noise to another; the training data is not needed.

    python examples/sample.py runs/digits-mlp_gan-leastsquares/checkpoint.npz
"""
try:
    import sys

    from minigan.cli import terminal
    from minigan.cli.sample import main
except KeyboardInterrupt:                              # while that was loading
    raise SystemExit(130) from None

if __name__ == "__main__":
    terminal.prepare()
    sys.exit(main())
