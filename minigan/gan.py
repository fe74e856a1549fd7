"""GAN: two networks, a loss, an optimizer for each, and one training step: Algorithm 1 of Goodfellow et al. 2014, with one D
step per G step, and the same fakes for both.

The two gradients of a step, by the chain rule, from the loss back to the parameters:

    D step    loss_D -> dlogits -> through D, into D.dtheta              real and fake are data here
    G step    loss_G -> dlogits -> through D, which is only passed       -> dfake -> through G, into G.dtheta

Each direction needs a part of D only, and asks for that part only: the D step needs no gradient with respect to the images
(input_grad=False), the G step none with respect to D's parameters (param_grads=False).
"""
import numpy as np

from minigan import backend
from minigan.layers import Dense


class GAN:
    """A generator G, a discriminator D and their game.

    G, D             networks (Sequential); G takes noise (N, latent_dim), D gives one logit a sample, (N, 1)
    loss             of minigan.losses
    optimizer_G, _D  of minigan.optimizers, one for each network; the GAN binds them
    update           "alternating": D first, then G against the new D (Algorithm 1; the default)
                     "simultaneous": both gradients from one forward pass, against the same D (TensorFlow's tutorial)
    latent_dim       the length of z; found by itself where G begins with a Dense layer

    D sees real and fake images in two passes, so a BatchNorm in D normalises each by its own statistics.
    """

    def __init__(self, G, D, loss, optimizer_G, optimizer_D, update="alternating", latent_dim=None):
        if update not in ("alternating", "simultaneous"):
            raise ValueError(f'GAN: update must be "alternating" or "simultaneous", got {update!r}')
        if G is D or optimizer_G is optimizer_D:
            raise ValueError("GAN: G and D are two networks, and each needs an optimizer of its own; got the same one twice")
        if isinstance(loss, (type, str)) or not hasattr(loss, "discriminator"):
            raise TypeError(f"GAN: loss must be an object such as minigan.losses.NonSaturating(), got {loss!r}")
        if latent_dim is None:
            if not isinstance(G[0], Dense):
                raise ValueError(f"GAN: pass latent_dim, the length of z; it shows only where G begins with a Dense layer, "
                                 f"not with {G[0]}")
            latent_dim = G[0].I
        for optimizer in (optimizer_G, optimizer_D):
            optimizer.check_free()
        self.G, self.D, self.loss, self.update, self.latent_dim = G, D, loss, update, latent_dim
        self.optimizer_G, self.optimizer_D = optimizer_G, optimizer_D
        optimizer_G.bind(G)
        optimizer_D.bind(D)
        G.rename("G")
        D.rename("D")

    def train_step(self, real, z):
        """One step of D and one of G, on a batch of real images and one of noise; returns (loss_D, loss_G), on the device.

        D's opinion of the batch before the step stays in `scores`: (mean D(x), mean D(G(z))).
        """
        G, D, loss = self.G, self.D, self.loss
        fake, cache_G = G.forward(z)
        if isinstance(real, backend.xp.ndarray) and (real.shape[1:] != fake.shape[1:] or real.dtype != fake.dtype):
            raise ValueError(f"GAN: real samples are {real.shape[1:]} {real.dtype}, but G makes {fake.shape[1:]} {fake.dtype}")
        logits_real, cache_real = D.forward(real)
        logits_fake, cache_fake = D.forward(fake)
        self.scores = loss.score(logits_real).mean(), loss.score(logits_fake).mean()

        loss_D, dlogits_real, dlogits_fake = loss.discriminator(logits_real, logits_fake)
        D.zero_grad()
        D.backward(dlogits_real, cache_real, input_grad=False)
        D.backward(dlogits_fake, cache_fake, input_grad=False)
        if self.update == "alternating":
            self.optimizer_D.step()
            logits_fake, cache_fake = self._look_again(fake)

        loss_G, dlogits_fake = loss.generator(logits_fake)
        dfake = D.backward(dlogits_fake, cache_fake, param_grads=False)
        G.zero_grad()
        G.backward(dfake, cache_G, input_grad=False)
        if self.update == "simultaneous":
            self.optimizer_D.step()             # only now: the backward pass above still needed the old D
        self.optimizer_G.step()
        return loss_D, loss_G

    def _look_again(self, fake):
        """The forward pass of the new D over the fakes, which leaves D's running statistics as the D step made them."""
        saved = [(value, value.copy()) for _, value in self.D.states()]
        logits, cache = self.D.forward(fake)
        for value, before in saved:
            value[...] = before
        return logits, cache

    def sample(self, n, seed):
        """n images that G, in evaluation mode, makes of the noise of this seed; in portions, to save memory."""
        if not isinstance(n, (int, np.integer)) or n < 1:
            raise ValueError(f"GAN.sample: n must be a whole number of at least 1, got {n!r}")
        z = self.noise(n, backend.rng(seed))
        return backend.xp.concatenate([self.G(z[i:i + 256]) for i in range(0, n, 256)])

    def noise(self, n, rng):
        """z ~ N(0, 1), (n, latent_dim), from a device generator."""
        return rng.standard_normal((n, self.latent_dim), dtype=self.G.theta.dtype)
