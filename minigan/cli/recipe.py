"""Options -> data and GAN: what the command line of examples/train_gan.py can set, and how the parts are put together.

Every stabilizer of the literature that minigan has is one line of STABILIZERS, off by default, and a line or two of build_gan
or of training.Run.
"""
import json
import math

from minigan import losses, models, optimizers, penalties, regularizers
from minigan.backend import device, host_rng, rng
from minigan.cli import distributed
from minigan.engine import plain, workers
from minigan.gan import GAN
from minigan.layers import Brightness, Cutout, InstanceNoise, RandomFlip, RandomRotate90, RandomShift, Sequential
from minigan.layers.spectral_norm import normalize
from minigan.training import checkpoint, schedules
from minigan.training.finite import finite

# What each model trains with by default. mlp_gan is tuned for the small digits, the DCGANs have Adam as it is common for them.
RECIPES = {
    "dcgan": dict(loss="nonsaturating", lr=2e-4, beta1=0.5, batch_size=64, steps=10_000),
    "mlp_gan": dict(loss="leastsquares", lr=6e-4, beta1=0.5, batch_size=64, steps=2800),
    "dcgan_28": dict(loss="nonsaturating", lr=1e-4, beta1=0.9, batch_size=128, steps=5000),
    "dcgan_64": dict(loss="nonsaturating", lr=2e-4, beta1=0.5, batch_size=64, steps=10_000),
    "dcgan_64_stem": dict(loss="leastsquares", lr=2e-4, beta1=0.5, batch_size=128, steps=10_000),
    "toy_mlp": dict(loss="nonsaturating", lr=1e-3, beta1=0.5, batch_size=256, steps=3000),
}
# The dcgan on the bundled digits: MNIST's, which is the main job, and the small ones, for a try of a few seconds. What the
# settings were chosen by is in benchmarks/README.md.
MAIN_JOB = dict(conditional=True, latent_dim=32, loss="leastsquares", lr=3e-3, lr_d=1e-3, beta1=0.3, beta2=0.99,
                batch_size=32, ema=0.99, steps=1800, lr_schedule="constant_then_linear:1:0.05:1800", sample_every=50)
DIGITS = {"mnist": MAIN_JOB, "digits": MAIN_JOB | dict(steps=1000, lr_schedule="constant_then_linear:1:0.05:1000")}
MODEL_FOR = {"ring": "toy_mlp", "grid": "toy_mlp", "stacked_digits": "mlp_gan"}        # else dcgan
DEFAULTS = dict(data="mnist", size="", channels=0, fit="crop", width=0, latent_dim=0, lr_d=0.0, beta2=0.999,
                update="alternating", capture=False, seed=0, sample_every=100, save_every=1000, save_minutes=5.0,
                doctor_every=100)
AUGMENTATIONS = {
    "flip": RandomFlip, "rotate": RandomRotate90, "shift": lambda rng: RandomShift(1, rng),
    "brightness": lambda rng: Brightness(0.5, rng), "cutout": lambda rng: Cutout(0.5, rng)}

PENALTIES = ("wgan-gp", "r1", "r2", "r1+r2")

# name: (default, help); the default's type is that of the option
STABILIZERS = {
    "conditional": (False, "give both networks the label"),
    "n_critic": (1, "steps of D for each step of G"),
    "penalty": ("none", f"gradient penalty on D: {', '.join(PENALTIES)}"),
    "penalty_weight": (10.0, "its weight: lambda of wgan-gp, gamma of r1 and r2"),
    "weight_clip": (0.0, "clip D's parameters to this after each step (0.01 in the first Wasserstein GAN)"),
    "spectral_norm": (False, "divide D's weights by their largest singular value"),
    "instance_noise": ("0", "standard deviation of noise on all that D sees, or a schedule: linear:0.1:0:2000"),
    "label_smoothing": (0.0, "D's target on real samples is 1 minus this; usually 0.1"),
    "augment": ("", f"what D sees, real and fake: {','.join(AUGMENTATIONS)}"),
    "augment_real": ("", "the same for the real samples alone"),
    "packing": (1, "the number of samples that D judges at once (PacGAN)"),
    "ema": (0.0, "keep a moving average of G with this weight of the old value, and sample from it; often 0.999"),
    "clip_value": (0.0, "clip every entry of the gradients to this"),
    "clip_norm": (0.0, "shorten gradients that are longer than this"),
    "l1": (0.0, "penalty on the weights of both networks: this times the sum of |W|"),
    "l2": (0.0, "this half times the sum of W²"),
    "weight_decay": (0.0, "shrink the weights by lr times this at each step, outside of Adam"),
    "lr_schedule": ("1", "factor of the learning rate: a number, or a schedule, linear:1:0:2800, cosine:1:0.1:2800 ..."),
    "generator_from": (0, "the step from which only G is trained, against the D of that moment; 0: never"),
    "init_from": ("", "checkpoint.npz of another run, whose networks this one begins with"),
}

