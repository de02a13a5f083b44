"""The backbone: a MobileNetV3-small-class network from a raster to features, pre-trained to tell writers apart.

The blocks are those of MobileNetV3-small (Howard et al. 2019, table 2): inverted residuals with squeeze-and-excitation,
ReLU below and hard-swish above. It departs from that table where a signature is not a photograph: the last stride is
left out and nothing is pooled, since *where* a stroke stands is what tells a hand; and it is narrower, since a few
hundred writers could not fill more.

No weights come from photographs. Pre-training is a classification of writers (cosine softmax with an additive margin);
what follows trains on pairs, with the trunk frozen (see `hypotheses`). Keras 2.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import tensorflow as tf

from penlatch.signal.raster import HEIGHT, WIDTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

FEATURES: Final = 96
"""Length of the vector that the image becomes."""
BATCH: Final = 32
LEARNING_RATE: Final = 2e-3
"""At its highest; it rises over the first twentieth of all steps and falls along a cosine."""
WEIGHT_DECAY: Final = 2e-4
"""Share of the weights that is lost per step, times the learning rate over its highest."""
MARGIN: Final = 0.15
"""What a class must be ahead of every other by, as a cosine."""
FLIPS: Final = ((1, 1), (1, -1), (-1, 1), (-1, -1))
"""Upside down, mirrored, or both, a writer's signature is that of another writer: step of rows and columns."""
_UPRIGHT: Final = 0.4
"""Share of the signatures that are left as they are; the others are flipped one way as often as another."""
SCALE: Final = 16.0
"""Sharpness of the softmax over cosines."""
DROPOUT: Final = 0.2
_SHIFT: Final = 0.04
"""Deviation of the shift in training [sides of the raster]."""
_STRETCH: Final = 0.11
"""Deviation of the logarithm of the scale of either axis in training."""
_HIDDEN: Final = (16, 32)
"""Height and width of the largest patch that is hidden from the network in training [pixels]."""

_L = tf.keras.layers


@dataclass(frozen=True)
class Backbone:
    """The network in two parts."""

    trunk: tf.keras.Model
    """`image` float32 [HEIGHT, WIDTH, 1], 1 for ink, to maps; frozen after pre-training."""
    tail: tf.keras.Model
    """Maps to features [FEATURES]: the last block and a linear layer, trained on pairs as well."""

    def whole(self) -> tf.keras.Model:
        """Return both as one model."""
        return tf.keras.Model(self.trunk.input, self.tail(self.trunk.output), name="pair")


def _swish(x: Any) -> Any:
    return _L.Multiply()([x, _L.Rescaling(1 / 6)(_L.ReLU(6.0)(_L.Rescaling(1.0, 3.0)(x)))])


def _active(x: Any, *, swish: bool) -> Any:
    return _swish(x) if swish else _L.ReLU()(x)


def _convolved(x: Any, filters: int, *, width: int, stride: int) -> Any:
    return _L.BatchNormalization()(_L.Conv2D(filters, width, stride, padding="same", use_bias=False)(x))


