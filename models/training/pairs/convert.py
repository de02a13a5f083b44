"""Keras -> TensorFlow Lite with int8 weights, for the backbone: one picture in, its features out."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def convert(whole: tf.keras.Model) -> bytes:
    """Convert a model from `image` [HEIGHT, WIDTH, 1] to features: int8 weights, float32 in and out, batch 1."""

    @tf.function(  # type: ignore[untyped-decorator]  # TensorFlow has no types
        input_signature=[tf.TensorSpec([1, *whole.input_shape[1:]], tf.float32, name="image")]
    )
    def one(image: Any) -> dict[str, Any]:
        return {"features": whole(image, training=False)}

    converter = tf.lite.TFLiteConverter.from_concrete_functions([one.get_concrete_function()], whole)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    # tflite-runtime 2.14 refuses per-channel weights in dense layers.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True  # noqa: SLF001 - no public name
    content: bytes = converter.convert()
    return content
