"""A trained model from its checkpoint alone: `minigan.load("checkpoint.npz").sample(16, seed=0)`."""
import json

from minigan.layers import Sequential
from minigan.layers.architecture import make
from minigan.sampler import Sampler
from minigan.training import checkpoint


class Trained(Sampler):
    """The networks of a checkpoint. `sample(n, seed)` is that of the GAN which was saved: the same images, bit for bit, on the
    same kind of device.

    networks   {"G": G, "D": D, ...}; one with a layer that is not minigan's, which nothing here could make, is missing
    extra      what was saved beside the game: of a run its options
    """

    def __init__(self, networks: dict[str, Sequential], latent_dim: int | None, classes: int, extra=None):
        self.networks, self.latent_dim, self.classes, self.extra = networks, latent_dim, classes, extra
        self.G, self.D, self.G_average = (networks.get(name) for name in ("G", "D", "G_average"))

    def sample(self, n, seed, labels=None):
        if self.latent_dim is None:
            raise ValueError("this checkpoint holds no GAN, which makes images of noise, but "
                             f"{', '.join(self.networks)}: use these networks")
        return super().sample(n, seed, labels)


def load(path) -> Trained:
    """The networks of a checkpoint, made anew as it describes them; nothing but the file is needed.

    Errors    CheckpointError for a file that is no checkpoint, or that does not say what it holds, since it is older or its G
              has a layer which is not one of minigan's;  FileNotFoundError
    """
    content = checkpoint.load(path)
    try:
        known = json.loads(str(content["description"]))
        foreign = {name: text for name, text in known["networks"].items() if isinstance(text, str)}
        networks = {name: make(described, described.pop("dtype")) for name, described in known["networks"].items()
                    if name not in foreign}
        if "G" in foreign or not networks:
            name, reason = next(iter(foreign.items()), ("networks", "there are none"))
            raise ValueError(f"of its {name}, {reason}: make the networks yourself, and use checkpoint.restore_network")
        trained = Trained(networks, known["latent_dim"], known["classes"], content["extra"])
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise checkpoint.CheckpointError(f"{path}: it does not say which networks it holds ({error})") from None
    for name, network in networks.items():
        checkpoint.restore_network(network, content, name, path, generators=False)
    return trained
