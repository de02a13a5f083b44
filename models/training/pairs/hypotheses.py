"""The three hypotheses of the image pair document, trained on the same pairs over the same frozen trunk.

* `euclidean` (1.1): the distance between embeddings, one linear layer above the features, with contrastive loss.
* `learned` (1.2): the squared differences of the features, then three dense layers.
* `product` (2): the element-wise product of the features, then a shallow dense head, with binary cross-entropy.

All of them see features of unit length, and all of them train the last block of the backbone with their head. Batches
are balanced: as many pairs by one hand as by two.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import tensorflow as tf

from training.pairs.backbone import FEATURES, rate

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


Hypothesis = Literal["euclidean", "learned", "product"]

PAIRS: Final = 64
"""Pairs of one batch."""
LEARNING_RATE: Final = 1e-3
TAIL_SHARE: Final = 0.3
"""Share of the learning rate at which the last block moves: it knows writers already."""
CONTRAST_MARGIN: Final = 1.0
"""How far apart two hands must be (Hadsell et al. 2006, equation 4); unit vectors are at most 2 apart."""
_HIDDEN: Final = 32
"""Units of the head of `product`."""
_SHARPNESS: Final = 8.0
"""The head of `product` begins as a logistic of so many times the cosine: pre-training compares by that."""
_WEIGHT_DECAY: Final = 1e-4

_L = tf.keras.layers


@dataclass(frozen=True)
class PairNetwork:
    """A backbone's tail with a head of one hypothesis."""

    hypothesis: Hypothesis
    tail: tf.keras.Model
    """Maps to features, not yet of unit length."""
    head: tf.keras.Model
    """Two features of unit length to one score, which grows with likeness: a logit, or minus a distance."""


def build(hypothesis: Hypothesis, tail: tf.keras.Model) -> PairNetwork:
    """Put an untrained head on a copy of a pre-trained tail."""
    copy = tf.keras.models.clone_model(tail)
    copy.set_weights(tail.get_weights())
    one, two = tf.keras.Input((FEATURES,)), tf.keras.Input((FEATURES,))
    if hypothesis == "product":
        score = _product(_L.Multiply()([one, two]))
    elif hypothesis == "learned":
        apart = _L.Subtract()([one, two])
        x = _L.Rescaling(float(FEATURES))(_L.Multiply()([apart, apart]))
        x = _L.Dense(32, activation="relu")(_L.Dense(64, activation="relu")(x))
        score = _L.Dense(1)(x)
    else:
        embed = _L.Dense(64, use_bias=False)
        difference = embed(_L.Subtract()([one, two]))
        score = _L.Lambda(lambda d: -tf.sqrt(tf.reduce_sum(tf.square(d), axis=1, keepdims=True) + 1e-9))(difference)
    return PairNetwork(hypothesis=hypothesis, tail=copy, head=tf.keras.Model([one, two], score))


def _product(product: Any) -> Any:
    # Unit vectors of n numbers: their products are about 1 / n.
    x = _L.Rescaling(float(FEATURES))(product)
    return _L.Dense(1, kernel_initializer=_last)(_L.Dense(_HIDDEN, activation="relu", kernel_initializer=_first)(x))


def _first(shape: Any, dtype: Any = None) -> Any:
    """Begin with the cosine of both vectors, and with minus that; the other units are small."""
    kernel = np.random.default_rng(0).normal(0, 0.02, shape)
    kernel[:, 0], kernel[:, 1] = 1 / FEATURES, -1 / FEATURES
    return tf.constant(kernel * _SHARPNESS, dtype)


def _last(shape: Any, dtype: Any = None) -> Any:
    kernel = np.random.default_rng(1).normal(0, 0.02, shape)
    kernel[0], kernel[1] = 1, -1
    return tf.constant(kernel, dtype)


