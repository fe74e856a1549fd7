"""The four image models and their training step in TensorFlow, as one tf.function, like TensorFlow's own DCGAN tutorial."""
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from tensorflow.keras import layers


def up(F, K, S, bias=True):
    return layers.Conv2DTranspose(F, K, S, padding="same", use_bias=bias)


def down(F, K):
    return layers.Conv2D(F, K, 2, padding="same")


def leaky(alpha):
    return layers.LeakyReLU(negative_slope=alpha)


def mlp_gan():
    def relu_layers(*sizes):
        return [layers.Dense(size, activation="relu") for size in sizes]
    G = tf.keras.Sequential([*relu_layers(256, 512, 1024), layers.Dense(784, activation="tanh"),
                             layers.Reshape((28, 28, 1))])
    return G, tf.keras.Sequential([layers.Flatten(), *relu_layers(1024, 512, 256), layers.Dense(1)])


def dcgan_28():
    G = tf.keras.Sequential([
        layers.Dense(12544, use_bias=False), layers.BatchNormalization(), leaky(0.3), layers.Reshape((7, 7, 256)),
        up(128, 5, 1, False), layers.BatchNormalization(), leaky(0.3), up(64, 5, 2, False), layers.BatchNormalization(),
        leaky(0.3), up(1, 5, 2, False), layers.Activation("tanh")])
    D = tf.keras.Sequential([down(64, 5), leaky(0.3), layers.Dropout(0.3), down(128, 5), leaky(0.3), layers.Dropout(0.3),
                             layers.Flatten(), layers.Dense(1)])
    return G, D


def dcgan_64():
    G = tf.keras.Sequential([
        layers.Dense(8192), layers.BatchNormalization(), leaky(0.2), layers.Reshape((8, 8, 128)),
        up(128, 4, 2), layers.BatchNormalization(), leaky(0.2), up(64, 4, 2), layers.BatchNormalization(), leaky(0.2),
        up(3, 4, 2), layers.Activation("tanh")])
    D = tf.keras.Sequential([down(128, 4), leaky(0.2), down(128, 4), leaky(0.2), layers.Flatten(), layers.Dense(1)])
    return G, D


def dcgan_64_stem():
    stem = [layer for size in (128, 128, 1024, 1024)
            for layer in (layers.Dense(size), leaky(0.2), layers.BatchNormalization(momentum=0.8))]
    body = [layer for size in (128, 128, 64)
            for layer in (up(size, 4, 2), layers.BatchNormalization(momentum=0.8), leaky(0.2))]
    G = tf.keras.Sequential([*stem, layers.Dense(4096, activation="relu"), layers.Reshape((4, 4, 256)), *body,
                             up(3, 4, 2), layers.Activation("tanh")])
    D = tf.keras.Sequential([layer for size in (64, 128, 128) for layer in (down(size, 4), leaky(0.2))]
                            + [layers.Flatten(), layers.Dense(1)])
    return G, D


def make_step(model, batch, update, threads):
    """A function of no arguments that does one training step, with the non-saturating loss."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    G, D = {"mlp_gan": mlp_gan, "dcgan_28": dcgan_28, "dcgan_64": dcgan_64, "dcgan_64_stem": dcgan_64_stem}[model]()
    adam_G, adam_D = (tf.keras.optimizers.Adam(2e-4, 0.5) for _ in "GD")
    real = tf.stop_gradient(G(tf.random.normal((batch, 100))))
    D(real)
    loss = tf.keras.losses.BinaryCrossentropy(from_logits=True)

    @tf.function
    def simultaneous():
        with tf.GradientTape(persistent=True) as tape:
            fake = G(tf.random.normal((batch, 100)), training=True)
            logits_real, logits_fake = D(real, training=True), D(fake, training=True)
            loss_D = loss(tf.ones_like(logits_real), logits_real) + loss(tf.zeros_like(logits_fake), logits_fake)
            loss_G = loss(tf.ones_like(logits_fake), logits_fake)
        adam_D.apply_gradients(zip(tape.gradient(loss_D, D.trainable_variables), D.trainable_variables))
        adam_G.apply_gradients(zip(tape.gradient(loss_G, G.trainable_variables), G.trainable_variables))

    @tf.function
    def alternating():
        with tf.GradientTape() as tape_G:
            fake = G(tf.random.normal((batch, 100)), training=True)
            with tf.GradientTape() as tape_D:
                logits_real, logits_fake = D(real, training=True), D(tf.stop_gradient(fake), training=True)
                loss_D = loss(tf.ones_like(logits_real), logits_real) + loss(tf.zeros_like(logits_fake), logits_fake)
            adam_D.apply_gradients(zip(tape_D.gradient(loss_D, D.trainable_variables), D.trainable_variables))
            logits_fake = D(fake, training=True)
            loss_G = loss(tf.ones_like(logits_fake), logits_fake)
        adam_G.apply_gradients(zip(tape_G.gradient(loss_G, G.trainable_variables), G.trainable_variables))

    return alternating if update == "alternating" else simultaneous


def describe():
    return f"TensorFlow {tf.__version__}, tf.function, {tf.config.threading.get_intra_op_parallelism_threads()} threads"