# On --resume; all other options would make another run.
MAY_CHANGE = {"steps", "sample_every", "save_every", "save_minutes", "doctor_every", "threads"}


def complete(given):
    """All options of a new run: those given, else the model's recipe, else the defaults."""
    data = given.get("data", DEFAULTS["data"])
    model = given.get("model", MODEL_FOR.get(data, "dcgan"))
    if model not in RECIPES:
        raise ValueError(f"there is no model {model!r}; there are {', '.join(RECIPES)}")
    off = {name: default for name, (default, _) in STABILIZERS.items()}
    own = RECIPES[model] | (DIGITS.get(data, {}) if model == "dcgan" else {})
    if "lr" in given:                                  # then it is for both networks, unless D has its own
        own = {name: value for name, value in own.items() if name != "lr_d"}
    options = DEFAULTS | off | {"device": device(), "threads": workers(), "plain": plain()} | own | given | {"model": model}
    options["loss"] = repr(losses.by_name(options["loss"])).lower()            # one spelling
    for name, value in options.items():
        least = 1 if name in ("steps", "sample_every", "save_every", "packing", "n_critic") else 2 * (name == "batch_size")
        if isinstance(value, (int, float)) and not least <= value < math.inf:
            needs = f"at least {least}" if math.isfinite(value) else "a finite number"
            raise ValueError(f"--{name.replace('_', '-')} must be {needs}, got {value}")
    return options


