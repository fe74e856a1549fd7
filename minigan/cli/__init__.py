"""The command line: options -> data and GAN -> a run and its report."""
