"""Numbers that say how good samples are. The losses of a GAN do not: they only measure what D believes of G."""
