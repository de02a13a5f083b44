"""The dual-task network: residual channel attention, a bidirectional LSTM, cross-entropy and center loss (Keras 2).

After the BiLSTM-SE dual-task paper: SE blocks on the residual branch (equations 1-4), a bidirectional LSTM (5-10),
cross-entropy over classes (11) and center loss (12), summed with alpha = 1 and beta = 0.1 (15), Adam with the values
of its table 1. Where penlatch departs from it, and why:

- The paper trains one classifier per user on that user's forgeries. A door has no forgeries of its owner, so here the
  classes are writers, each once genuine and once forged, and what is kept is the embedding before the classes: it
  serves people the network has never met.
- The embedding has unit length and the classes are directions (cosine softmax with an additive margin), so that what
  is compared at the door, an angle, is what was trained.
- Batches hold 64, not 4: five times faster on a CPU. The weights that are kept are a running mean over the last
  steps, in place of a learning rate that falls.

Only layers that TensorFlow Lite fuses are used: no mask, no dropout inside the LSTM, a fixed length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ALPHA = 1.0
"""Weight of cross-entropy."""
BETA = 0.1
"""Weight of center loss."""
EMBEDDING = 64
"""Length of the vector a signature becomes."""
MARGIN = 0.2
"""What a class must be ahead of every other by, as a cosine."""
SCALE = 16.0
"""Sharpness of the softmax over cosines."""
BATCH = 64

LEARNING_RATE = 2e-3
"""The paper gives none."""
ADAM = {"beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-8}
DECAY = 1e-5
"""Learning rate at step n: LEARNING_RATE / (1 + DECAY n)."""
AVERAGING = 0.998
"""Share of the running mean of the weights that stays at each step."""

_L = tf.keras.layers


def _attention(u: Any, *, reduction: int) -> Any:
    """Squeeze-and-excitation, equations (1) to (3): scale each channel by what the whole sequence says of it."""
    channels = u.shape[-1]
    z = _L.GlobalAveragePooling1D()(u)
    s = _L.Dense(channels, activation="sigmoid")(_L.Dense(channels // reduction, activation="relu")(z))
    return _L.Multiply()([u, _L.Reshape((1, channels))(s)])


def _residual(x: Any, *, filters: int, width: int, stride: int) -> Any:
    """Two convolutions with attention, added to a shortcut: equation (4)."""
    g = _L.Conv1D(filters, width, strides=stride, padding="same", use_bias=False)(x)
    g = _L.ReLU()(_L.BatchNormalization()(g))
    g = _L.BatchNormalization()(_L.Conv1D(filters, width, padding="same", use_bias=False)(g))
    g = _attention(g, reduction=8)
    shortcut = _L.BatchNormalization()(_L.Conv1D(filters, 1, strides=stride, padding="same", use_bias=False)(x))
    return _L.ReLU()(_L.Add()([g, shortcut]))


def build(
    *, length: int, channels: int, features: int, mean: NDArray[np.float64], deviation: NDArray[np.float64]
) -> tf.keras.Model:
    """Build the embedding network.

    Args:
        length: Samples of a sequence.
        channels: Channels of a sequence.
        features: Number of global features.
        mean: Of each global feature over the training data, float64 [features].
        deviation: Likewise, its standard deviation.

    Returns:
        A model from `sequence` [length, channels] and `features` [features] to `embedding` [EMBEDDING], whose
        direction counts; its length is not yet 1.
    """
    sequence = tf.keras.Input((length, channels), name="sequence")
    globals_ = tf.keras.Input((features,), name="features")
    x = _residual(sequence, filters=48, width=5, stride=2)
    x = _residual(x, filters=64, width=3, stride=2)
    x = _L.Bidirectional(_L.LSTM(64, return_sequences=True))(x)
    weight = _L.Softmax(axis=1)(_L.Dense(1)(_L.Dense(32, activation="tanh")(x)))
    pooled = _L.Flatten()(_L.Dot(axes=(1, 1))([weight, x]))
    # One feature far out of its range must not outshout the rest.
    z = _L.Normalization(mean=mean, variance=deviation**2)(globals_)
    z = _L.Activation("tanh")(_L.Rescaling(1 / 3)(z))
    z = _L.Dense(32, activation="relu")(z)
    embedding = _L.Dense(EMBEDDING, name="embedding")(_L.Concatenate()([pooled, z]))
    return tf.keras.Model([sequence, globals_], embedding, name="bilstm_se")


class DualTask(tf.keras.Model):  # type: ignore[misc]  # TensorFlow has no types
    """The embedding network with both tasks on top, for training only."""

    def __init__(self, embedding: tf.keras.Model, classes: int) -> None:
        super().__init__()
        self.embedding = embedding
        shape = (classes, EMBEDDING)
        self.directions = self.add_weight(name="directions", shape=shape, initializer="glorot_uniform")
        # A gradient step on (12) moves the center of the classes in the batch, and no other: the paper's delta rule.
        self.centers = self.add_weight(name="centers", shape=shape, initializer="zeros")

    def call(self, inputs: Any, training: bool | None = None) -> Any:  # noqa: FBT001 - Keras' own signature
        """Return unit embeddings."""
        return tf.math.l2_normalize(self.embedding(inputs, training=training), axis=1)

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step on a batch of (inputs, classes)."""
        inputs, classes = data
        with tf.GradientTape() as tape:
            x = self(inputs, training=True)
            cosine = tf.matmul(x, tf.math.l2_normalize(self.directions, axis=1), transpose_b=True)
            target = tf.one_hot(classes, tf.shape(cosine)[1])
            logits = SCALE * (cosine - MARGIN * target)
            entropy = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(target, logits))
            distance = tf.reduce_sum(tf.square(x - tf.gather(self.centers, classes)), axis=1)
            center = 0.5 * tf.reduce_mean(distance)
            loss = ALPHA * entropy + BETA * center
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return {"loss": loss, "entropy": entropy, "center": center}


def optimizer() -> tf.keras.optimizers.Optimizer:
    """Return Adam with the paper's values, averaging the weights as it goes."""
    rate = tf.keras.optimizers.schedules.InverseTimeDecay(LEARNING_RATE, decay_steps=1, decay_rate=DECAY)
    return tf.keras.optimizers.Adam(rate, **ADAM, use_ema=True, ema_momentum=AVERAGING, clipnorm=5.0)
