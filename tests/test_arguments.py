"""What enters is checked where it enters: one sentence that names what is wrong, before anything is computed or written."""
from types import SimpleNamespace

import numpy as np
import pytest

import minigan as mg
from minigan import datasets, metrics, penalties, plots, regularizers
from minigan.layers import Conv2D, Dense, Flatten, InstanceNoise, RandomFlip, ReLU, Sequential
from minigan.metrics.classifier import in_portions
from minigan.optimizers import SGD, Adam
from minigan.training import schedules
from minigan.training.doctor import Doctor

POINTS, _ = datasets.ring(64, mg.host_rng(0))
DIGITS, LABELS = (array[:60] for array in datasets.digits())
PIXELS = DIGITS[:5]
HALF = np.full(64, 0.5, "float32")


def spoilt(x, n, value=np.nan):
    """x with one number of sample n in another's place."""
    x = x.copy()
    x[n].flat[-1] = value
    return x


def gan(G=None, D=None, loss=None, optimizer_G=None, optimizer_D=None, **options):
    networks = mg.models.toy_mlp(mg.host_rng(0), width=4)
    return mg.GAN(networks[0] if G is None else G, networks[1] if D is None else D, loss or mg.losses.Hinge(),
                  optimizer_G or Adam(), optimizer_D or Adam(), **options)


def critic():
    return mg.models.toy_mlp(mg.host_rng(0), width=4)[1]


def step(real):
    game = gan()
    return game.train_step(real, game.noise(64, mg.rng(0)))


def run(folder, x=POINTS, **options):
    return mg.training.Run(gan(), x, folder / "run", **options)


def convolution(channels=1, **options):
    return Sequential(Conv2D(1, channels, 3, **options))


def translation(D=None, **options):
    return mg.Translation(convolution(), D or convolution(), mg.losses.LeastSquares(), Adam(), Adam(), **options)


def cyclegan(D=convolution, optimizers=None, **options):
    return mg.CycleGAN(convolution(), convolution(), D(), D(), mg.losses.LeastSquares(),
                       optimizers or [Adam() for _ in range(4)], rng=mg.host_rng(0), **options)


def other_images_into_a_pool():
    pool = mg.cyclegan.ImagePool(5, mg.host_rng(0))
    pool.exchange(PIXELS)
    pool.exchange(PIXELS[:, :1, :1])                   # which NumPy would broadcast


def classifier(x=DIGITS, labels=LABELS, **options):
    return metrics.Classifier(x, labels, **{"epochs": 1} | options)


def network(classes):
    return Sequential(Flatten(), Dense(64, classes))


NOT_WHOLE = "must be a whole number of at least"
NOT_IN_RANGE = "must be at least 0 and below"
NOT_POSITIVE = "must be a finite number above 0"

