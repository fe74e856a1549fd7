"""CycleGAN: translation between two kinds of images, A and B, without a single pair that shows which belongs to which.

Two generators, G_AB and G_BA, and a discriminator for each kind. D_B makes G_AB's images look like B, but it accepts any image
of kind B, whatever the image a showed. So there and back must return a, and an image that is of the right kind already must
stay as it is. Here |…| is the mean over all elements:

    a ──G_AB──> fake_b ──G_BA──> back_a          cycle · |back_a - a|
                   └──D_B──> logits              adversarial
    b ──G_AB──> same_b                           cycle · identity · |same_b - b|          and all of it with A and B exchanged

G_AB works in three places: on a, on b, and behind G_BA in the cycle of b. Its gradient is the sum over the three, and so is
that of G_BA; each forward pass has a cache of its own and `backward` adds, so the sum makes itself. Two gradients meet at
fake_b: that through D_B, and the one that comes around the cycle, through G_BA.

Source    Zhu, Park, Isola & Efros 2017, arXiv:1703.10593: eq. 3 and section 4 (least squares, cycle 10, a pool of 50 images),
          section 5.2 (identity) and the appendix on training (half the weight of the cycle); the order, G first, is that of
          the authors' program
"""
import numpy as np

from minigan.arguments import check_batch, check_range, check_whole
from minigan.backend import Array, asarray, xp
from minigan.layers import Sequential
from minigan.losses import l1
from minigan.translation import bind, named, pull_of_D, step_D


class CycleGAN:
    """Two generators, two discriminators, and their game.

    G_AB, G_BA, D_A, D_B   networks (Sequential); the Ds give logits (N, 1) or (N, h, w, 1)
    loss                   of minigan.losses; the paper's is LeastSquares, without its 1/2: cycle = 10 here is as 20 there
    optimizers             four of minigan.optimizers, in the order of the networks
    cycle                  weight of the cycle loss; identity: of the identity loss, as a part of cycle (0: none)
    pool_size, rng         the Ds are shown fakes out of an ImagePool each; rng is its host generator

    `parts` holds the losses of the last step, unweighted, both directions added: adversarial, cycle, identity.
    """

    def __init__(self, G_AB, G_BA, D_A, D_B, loss, optimizers, cycle=10.0, identity=0.5, pool_size=50, *, rng):
        check_range("CycleGAN", cycle=(cycle, 0, float("inf")), identity=(identity, 0, float("inf")))
        self.pool_A, self.pool_B = ImagePool(pool_size, rng), ImagePool(pool_size, rng)
        self.G_AB, self.G_BA, self.D_A, self.D_B, self.loss = G_AB, G_BA, D_A, D_B, loss
        bind("CycleGAN", loss, self.networks(), optimizers)
        self.optimizers, self.cycle, self.identity, self.parts = list(optimizers), float(cycle), float(identity), {}

    def networks(self) -> dict[str, Sequential]:
        return {"G_AB": self.G_AB, "G_BA": self.G_BA, "D_A": self.D_A, "D_B": self.D_B}

    def stateful(self) -> dict:
        return named(self.networks(), self.optimizers) | {"pool_A": self.pool_A, "pool_B": self.pool_B}

    def generators(self) -> dict:
        return {"pool.rng": self.pool_A.rng}           # which is pool_B's, too

    def train_step(self, a: Array, b: Array) -> tuple[Array, Array]:
        """One step of both Gs, then one of both Ds; returns (loss_D, loss_G), on the device. No a needs to belong to a b."""
        check_batch("CycleGAN", a=a, b=b)
        optimizer_AB, optimizer_BA, optimizer_A, optimizer_B = self.optimizers
        self.G_AB.zero_grad()
        self.G_BA.zero_grad()
        fake_b, parts_A = self.there_and_back(a, b, self.G_AB, self.G_BA, self.D_B)
        fake_a, parts_B = self.there_and_back(b, a, self.G_BA, self.G_AB, self.D_A)
        optimizer_AB.step()
        optimizer_BA.step()
        self.parts = {name: value + parts_B[name] for name, value in parts_A.items()}
        loss_G = (self.parts["adversarial"] + self.cycle * self.parts["cycle"]
                  + self.cycle * self.identity * self.parts.get("identity", 0.0))

        loss_D = (step_D(self.D_A, self.loss, optimizer_A, a, self.pool_A.exchange(fake_a))
                  + step_D(self.D_B, self.loss, optimizer_B, b, self.pool_B.exchange(fake_b)))
        return loss_D, loss_G

    def there_and_back(self, x, y, G, F, D) -> tuple[Array, dict]:
        """One direction: G from the kind of x to that of y, F back. Adds to both gradients; returns G(x), losses by name."""
        fake, cache_G = G.forward(x)
        back, cache_F = F.forward(fake)
        parts = {}
        parts["adversarial"], dfake = pull_of_D(D, self.loss, fake)
        parts["cycle"], dback = l1(back, x)
        dfake = dfake + F.backward(self.cycle * dback, cache_F)                    # around the cycle, into F.dtheta on the way
        G.backward(dfake, cache_G, input_grad=False)
        if self.identity > 0:
            same, cache_same = G.forward(y)
            parts["identity"], dsame = l1(same, y)
            G.backward(self.cycle * self.identity * dsame, cache_same, input_grad=False)
        return fake, parts


class ImagePool:
    """The last fakes, mixed: D is shown some that G made a while ago, so G cannot win by changing faster than D learns.

    Each new image fills the pool until it is full. From then on it is, with probability 1/2, exchanged for a random one of the
    pool, which D sees in its place.
    Source    Shrivastava et al. 2017, arXiv:1612.07828, section 2.3; one coin for each image as in CycleGAN
    """

    def __init__(self, size, rng):
        """size 0: no pool. rng: a host generator, so that no number is read from the device."""
        check_whole("ImagePool", 0, size=size)
        if not isinstance(rng, np.random.Generator):
            raise TypeError(f"ImagePool: rng must be a host generator, minigan.backend.host_rng(seed), got {rng!r}")
        self.size, self.rng, self.images, self.count = size, rng, None, 0

    def exchange(self, images: Array) -> Array:
        """The images that D is shown in place of these: (N, ...) -> (N, ...), all copies."""
        if self.images is None:
            self.images = xp.empty((self.size, *images.shape[1:]), images.dtype)
        if (images.shape[1:], images.dtype) != (self.images.shape[1:], self.images.dtype):
            raise ValueError(f"ImagePool: holds images {self.images.shape[1:]} {self.images.dtype}, got {images.shape[1:]} "
                             f"{images.dtype}")
        shown = images.copy()
        for i in range(len(images)):
            if self.count < self.size:
                self.images[self.count] = images[i]
                self.count += 1
            elif self.size and self.rng.random() < 0.5:
                k = int(self.rng.integers(self.size))
                shown[i] = self.images[k]
                self.images[k] = images[i]
        return shown

    def state(self) -> dict:
        """What a checkpoint keeps of the pool, except its generator."""
        images = xp.zeros(0, "float32") if self.images is None else self.images[:self.count]
        return {"layout": f"up to {self.size} images", "images": images}

    def set_state(self, state):
        images = asarray(state["images"])
        self.images, self.count = None, len(images)
        if self.count:
            self.images = xp.empty((self.size, *images.shape[1:]), images.dtype)
            self.images[:self.count] = images
