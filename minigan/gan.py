"""GAN: two networks, a loss, an optimizer for each, and one training step: Algorithm 1 of Goodfellow et al. 2014, with one D
step per G step (more by discriminator_step), and the same fakes for both.

The two gradients of a step, by the chain rule, from the loss back to the parameters:

    D step    loss_D -> dlogits -> through D, into D.dtheta              real and fake are data here
    G step    loss_G -> dlogits -> through D, which is only passed       -> dfake -> through G, into G.dtheta

Each direction needs a part of D's backward pass only. The D step needs no gradient with respect to the images
(input_grad=False), the G step none with respect to D's parameters (param_grads=False).

In the simultaneous order one backward pass of D over the fakes could serve both networks. If D treats each sample by itself,
what reaches fake n is proportional to its dlogit: G's gradient is that of D's loss times dlogit_G / dlogit_D. But that ratio
overflows once D is sure (cross-entropy), and does not exist at a dlogit of 0 (least squares, hinge). So there are two passes.

Many tricks that keep a GAN stable are layers in front of D: noise and augmentation, for real and fake alike (`preprocess_D`).
The gradient passes back through them as through any layer. A conditional GAN appends the label to what both networks get.
"""
import copy

from minigan import arguments
from minigan.backend import Array
from minigan.layers import Sequential
from minigan.layers.statistics import mean
from minigan.sampler import Sampler