# What is wrong: (the sentence, or its most telling part; what is done). A function of `folder` gets one.
WRONG = {
    "G is a layer": ("GAN: G must be a network", lambda: gan(G=Dense(2, 2))),
    "D is empty": ("GAN: D must be a network", lambda: gan(D=Sequential())),
    "G is the class": ("GAN: G must be a network", lambda: gan(G=Sequential)),
    "an optimizer is a class": ("GAN: an optimizer must be an object such as", lambda: gan(optimizer_G=Adam)),
    "an optimizer is a number": ("GAN: an optimizer must be an object such as", lambda: gan(optimizer_D=1e-3)),
    "the penalty is a class": (r"penalty must be an object such as .*penalties.R1\(\)", lambda: gan(penalty=penalties.R1)),
    "the penalty is its name": ("GAN: penalty must be an object such as", lambda: gan(penalty="r1")),
    "the penalty is its formula": ("GAN: penalty must be an object such as", lambda: gan(penalty=penalties.r1)),
    "a penalty in a list is a class": ("GAN: penalty must be an object such as", lambda: gan(penalty=[penalties.R1])),
    "a class in front of D": ("GAN: preprocess_D must be an object such as", lambda: gan(preprocess_D=InstanceNoise)),
    "augment is a class": ("GAN: augment must be an object such as", lambda: gan(augment=RandomFlip)),
    "a Pack in front of D": ("preprocess_D keeps the number of samples", lambda: gan(preprocess_D=mg.layers.Pack(2))),
    "the average is a text": (f"GAN: average {NOT_IN_RANGE} 1, got '.9'", lambda: gan(average=".9")),
    "classes leave no noise": (r"must be latent_dim \+ classes, got latent_dim 0 and 2 classes", lambda: gan(classes=2)),
    "classes beyond G": (r"must be latent_dim \+ classes, got latent_dim -3 and 5 classes", lambda: gan(classes=5)),
    "classes below 0": (f"GAN: classes {NOT_WHOLE} 0, got -1", lambda: gan(classes=-1)),
    "classes True": (f"GAN: classes {NOT_WHOLE} 0, got True", lambda: gan(classes=True)),
    "another latent_dim": (r"must be latent_dim \+ classes, got latent_dim 3", lambda: gan(latent_dim=3)),
    "no latent_dim": (f"GAN: latent_dim {NOT_WHOLE} 1, got 0", lambda: gan(G=Sequential(ReLU(), Dense(2, 2)), latent_dim=0)),
    "noise of no samples": (f"GAN.noise: n {NOT_WHOLE} 1, got 0", lambda: gan().noise(0, mg.rng(0))),
    "noise of a text": (r"GAN.noise: rng must be an object such as minigan.rng\(seed\)", lambda: gan().noise(4, "0")),
    "noise of a wrong seed": ("a seed must be a whole number of at least 0", lambda: gan().noise(4, -1)),
    "a negative seed": ("a seed must be a whole number of at least 0, .*got -1", lambda: gan().sample(3, -1)),
    "a batch of bytes": (r"real samples are \(2,\) uint8, but G makes .* / 127.5 - 1", lambda: step(POINTS.astype("uint8"))),
    "a batch of another library": ("expected an array on 'cpu', got types.SimpleNamespace",
                                   lambda: step(SimpleNamespace(dtype="float32", shape=(64, 2)))),
    "a batch in float64": (r"real samples are .* float64, .*x.astype\('float32'\)", lambda: step(POINTS.astype("float64"))),

    "a step on NaN": ("GAN: sample 5 of the real batch is not finite", lambda: step(spoilt(POINTS, 5))),
    "a source of NaN": ("sample 1 of the source batch is not", lambda: translation().train_step(spoilt(PIXELS, 1), PIXELS)),
    "a target of inf": ("Translation: sample 4 of the target batch is not",
                        lambda: translation().train_step(PIXELS, spoilt(PIXELS, 4, np.inf))),
    "an a of NaN": ("CycleGAN: sample 0 of the a batch is not", lambda: cyclegan().train_step(spoilt(PIXELS, 0), PIXELS)),
    "a b of NaN": ("CycleGAN: sample 2 of the b batch is not", lambda: cyclegan().train_step(PIXELS, spoilt(PIXELS, 2))),
    "streams of -1": ("a seed must be a whole number of at least 0, .*got -1", lambda: mg.seed(-1)),
    "streams of chance": ("a seed must be a whole number of at least 0, .*got None", lambda: mg.seed(None)),
    "numbers of chance": ("a seed must be a whole number of at least 0, .*got None", lambda: mg.rng(None)),
    "an eps of inf": ("BatchNorm: .* eps positive", lambda: mg.layers.BatchNorm(2, eps=np.inf)),
    "another eps of inf": ("LayerNorm: eps must be positive", lambda: mg.layers.LayerNorm(2, eps=np.inf)),

    "a run of NaN": ("sample 3 of the data is not finite", lambda folder: run(folder, spoilt(POINTS, 3))),
    "a run of inf": ("sample 63 of the data is not finite", lambda folder: run(folder, spoilt(POINTS, 63, -np.inf))),
    "a run on a list": ("the data must be a NumPy array", lambda folder: run(folder, POINTS.tolist())),
    "a run on bytes": (r'x.astype\("float32"\) / 127.5 - 1', lambda folder: run(folder, POINTS.astype("uint8"))),
    "a run in float64": (r"samples are \(2,\) float64, but G makes", lambda folder: run(folder, POINTS.astype("float64"))),
    "a run on other points": (r"samples are \(1,\) float32, but G makes", lambda folder: run(folder, POINTS[:, :1])),
    "no GAN": ("training: gan must be an object", lambda folder: mg.training.Run(translation(), POINTS, folder / "run")),
    "a config of objects": ("config must be a JSON value", lambda folder: run(folder, config={"lr": np.float32(1)})),
    "half a batch": (f"batch_size {NOT_WHOLE} 2, got 2.5", lambda folder: run(folder, batch_size=2.5)),
    "no critic step": (f"critic_steps {NOT_WHOLE} 1, got 0", lambda folder: run(folder, critic_steps=0)),
    "a run of a negative seed": (f"seed {NOT_WHOLE} 0, got -1", lambda folder: run(folder, seed=-1)),
    "generator_from below 0": (f"generator_from {NOT_WHOLE} 0, got -1", lambda folder: run(folder, generator_from=-1)),
    "a doctor's class": ("doctor must be an object such as", lambda folder: run(folder, doctor=Doctor)),
    "a doctor who never comes": (f"doctor_every {NOT_WHOLE} 1", lambda folder: run(folder, doctor=Doctor(), doctor_every=0)),
    "a schedule's text": ("schedule must be an object such as", lambda folder: run(folder, schedule="linear:1:0:5")),
    "labels without classes": ("got labels, but there are no classes", lambda folder: run(folder, labels=np.zeros(64, int))),
    "no steps": (f"train: steps {NOT_WHOLE} 1, got 0", lambda folder: run(folder).train(0)),
    "save_every 0": (f"train: save_every {NOT_WHOLE} 1, got 0", lambda folder: run(folder).train(5, save_every=0)),
    "sample_every 0": (f"train: sample_every {NOT_WHOLE} 1, got 0", lambda folder: run(folder).train(5, sample_every=0)),
    "a doctor of one sample": (f"Doctor: samples {NOT_WHOLE} 2, got 1", lambda: Doctor(1)),

    "fidelity by name": ("Translation: fidelity must be", lambda: translation(fidelity="l1")),
    "targets in a list": ("l1: target must be an array", lambda: translation().train_step(PIXELS, PIXELS.tolist())),
    "nothing to compare": ("l2: expected two arrays alike and not empty", lambda: mg.losses.l2(PIXELS[:0], PIXELS[:0])),
    "three logits a patch": (r"D must give logits \(N, 1\)", lambda: translation(convolution(3)).train_step(PIXELS, PIXELS)),
    "three logits in a cycle": (r"D must give logits \(N, 1\)",
                                lambda: cyclegan(lambda: convolution(3)).train_step(PIXELS, PIXELS)),
    "one optimizer for four": ("CycleGAN: optimizers must be a list", lambda: cyclegan(optimizers=Adam())),
    "a pool of True": (f"ImagePool: size {NOT_WHOLE} 0, got True", lambda: cyclegan(pool_size=True)),
    "a pool of other images": (r"ImagePool: holds images \(8, 8, 1\) float32, got \(1, 1, 1\)", other_images_into_a_pool),

    "a penalty's weight": (f"WGANGP: weight {NOT_IN_RANGE}", lambda: penalties.WGANGP(mg.rng(0), -1)),
    "a penalty's seed": ("WGANGP: rng must be an object such as", lambda: penalties.WGANGP(0)),
    "gamma NaN": (f"R1: gamma {NOT_IN_RANGE}", lambda: penalties.R1(np.nan)),
    "gamma below 0": (f"r1: gamma {NOT_IN_RANGE}", lambda: penalties.r1(critic(), POINTS, -1)),
    "target NaN": (f"target {NOT_IN_RANGE}", lambda: penalties.gradient_norm(critic(), POINTS, target=np.nan)),
    "epsilon beyond 1": ("epsilon must be numbers from 0 to 1", lambda: penalties.wgan_gp(critic(), POINTS, POINTS, 3 * HALF)),
    "epsilon NaN": ("epsilon must be numbers from 0 to 1", lambda: penalties.wgan_gp(critic(), POINTS, POINTS, np.nan * HALF)),
    "epsilon in float64": ("all of one dtype", lambda: penalties.wgan_gp(critic(), POINTS, POINTS, HALF.astype("float64"))),
    "epsilon a list": ("epsilon must be an array", lambda: penalties.wgan_gp(critic(), POINTS, POINTS, [0.5] * 64)),
    "all channels known": ("known channels fewer than", lambda: penalties.r1(critic(), POINTS, known=2)),
    "known below 0": (f"known {NOT_WHOLE} 0", lambda: penalties.r1(critic(), POINTS, known=-1)),
    "two logits for a penalty": ("needs one logit a sample", lambda: penalties.r1(Sequential(Dense(2, 2)), POINTS)),

    "lr True": (f"Adam: lr {NOT_IN_RANGE}", lambda: Adam(True)),
    "no network to step": ("Adam: steps a network", lambda: Adam().bind(Dense(2, 2))),
    "a step of nothing": ("SGD: steps no network yet", lambda: SGD(0.1).step()),
    "a regularizer, no list": ("Adam: regularizers must be a list", lambda: Adam(regularizers=regularizers.ClipNorm(1.0))),
    "a regularizer's class": ("SGD: a regularizer must be an object such as",
                              lambda: SGD(0.1, regularizers=[regularizers.ClipNorm])),
    "amount True": (f"ClipNorm: amount {NOT_POSITIVE}, got True", lambda: regularizers.ClipNorm(True)),
    "amount a text": (f"L2: amount {NOT_POSITIVE}, got '1'", lambda: regularizers.L2("1")),
    "a smoothing in words": ("real_label must be above 0.5", lambda: mg.losses.NonSaturating(".9")),
    "logits in a list": ("Hinge: logits must be an array", lambda: mg.losses.Hinge().generator([1.0])),
    "no loss": ("there is no loss None", lambda: mg.losses.by_name(None)),
    "a schedule of True": ("schedule constant: value must be a finite number, got True", lambda: schedules.constant(True)),
    "no schedule": ("schedule None: expected a number or one of", lambda: schedules.parse(None)),

    "half a point": (f"datasets: n {NOT_WHOLE} 1, got 2.5", lambda: datasets.ring(2.5, mg.host_rng(0))),
    "n True": (f"datasets: n {NOT_WHOLE} 1, got True", lambda: datasets.stacked_digits(True, mg.host_rng(0))),
    "half a mode": (f"ring: modes {NOT_WHOLE} 1, got 2.5", lambda: datasets.ring_centres(2.5)),
    "half a side": (f"grid: side {NOT_WHOLE} 1, got 2.5", lambda: datasets.grid(5, mg.host_rng(0), side=2.5)),
    "a radius NaN": (f"ring: radius {NOT_POSITIVE}", lambda: datasets.ring(5, mg.host_rng(0), radius=np.nan)),
    "a spacing of inf": (f"grid: spacing {NOT_POSITIVE}", lambda: datasets.grid_centres(spacing=np.inf)),
    "sigma NaN": (f"datasets: sigma {NOT_IN_RANGE}", lambda: datasets.ring(5, mg.host_rng(0), sigma=np.nan)),
    "NaN to be resized": ("resize: sample 4 of the images is not finite", lambda: datasets.resize(spoilt(PIXELS, 4), 4)),
    "NaN to be coloured": ("to_channels: sample 1 of the images is not", lambda: datasets.to_channels(spoilt(PIXELS, 1), 3)),
    "half a class": (f"classes {NOT_WHOLE} 0", lambda: mg.models.build("toy_mlp", mg.host_rng(0), (2,), classes=0.5)),
    "packing of none": (f"packing {NOT_WHOLE} 1", lambda: mg.models.build("toy_mlp", mg.host_rng(0), (2,), packing=0)),
    "a layer of True units": (f"Dense: O {NOT_WHOLE} 1, got True", lambda: Dense(2, True)),
    "half a column": (f"plots.grid: columns {NOT_WHOLE} 1", lambda: plots.grid(PIXELS, 2.5)),
    "enlarged 0 times": (f"plots.enlarge: scale {NOT_WHOLE} 1", lambda: plots.enlarge(PIXELS[0], 0)),
    "rows of nothing": ("rows of one length, not empty", lambda folder: plots.save_rows(folder / "a.png", {"a": PIXELS[:0]})),
    "a film of NaN seconds": (f"seconds_per_frame {NOT_IN_RANGE}",
                              lambda folder: plots.save_gif(folder / "a.gif", [plots.grid(PIXELS)], np.nan)),
    "a network of -1 layers": (f"toy_mlp: depth {NOT_WHOLE} 0", lambda: mg.models.toy_mlp(mg.host_rng(0), depth=-1)),
    "a size of True": ("resize: expected size", lambda: datasets.resize(PIXELS, True)),
    "no points to draw": ("plots.points: expected points", lambda: plots.points(POINTS[:0], POINTS)),

    "four images": ("Classifier: needs at least 5 images, .*got 4", lambda: classifier(DIGITS[:4], LABELS[:4])),
    "no images": ("Classifier: the data must have at least one sample", lambda: classifier(DIGITS[:0], LABELS[:0])),
    "too few labels": (r"one a sample, \(60,\), got \(59,\)", lambda: classifier(labels=LABELS[:59])),
    "a label below 0": ("whole numbers from 0 to inf, .*got -1 to 8", lambda: classifier(labels=LABELS - 1)),
    "labels in a column": (r"got \(60, 1\) int64; labels\[:, 0\]", lambda: classifier(labels=LABELS[:, None])),
    "labels in floats": (r"got \(60,\) float64; labels.astype\(int\)", lambda: classifier(labels=LABELS / 1)),
    "labels in rows": (r"labels.argmax\(axis=1\)", lambda: metrics.learn_classes(network(10), DIGITS, np.eye(10)[LABELS], [])),
    "a judge of NaN": ("Classifier: sample 7 of the data is not finite", lambda: classifier(spoilt(DIGITS, 7))),
    "no epochs": (f"Classifier: epochs {NOT_WHOLE} 1", lambda: classifier(epochs=0)),
    "too few logits": ("whole numbers from 0 to 4, .*got 0 to 9", lambda: classifier(network=network(5))),
    "a map of logits": (r"must give logits \(N, classes\)", lambda: classifier(network=convolution(10))),
    "a layer as a judge": (r"expected a network, minigan.Sequential\(...\)", lambda: classifier(network=Dense(64, 10))),
    "learned NaN": ("sample 7 of the data is not finite",
                    lambda: metrics.learn_classes(network(10), spoilt(DIGITS, 7), LABELS, [[0, 1]])),
    "NaN to be judged": ("sample 59 of the images is not finite",
                         lambda: in_portions(network(10), spoilt(DIGITS, 59), size=7)),
    "nothing to be judged": ("needs at least one image", lambda: in_portions(network(10), DIGITS[:0])),
    "features NaN": ("frechet_distance: sample 3 of b is not finite",
                     lambda: metrics.frechet_distance(np.ones((9, 2)), spoilt(np.ones((9, 2)), 3))),
    "features inf": ("frechet_distance: sample 3 of a is not finite",
                     lambda: metrics.frechet_distance(spoilt(np.ones((9, 2)), 3, np.inf), np.ones((9, 2)))),
    "three real images": ("frechet: needs at least 4 real images", lambda: metrics.frechet(None, DIGITS, DIGITS[:3])),
    "psnr of nothing": ("psnr: expected two batches .*not empty", lambda: metrics.psnr(np.zeros((0, 4)), np.zeros((0, 4)))),
    "psnr of NaN": ("psnr: sample 2 of target is not finite", lambda: metrics.psnr(PIXELS, spoilt(PIXELS, 2))),
    "psnr without a range": (f"psnr: peak {NOT_POSITIVE}", lambda: metrics.psnr(PIXELS, PIXELS, 0)),
    "kl of NaN": ("kl: expected two lists", lambda: metrics.kl([np.nan, 1])),
    "kl of nothing": ("kl: expected two lists", lambda: metrics.kl([])),
    "score of NaN": ("classifier_score: expected probabilities", lambda: metrics.classifier_score(np.full((3, 2), np.nan))),
    "score of nothing": ("classifier_score: expected probabilities", lambda: metrics.classifier_score(np.ones((0, 2)))),
    "classes of NaN": ("class_kl: expected probabilities", lambda: metrics.class_kl(np.full((3, 2), np.nan))),
    "modes of nothing": ("modes: expected points", lambda: metrics.modes(POINTS[:0], datasets.ring_centres(), 0.01)),
    "modes of NaN": ("sample 9 of the points is not", lambda: metrics.modes(spoilt(POINTS, 9), datasets.ring_centres(), 0.01)),
    "modes on a line": ("modes: expected points", lambda: metrics.modes(POINTS[:, :1], datasets.ring_centres(), 0.01)),
    "modes without a width": (f"modes: sigma {NOT_POSITIVE}", lambda: metrics.modes(POINTS, datasets.ring_centres(), 0)),
    "one stacked image": (r"expected images \(N, H, W, C\)", lambda: metrics.stacked_modes(DIGITS[0], None)),
}


@pytest.mark.parametrize("sentence, do", WRONG.values(), ids=WRONG)
def test_one_sentence_says_what_is_wrong(tmp_path, sentence, do):
    arguments = [tmp_path] if do.__code__.co_argcount else []
    with pytest.raises((ValueError, TypeError), match=sentence) as caught:
        do(*arguments)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
    assert list(tmp_path.iterdir()) == []              # nothing was written


@pytest.mark.parametrize("shape, remedy", [((8, 8), r"x\[..., None\]"), ((1, 8, 8), r"x.transpose\(0, 2, 3, 1\)"),
                                           ((4, 4, 1), r"float32$")])
def test_images_of_another_shape_come_with_the_remedy(shape, remedy):
    game = gan(*mg.models.mlp_gan(mg.host_rng(0), 4, (8, 8, 1)))
    for step in (game.train_step, game.discriminator_step, game.generator_step):
        with pytest.raises(ValueError, match=f"real samples are .*, but G makes .*{remedy}"):
            step(np.zeros((3, *shape), "float32"), game.noise(3, mg.rng(0)))


def test_a_sentence_shows_no_array():
    with pytest.raises(TypeError, match="got numpy.ndarray$"):
        gan(G=np.zeros((50, 50)))