def layers(network: PairNetwork) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return weights and biases of the dense layers of a head, in order."""
    dense = [layer for layer in network.head.layers if isinstance(layer, _L.Dense)]
    return [(layer.kernel.numpy(), layer.bias.numpy()) for layer in dense]


def _loss(hypothesis: Hypothesis, score: Any, same: Any) -> Any:
    if hypothesis == "euclidean":
        distance = -score
        apart = tf.square(tf.nn.relu(CONTRAST_MARGIN - distance))
        return tf.reduce_mean(same * tf.square(distance) + (1.0 - same) * apart)
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(same, score))


class PairSampler:
    """Draws balanced pairs: both of one writer, or of two writers of one database."""

    def __init__(self, writers: NDArray[np.intp], sets: NDArray[np.intp], rng: np.random.Generator) -> None:
        """Index who wrote what.

        Args:
            writers: Of each signature, int [n].
            sets: The database of each signature, int [n].
            rng: Draws.
        """
        self._rng = rng
        self._rows = [np.flatnonzero(writers == writer) for writer in range(int(writers.max()) + 1)]
        self._set = np.array([sets[rows[0]] for rows in self._rows])
        self._able = np.flatnonzero([len(rows) > 1 for rows in self._rows])

    def draw(self, pairs: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
        """Return the rows of both signatures of each pair, and 1 where one hand wrote both."""
        one = np.empty(pairs, dtype=np.intp)
        two = np.empty(pairs, dtype=np.intp)
        for pair, writer in enumerate(self._rng.choice(self._able, pairs)):
            if pair % 2:
                one[pair], two[pair] = self._rng.choice(self._rows[writer], 2, replace=False)
            else:
                others = np.flatnonzero(self._set == self._set[writer])
                other = self._rng.choice(others[others != writer])
                one[pair], two[pair] = self._rng.choice(self._rows[writer]), self._rng.choice(self._rows[other])
        return one, two, (np.arange(pairs) % 2).astype(np.float32)


def train(
    network: PairNetwork,
    maps: Callable[[int], NDArray[np.float16]],
    sampler: PairSampler,
    *,
    epochs: int,
    batches: int,
    say: Callable[[str], None] = print,
) -> None:
    """Train a head and its tail on pairs.

    Args:
        network: Changed in place.
        maps: What the frozen trunk makes of the signatures as they look in an epoch, float16 [n, ...].
        sampler: Draws pairs of rows of them.
        epochs: Rounds of `batches`.
        batches: Steps of one round.
        say: Told once a round.
    """
    tail, head = network.tail, network.head
    # The frozen part's statistics are frozen too: a batch of pairs is no sample of signatures.
    groups = [(tail.trainable_variables, TAIL_SHARE), (head.trainable_variables, 1.0)]
    optimizers = [tf.keras.optimizers.Adam(LEARNING_RATE, clipnorm=5.0) for _ in groups]
    for optimizer, (variables, _) in zip(optimizers, groups, strict=True):
        optimizer.build(variables)

    @tf.function  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def step(one: Any, two: Any, same: Any, share: Any) -> Any:
        with tf.GradientTape() as tape:
            both = tf.math.l2_normalize(tail(tf.concat([one, two], axis=0), training=False), axis=1)
            loss = _loss(network.hypothesis, head([both[:PAIRS], both[PAIRS:]], training=True), same[:, None])
        variables = [v for group, _ in groups for v in group]
        gradients = tape.gradient(loss, variables)
        cut = len(groups[0][0])
        for optimizer, part, (group, speed) in zip(optimizers, (gradients[:cut], gradients[cut:]), groups, strict=True):
            optimizer.learning_rate.assign(LEARNING_RATE * speed * share)
            optimizer.apply_gradients(zip(part, group, strict=True))
            for v in group:
                if "kernel" in v.name:
                    v.assign_sub(_WEIGHT_DECAY * speed * share * v)
        return loss

    begun = time.monotonic()
    for epoch in range(epochs):
        now = maps(epoch)
        losses = []
        for number in range(batches):
            one, two, same = sampler.draw(PAIRS)
            share = tf.constant(rate(epoch * batches + number, epochs * batches, 1.0))
            pictures = (now[rows].astype(np.float32) for rows in (one, two))
            losses.append(float(step(*pictures, same, share)))
        say(
            f"{network.hypothesis}: round {epoch + 1:2d}/{epochs}  loss {np.mean(losses):.4f}"
            f"  {time.monotonic() - begun:.0f} s"
        )