def _block(x: Any, filters: int, *, inner: int, width: int, stride: int, attention: bool, swish: bool) -> Any:
    """One inverted residual."""
    y = x if inner == x.shape[-1] else _active(_convolved(x, inner, width=1, stride=1), swish=swish)
    y = _L.BatchNormalization()(_L.DepthwiseConv2D(width, stride, padding="same", use_bias=False)(y))
    y = _active(y, swish=swish)
    if attention:
        z = _L.GlobalAveragePooling2D(keepdims=True)(y)
        z = _L.Conv2D(inner, 1, activation="hard_sigmoid")(_L.Conv2D(max(inner // 4, 8), 1, activation="relu")(z))
        y = _L.Multiply()([y, z])
    y = _convolved(y, filters, width=1, stride=1)
    return _L.Add()([x, y]) if stride == 1 and filters == x.shape[-1] else y


def build() -> Backbone:
    """Build an untrained backbone."""
    image = tf.keras.Input((HEIGHT, WIDTH, 1), name="image")
    x = _active(_convolved(image, 16, width=3, stride=2), swish=True)
    x = _block(x, 16, inner=16, width=3, stride=2, attention=True, swish=False)
    x = _block(x, 24, inner=64, width=3, stride=2, attention=False, swish=False)
    x = _block(x, 24, inner=80, width=3, stride=1, attention=False, swish=False)
    x = _block(x, 40, inner=96, width=5, stride=2, attention=True, swish=True)
    x = _block(x, 40, inner=160, width=5, stride=1, attention=True, swish=True)
    trunk = tf.keras.Model(image, _block(x, 48, inner=160, width=5, stride=1, attention=True, swish=True))

    maps = tf.keras.Input(trunk.output_shape[1:], name="maps")
    x = _block(maps, 48, inner=192, width=5, stride=1, attention=True, swish=True)
    x = _active(_convolved(x, 32, width=1, stride=1), swish=True)
    x = _L.Dropout(DROPOUT)(_L.Flatten()(x))
    return Backbone(trunk=trunk, tail=tf.keras.Model(maps, _L.Dense(FEATURES, name="features")(x)))


def inked(rasters: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn rasters uint8 [n, HEIGHT, WIDTH] into the network's input float32 [n, HEIGHT, WIDTH, 1]."""
    return (1.0 - rasters.astype(np.float32) / 255.0)[..., None]


def rate(step: int, steps: int, highest: float) -> float:
    """Return the learning rate at a step: up in a straight line, then down along half a cosine."""
    rising = max(steps // 20, 1)
    if step < rising:
        return highest * (step + 1) / rising
    return float(highest * 0.5 * (1.0 + np.cos(np.pi * (step - rising) / max(steps - rising, 1))))


def pretrain(
    backbone: Backbone,
    rasters: Callable[[int], NDArray[np.uint8]],
    classes: NDArray[np.intp],
    *,
    epochs: int,
    seed: int,
    highest: float = LEARNING_RATE,
    say: Callable[[str], None] = print,
) -> None:
    """Teach the backbone to tell writers apart.

    Args:
        backbone: Changed in place.
        rasters: The signatures as they look in an epoch, uint8 [n, HEIGHT, WIDTH].
        classes: Their writers, int [n], counted from 0.
        epochs: How often each signature is seen.
        seed: Of the order and of what is hidden.
        highest: Learning rate at its highest.
        say: Told once an epoch.
    """
    whole = backbone.whole()
    initial = tf.keras.initializers.GlorotUniform(seed=seed)
    writers = int(classes.max()) + 1
    directions = tf.Variable(initial((writers * len(FLIPS), FEATURES)), name="directions")
    variables = [*whole.trainable_variables, directions]
    optimizer = tf.keras.optimizers.Adam(highest, clipnorm=5.0)
    optimizer.build(variables)
    decayed = [v for v in variables if "kernel" in v.name]

    @tf.function(  # type: ignore[untyped-decorator]  # TensorFlow has no types
        input_signature=[
            tf.TensorSpec([BATCH, HEIGHT, WIDTH, 1], tf.float32),
            tf.TensorSpec([BATCH], tf.int64),
            tf.TensorSpec([], tf.float32),
        ]
    )
    def step(images: Any, labels: Any, share: Any) -> Any:
        optimizer.learning_rate.assign(highest * share)
        with tf.GradientTape() as tape:
            unit = tf.math.l2_normalize(whole(images, training=True), axis=1)
            cosine = tf.matmul(unit, tf.math.l2_normalize(directions, axis=1), transpose_b=True)
            target = tf.one_hot(labels, tf.shape(cosine)[1])
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(target, SCALE * (cosine - MARGIN * target)))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        for v in decayed:
            v.assign_sub(WEIGHT_DECAY * share * v)
        right = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(cosine, axis=1), labels), tf.float32))
        return loss, right

    per_epoch = len(classes) // BATCH
    begun = time.monotonic()
    for epoch in range(epochs):
        rng = np.random.default_rng((seed, epoch))
        order = rng.permutation(len(classes))
        now = rasters(epoch)
        told = []
        for number in range(per_epoch):
            rows = order[number * BATCH : (number + 1) * BATCH]
            share = rate(epoch * per_epoch + number, epochs * per_epoch, 1.0)
            images, flips = flipped(disturbed(inked(now[rows]), rng), rng)
            told.append(step(images, classes[rows] + writers * flips, share))
        loss, right = np.mean([[float(value) for value in pair] for pair in told], axis=0)
        say(
            f"epoch {epoch + 1:2d}/{epochs}  loss {loss:.3f}  writers right {100 * right:.1f} %"
            f"  {time.monotonic() - begun:.0f} s"
        )


def disturbed(images: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Shift and stretch each image and hide a patch of every second one; changed in place.

    A longer flourish, or a stamp beside the signature, moves all of the rest within its frame.
    """
    for image in images:
        down, across = (_stretch(side, rng) for side in (HEIGHT, WIDTH))
        image[..., 0] = down @ image[..., 0] @ across.T
        if rng.random() < 0.5:
            height, width = rng.integers(4, _HIDDEN[0] + 1), rng.integers(8, _HIDDEN[1] + 1)
            top, left = rng.integers(0, HEIGHT - height), rng.integers(0, WIDTH - width)
            image[top : top + height, left : left + width] = 0.0
    return images


def _stretch(side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the matrix that stretches and shifts a line of pixels, by linear interpolation: float32 [side, side]."""
    pixel = np.arange(side)
    at = (pixel - side / 2 - rng.normal(0, _SHIFT * side)) * np.exp(rng.normal(0, _STRETCH)) + side / 2
    near: NDArray[np.float32] = np.clip(1.0 - np.abs(at[:, None] - pixel[None, :]), 0.0, 1.0).astype(np.float32)
    return near


def flipped(images: NDArray[np.float32], rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Flip each image in a way drawn at random; return them, and which of `FLIPS` it was."""
    others = (1 - _UPRIGHT) / (len(FLIPS) - 1)
    which = rng.choice(len(FLIPS), len(images), p=[_UPRIGHT, *[others] * (len(FLIPS) - 1)])
    turned = [image[:: FLIPS[flip][0], :: FLIPS[flip][1]] for image, flip in zip(images, which, strict=True)]
    return np.stack(turned), which
