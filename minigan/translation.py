"""Image translation: G makes an image of an image, and for each one the right answer is known.

Super-resolution, inpainting and colouring are one problem. G gets a source and is pulled two ways:

    loss_G = adversarial · loss of the GAN, through D   +   weight · fidelity(G(source), target)

Fidelity alone (the mean of |G(source) - target|) gives the middle of all answers that fit the source: blurred where they
differ. D rejects what is blurred, so G has to choose one of the answers; where that is not the target's, fidelity gets worse.
How much of either is wanted is what the two weights say.

The gradient of the sum is the sum of the gradients, and both arrive at the same place, G's output:

    dfake = adversarial · (dlogits, back through D)   +   weight · dfidelity        then back through G, once

D's last layer may also be a convolution to one channel: then it gives a map of logits (N, h, w, 1), each about the patch that
it sees, and the loss is the mean over all of them (a "PatchGAN").

Source    Isola, Zhu, Zhou & Efros 2017, arXiv:1611.07004 (pix2pix: a D that sees the source, L1, weight 100, patches)
"""
from minigan.arguments import check_batch, check_game, check_object, check_range
from minigan.backend import Array, xp
from minigan.layers import Sequential
from minigan.losses import l1


class Translation:
    """A generator that translates images, a discriminator, and their game.

    G, D             networks (Sequential); G maps sources to images like the targets, D gives logits (N, 1) or (N, h, w, 1)
    loss             of minigan.losses
    optimizer_G, _D  of minigan.optimizers, one for each network
    fidelity         l1, l2 or any function (y, target) -> (value, dy)
    weight           of the fidelity; adversarial: of the GAN's loss. With adversarial = 0 D is left alone: plain regression
    conditional      D sees the source beside the image, joined along the channels: it judges whether the two belong together

    `parts` holds the two losses of the last step, unweighted, by name. (pix2pix halves loss_D, to slow D down. Adam would not
    notice: its steps do not depend on the scale of the gradient.)
    """

    def __init__(self, G, D, loss, optimizer_G, optimizer_D, fidelity=l1, weight=100.0, adversarial=1.0, conditional=False):
        check_range("Translation", weight=(weight, 0, float("inf")), adversarial=(adversarial, 0, float("inf")))
        check_object("Translation", "fidelity", fidelity, "minigan.losses.l1", "__call__")
        bind("Translation", loss, {"G": G, "D": D}, [optimizer_G, optimizer_D])
        self.G, self.D, self.loss, self.fidelity, self.conditional = G, D, loss, fidelity, conditional
        self.optimizers = [optimizer_G, optimizer_D]
        self.weight, self.adversarial, self.parts = float(weight), float(adversarial), {}

    def networks(self) -> dict[str, Sequential]:
        return {"G": self.G, "D": self.D}

    def stateful(self) -> dict:
        return named(self.networks(), self.optimizers)

    def generators(self) -> dict:
        return {}

    def train_step(self, source: Array, target: Array) -> tuple[Array, Array]:
        """One step of D, then one of G against the new D; returns (loss_D, loss_G), on the device."""
        check_batch("Translation", source=source, target=target)
        optimizer_G, optimizer_D = self.optimizers
        fake, cache_G = self.G.forward(source)
        fidelity, dfake = self.fidelity(fake, target)
        loss_D, loss_G, dfake = 0.0 * fidelity, self.weight * fidelity, self.weight * dfake
        self.parts = {"fidelity": fidelity}
        if self.adversarial > 0:
            loss_D = step_D(self.D, self.loss, optimizer_D, self.beside(source, target), self.beside(source, fake))
            value, dseen = pull_of_D(self.D, self.loss, self.beside(source, fake))
            loss_G = loss_G + self.adversarial * value
            dfake = dfake + self.adversarial * dseen[..., -fake.shape[-1]:]        # the source beside it is no output of G
            self.parts["adversarial"] = value
        self.G.zero_grad()
        self.G.backward(dfake, cache_G, input_grad=False)
        optimizer_G.step()
        return loss_D, loss_G

    def beside(self, source, image) -> Array:
        """What D sees of an image: (N, H, W, source's channels + image's channels) if it sees the source too."""
        if not self.conditional:
            return image
        if source.shape[:-1] != image.shape[:-1]:
            raise ValueError(f"Translation: a conditional D needs source and image of one size, to see them side by side, "
                             f"got {source.shape} and {image.shape}")
        return xp.concatenate([source, image], axis=-1)


# --- the steps that translations share, CycleGAN too ---

def step_D(D, loss, optimizer, real, fake) -> Array:
    """One step of D; real and fake are data. Returns loss_D."""
    logits_real, cache_real = D.forward(real)
    logits_fake, cache_fake = D.forward(fake)
    loss_D, dlogits_real, dlogits_fake = loss.discriminator(in_a_row(logits_real), in_a_row(logits_fake))
    D.zero_grad()
    D.backward(dlogits_real.reshape(logits_real.shape), cache_real, input_grad=False)
    D.backward(dlogits_fake.reshape(logits_fake.shape), cache_fake, input_grad=False)
    optimizer.step()
    return loss_D


def pull_of_D(D, loss, fake) -> tuple[Array, Array]:
    """(value, dfake) of G's adversarial loss. D is only passed: its gradients and running statistics stay as they are."""
    with D.keep_states():
        logits, cache = D.forward(fake)
    value, dlogits = loss.generator(in_a_row(logits))
    return value, D.backward(dlogits.reshape(logits.shape), cache, param_grads=False)


def in_a_row(logits) -> Array:
    """The logits (N, 1) or (N, h, w, 1) as a loss takes them."""
    if logits.shape[-1] != 1:
        raise ValueError(f"D must give logits (N, 1) or a map of them (N, h, w, 1), got {logits.shape}")
    return logits.reshape(-1, 1)


def named(networks, optimizers) -> dict:
    """{"optimizer_G": the optimizer of G ...}"""
    return {f"optimizer_{name}": optimizer for name, optimizer in zip(networks, optimizers)}


def bind(owner, loss, networks, optimizers) -> None:
    """Give each of the networks, {name: network}, its name and its optimizer; refuse what would train the wrong thing."""
    check_game(owner, loss, networks, optimizers)
    for optimizer, (name, network) in zip(optimizers, networks.items()):
        optimizer.bind(network)
        network.rename(name)