class GAN(Sampler):
    """A generator G, a discriminator D and their game.

    G, D             networks (Sequential); G takes noise (N, latent_dim), D gives one logit per sample, (N, 1)
    loss             of minigan.losses
    optimizer_G, _D  of minigan.optimizers, one for each network; the GAN binds them
    update           "alternating": D first, then G against the new D (Algorithm 1; the default)
                     "simultaneous": both gradients from one forward pass, against the same D (TensorFlow's tutorial)
    latent_dim       the length of z; known without it if G begins with a Dense layer
    classes          of a conditional GAN: G takes (N, latent_dim + classes), D takes (N, ..., C + classes): the label comes
                     last, one-hot, for D at every pixel. (Mirza & Osindero 2014, arXiv:1411.1784; there in layers of its own)
    preprocess_D     a layer without parameters, or a Sequential of some, through which real and fake samples pass on their way
                     to D in training
    augment          the same for the real samples alone
    penalty          of minigan.penalties: WGANGP(rng), R1() or R2(), or a list of some; added to the loss in every D step
    average          weight of the old value in a moving average of G's parameters, which `sample` then uses; 0: none

    D processes real and fake images in two passes, so a BatchNorm in D normalises each by its own statistics.
    """

    def __init__(self, G, D, loss, optimizer_G, optimizer_D, update="alternating", latent_dim=None, *, classes=0,
                 preprocess_D=None, augment=None, penalty=None, average=0.0):
        if update not in ("alternating", "simultaneous"):
            raise ValueError(f'GAN: update must be "alternating" or "simultaneous", got {update!r}')
        arguments.check_game("GAN", loss, {"G": G, "D": D}, [optimizer_G, optimizer_D])
        arguments.check_object("GAN", "loss", loss, "minigan.losses.NonSaturating()", "score")
        arguments.check_ending_of_D("GAN", D, loss)
        arguments.check_whole("GAN", 0, classes=classes)
        arguments.check_range("GAN", average=(average, 0, 1))
        self.penalties = penalty if isinstance(penalty, (list, tuple)) else [penalty] if penalty is not None else []
        for one in self.penalties:
            arguments.check_object("GAN", "penalty", one, "minigan.penalties.R1()", "rng")
        self.G, self.D, self.loss, self.update = G, D, loss, update
        self.latent_dim = arguments.length_of_z(G, latent_dim, classes)
        self.classes, self.penalty, self.average = classes, penalty, average
        self.preprocess_D, self.augment = as_network("preprocess_D", preprocess_D), as_network("augment", augment)
        self.optimizer_G, self.optimizer_D = optimizer_G, optimizer_D
        optimizer_G.bind(G)
        optimizer_D.bind(D)
        self.group = D.group_size()             # how many samples D judges at once; batches are multiples of it
        self.G_average = copy.deepcopy(G) if average else None
        self.begun = False                      # whether it has seen a batch
        for name, network in self.networks().items():
            network.rename(name)

    # --- the steps ---

    def train_step(self, real: Array, z: Array, labels: Array | None = None) -> tuple[Array, Array]:
        """One step of D and one of G, on a batch of real images and one of noise; returns (loss_D, loss_G), on the device.

        labels  (N,) whole numbers, for both, of a conditional GAN
        `scores` then holds D's mean output before the step: (mean D(x), mean D(G(z))).
        """
        fake, cache_G = self.G.forward(self.with_labels(z, labels))
        loss_D, logits_fake, cache_fake = self._discriminator_gradient(real, fake, labels)
        if self.update == "alternating":
            self.optimizer_D.step()
            logits_fake, cache_fake = self._discriminate_again(fake, labels)
        loss_G = self._generator_gradient(logits_fake, cache_fake, cache_G)
        if self.update == "simultaneous":
            self.optimizer_D.step()             # only now: the backward pass above still needed the old D
        self._step_G()
        return loss_D, loss_G

    def discriminator_step(self, real: Array, z: Array, labels: Array | None = None) -> Array:
        """One step of D alone, for games with several of them per step of G; returns loss_D."""
        fake, _ = self.G.forward(self.with_labels(z, labels))
        loss_D, _, _ = self._discriminator_gradient(real, fake, labels)
        self.optimizer_D.step()
        return loss_D

    def generator_step(self, real: Array, z: Array, labels: Array | None = None) -> tuple[Array, Array]:
        """One step of G alone, against a D that stays as it is; returns (loss_D, loss_G), loss_D without a penalty."""
        fake, cache_G = self.G.forward(self.with_labels(z, labels))
        self._check(real, fake, labels)
        logits_real, _ = self._discriminate_again(real, labels)
        logits_fake, cache_fake = self._discriminate_again(fake, labels)
        self.scores = mean(self.loss.score(logits_real)), mean(self.loss.score(logits_fake))
        loss_D, _, _ = self.loss.discriminator(logits_real, logits_fake)
        loss_G = self._generator_gradient(logits_fake, cache_fake, cache_G)
        self._step_G()
        return loss_D, loss_G

    # --- the parts of a step ---

    def _discriminator_gradient(self, real, fake, labels):
        """loss_D with its gradient in D.dtheta; and the logits of the fakes with their cache."""
        D, loss = self.D, self.loss
        self._check(real, fake, labels)
        if self.augment:
            real, _ = self.augment.forward(real)
        logits_real, cache_real = self.discriminate(real, labels)
        logits_fake, cache_fake = self.discriminate(fake, labels)
        self.scores = mean(loss.score(logits_real)), mean(loss.score(logits_fake))

        loss_D, dlogits_real, dlogits_fake = loss.discriminator(logits_real, logits_fake)
        D.zero_grad()
        self.discriminate_backward(dlogits_real, cache_real, input_grad=False)
        self.discriminate_backward(dlogits_fake, cache_fake, input_grad=False)
        (seen_real, *_), (seen_fake, *_) = cache_real, cache_fake
        for penalty in self.penalties:
            loss_D = loss_D + penalty(D, seen_real, seen_fake, self.classes)
        return loss_D, logits_fake, cache_fake

    def _generator_gradient(self, logits_fake, cache_fake, cache_G):
        """loss_G with its gradient in G.dtheta; D is only passed."""
        loss_G, dlogits_fake = self.loss.generator(logits_fake)
        dfake = self.discriminate_backward(dlogits_fake, cache_fake, param_grads=False)
        self.G.zero_grad()
        self.G.backward(dfake, cache_G, input_grad=False)
        return loss_G

    def _step_G(self):
        self.optimizer_G.step()
        if self.G_average is not None:
            average = self.G_average
            average.theta += (1 - self.average) * (self.G.theta - average.theta)
            for (_, value), (_, newest) in zip(average.states(), self.G.states()):
                value[...] = newest             # running statistics are averages already

    def _check(self, real, fake, labels):
        arguments.check_samples("GAN", real, fake)
        if not self.begun:
            arguments.check_first_batch("GAN", self.G, real, labels, self.classes)
            self.begun = True

    def _discriminate_again(self, x, labels):
        """A forward pass of D that leaves D's states as they are: the D step has moved them, or D is not in training."""
        with self.D.keep_states():
            return self.discriminate(x, labels)

    # --- what the networks get ---

    def discriminate(self, x: Array, labels: Array | None = None) -> tuple[Array, tuple]:
        """D's logits for x, behind preprocess_D and with its labels, and a cache for discriminate_backward."""
        seen, cache_before_D = self.preprocess_D.forward(x) if self.preprocess_D else (x, None)
        seen = self.with_labels(seen, labels)
        logits, cache_D = self.D.forward(seen)
        return logits, (seen, cache_before_D, cache_D)

    def discriminate_backward(self, dlogits: Array, cache: tuple, param_grads: bool = True,
                              input_grad: bool = True) -> Array | None:
        """Back through D, the labels and preprocess_D."""
        _, cache_before_D, cache_D = cache
        dx = self.D.backward(dlogits, cache_D, param_grads, input_grad)
        if self.classes and input_grad:
            dx = dx[..., :-self.classes]        # the labels are given: G cannot change them
        return self.preprocess_D.backward(dx, cache_before_D) if self.preprocess_D and input_grad else dx

    def __repr__(self):
        image = self.sample(1, 0).shape[1:]
        seen = (*image[:-1], image[-1] + self.classes)
        loss, steps = f"{self.loss} loss, {self.update} steps", f"{self.optimizer_G} for G, {self.optimizer_D} for D"
        return (f"GAN: {loss}, {steps}, {self.classes} classes\n\nG\n{self.G.table((self.latent_dim + self.classes,))}\n\n"
                f"D\n{self.D.table(seen)}")

    # --- what a checkpoint holds ---

    def networks(self) -> dict[str, Sequential]:
        """All networks by name: G and D, and those of the options in use."""
        options = {"preprocess_D": self.preprocess_D, "augment": self.augment, "G_average": self.G_average}
        return {"G": self.G, "D": self.D} | {name: network for name, network in options.items() if network}

    def stateful(self) -> dict:
        return {"optimizer_G": self.optimizer_G, "optimizer_D": self.optimizer_D}

    def generators(self) -> dict:
        drawing = [penalty.rng for penalty in self.penalties if penalty.rng is not None]
        return {f"penalty.{i}.rng" if i else "penalty.rng": rng for i, rng in enumerate(drawing)}


def as_network(name: str, layer) -> Sequential:
    """A layer in front of D, or none, as a network."""
    arguments.check_object("GAN", name, Sequential() if layer is None else layer, "minigan.layers.RandomFlip()", "backward")
    network = Sequential() if layer is None else layer if isinstance(layer, Sequential) else Sequential(layer)
    arguments.check_in_front_of_D(name, network)
    return network