def resumed(given, out):
    """All options of the run in the folder `out`, of which those that would make it another run cannot be changed."""
    try:
        options = json.loads((out / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"--resume: {out} holds no run with a readable config.json ({error})") from None
    problem = f"--resume: {out / 'config.json'} is not the config.json of a run"
    if not isinstance(options, dict) or not {"model", "data", "seed", "threads"} <= options.keys():
        raise ValueError(problem)
    saved = checkpoint.load(out / "checkpoint.npz")["extra"]           # the options as they were then
    for name in sorted(options.keys() - MAY_CHANGE):
        if isinstance(saved, dict) and options[name] != saved.get(name, options[name]):
            raise ValueError(f"{problem}: its {name} is {options[name]!r}, but {saved[name]!r} in checkpoint.npz beside it")
    defaults = complete({name: str(options[name]) for name in ("model", "data")})
    options = defaults | options                       # a run of an earlier version lacks what came later
    for name, default in defaults.items():
        if not isinstance(options[name], (int, float) if isinstance(default, float) else type(default)):
            raise ValueError(f"{problem}: {name} is {options[name]!r}")
    complete_options = complete(options | given)
    for name, value in complete_options.items():
        if name not in MAY_CHANGE and value != options.get(name):
            raise ValueError(f"--resume: the run in {out} has --{name.replace('_', '-')} {options.get(name)}, not {value}; "
                             "without --resume, and with another --out, it is a new run")
    if "threads" not in given:
        complete_options["threads"] = distributed.threads_on_resume(options["threads"])
    if complete_options["threads"] != options["threads"]:
        print(f"the run in {out} cut its batches for {options['threads']} threads, and goes on with "
              f"{complete_options['threads']}: the last bits of its numbers will be others, and what its random layers draw")
    return complete_options


def build_gan(options, classes=0):
    """(gan, schedule): the GAN of these options, and what training.Run is to call before each step.

    options    a dict: what `complete` returns, and sample_shape
    classes    of the data, used if options["conditional"]
    Errors     ValueError for values that make no sense, alone or together
    """
    o = options
    _check(o, classes)
    seed, classes = o["seed"], classes if o["conditional"] else 0
    G, D = models.build(o["model"], host_rng(seed), o["sample_shape"], classes, o["packing"], width=o["width"],
                        latent_dim=o["latent_dim"])
    if o["spectral_norm"]:
        D = normalize(D, host_rng([seed, 7]))
    if o["init_from"]:                                 # before GAN copies G into its average
        content = checkpoint.load(o["init_from"])
        for name, network in (("G", G), ("D", D)):
            checkpoint.restore_network(network, content, name, o["init_from"])
            if not finite(network.theta):
                raise checkpoint.CheckpointError(f"{o['init_from']}: the parameters of its {name} are not finite")
    noise_of, factor_of = schedules.parse(o["instance_noise"]), schedules.parse(o["lr_schedule"])
    # Every random part has a stream of its own, [seed, 3] to [seed, 7]; 0 to 2 are those of training.Run.
    noise = InstanceNoise(noise_of(0), rng([seed, 3]))
    penalty = {"none": None, "wgan-gp": penalties.WGANGP(rng([seed, 4]), o["penalty_weight"]),
               "r1": penalties.R1(o["penalty_weight"]), "r2": penalties.R2(o["penalty_weight"]),
               "r1+r2": [penalties.R1(o["penalty_weight"]), penalties.R2(o["penalty_weight"])]}[o["penalty"]]
    smoothing = {"real_label": 1 - o["label_smoothing"]} if o["label_smoothing"] else {}
    kinds = {"l1": regularizers.L1, "l2": regularizers.L2, "clip_value": regularizers.ClipValue,
             "clip_norm": regularizers.ClipNorm, "weight_decay": regularizers.WeightDecay}
    both = [kind(o[name]) for name, kind in kinds.items() if o[name]]
    only_D = [regularizers.WeightClip(o["weight_clip"])] if o["weight_clip"] else []
    lr_G, lr_D = o["lr"], o["lr_d"] or o["lr"]
    adam_G, adam_D = (optimizers.Adam(lr, o["beta1"], o["beta2"], regularizers=listed)
                      for lr, listed in ((lr_G, both), (lr_D, both + only_D)))

    before_D = [*augmentations(o["augment"], [seed, 5]), *([noise] if o["instance_noise"] != "0" else [])]
    gan = GAN(G, D, losses.by_name(o["loss"], **smoothing), adam_G, adam_D, update=o["update"], classes=classes,
              preprocess_D=Sequential(*before_D),
              augment=Sequential(*augmentations(o["augment_real"], [seed, 6])), penalty=penalty, average=o["ema"])

    def schedule(step):
        noise.sigma = noise_of(step)
        adam_G.lr, adam_D.lr = lr_G * factor_of(step), lr_D * factor_of(step)

    return gan, schedule


def augmentations(names, seed):
    """The layers of a list of names, "flip,shift"."""
    names = [name for name in names.split(",") if name]
    for name in names:
        if name not in AUGMENTATIONS:
            raise ValueError(f"there is no augmentation {name!r}; there are {', '.join(AUGMENTATIONS)}")
    return [AUGMENTATIONS[name](rng([*seed, i])) for i, name in enumerate(names)]


def _check(o, classes):
    if o["conditional"] and not classes:
        raise ValueError(f"--conditional needs data with labels, which {o['data']} has not")
    for option in ("augment", "augment_real"):
        if o[option] and len(o["sample_shape"]) != 3:
            raise ValueError(f"--{option.replace('_', '-')} is for images, not for samples of shape "
                             f"{tuple(o['sample_shape'])}")
    for option in ("lr_schedule", "instance_noise"):
        values = [schedules.parse(o[option])(step) for step in (0, 10 ** 9)]
        if min(values) < 0:
            raise ValueError(f"--{option.replace('_', '-')} {o[option]} goes from {values[0]:g} to {values[1]:g}: it must not "
                             "be negative")
    if o["penalty"] == "none" and o["penalty_weight"] != STABILIZERS["penalty_weight"][0]:
        raise ValueError(f"--penalty-weight {o['penalty_weight']:g} needs a --penalty, {', '.join(PENALTIES)}")
    if o["ema"] >= 1:
        raise ValueError(f"--ema must be at least 0 and below 1, got {o['ema']}")
    if o["label_smoothing"] and o["loss"] in ("wasserstein", "hinge"):
        raise ValueError(f"--label-smoothing is for losses with a label to aim at; {o['loss']} has none")
    if not 0 <= o["label_smoothing"] < 0.5:
        raise ValueError(f"--label-smoothing must be at least 0 and below 0.5, got {o['label_smoothing']}")
    if o["penalty"] not in ("none", *PENALTIES):
        raise ValueError(f"there is no penalty {o['penalty']!r}; there are none, {', '.join(PENALTIES)}")
    if o["batch_size"] % o["packing"]:
        raise ValueError(f"--packing {o['packing']} does not divide --batch-size {o['batch_size']}")
