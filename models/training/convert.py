"""Parameters -> Keras -> TensorFlow Lite with int8 weights, and every trap of that road guarded.

Each guard cost somebody a day: the batch is fixed to 1 (an open batch does not convert); the converter's hidden
`cellClip = 10` is taken out of the fused LSTMs; a file with loops, Flex operators or unfused LSTMs is refused;
memory is limited, since a failing conversion can take all there is. Keras 2 is used because Keras 3 unrolls the LSTM.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Before TensorFlow is imported.
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf
from tensorflow.lite.tools import flatbuffer_utils

from training.network import HIDDEN, Convolution, blocks
from training.parameters import read
from training.samples import LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    Parameters = Mapping[str, NDArray[np.float32]]

MEMORY_LIMIT = 12 * 2**30
"""Address space a conversion may take [bytes]."""
LSTMS = 2
"""Fused LSTMs in the network: forwards and backwards."""
_FORBIDDEN = frozenset({"WHILE", "IF", "CUSTOM", "VAR_HANDLE", "CALL_ONCE"})

_L = tf.keras.layers


class ConversionError(RuntimeError):
    """The converter made something that must not be shipped."""


def keras(parameters: Parameters, *, length: int) -> tf.keras.Model:
    """Build the network of `training.network.apply` in Keras, with these parameters.

    Args:
        parameters: as `training.train.train` returns them.
        length: rows of a sequence.

    Returns:
        A model from `sequence` [length, channels] and `features` [features] to `frames` [length / STRIDE, FRAME] and to
        `embedding` [EMBEDDING].
    """
    p = parameters
    sequence = tf.keras.Input((length, len(p["scaling.sequence_mean"])), name="sequence")
    features = tf.keras.Input((len(p["scaling.features_mean"]),), name="features")
    x = _scaled(sequence, p["scaling.sequence_mean"], p["scaling.sequence_deviation"])
    x = _L.Lambda(lambda values: tf.clip_by_value(values, -5.0, 5.0))(x)
    for name, block in blocks(x.shape[-1]).items():
        u = _L.ReLU()(_convolution(p, f"{name}.1", block.first, x))
        u = _convolution(p, f"{name}.2", block.second, u)
        s = _dense(p, f"{name}.squeeze", _L.GlobalAveragePooling1D()(u), activation="relu")
        s = _dense(p, f"{name}.excite", s, activation="sigmoid")
        u = _L.Multiply()([u, _L.Reshape((1, u.shape[-1]))(s)])
        x = _L.ReLU()(_L.Add()([u, _convolution(p, f"{name}.s", block.shortcut, x) if block.shortcut else x]))
    both = _bidirectional(p, x)
    frames = _dense(p, "frames", both)
    score = _dense(p, "attention.2", _dense(p, "attention.1", both, activation="tanh"))
    pooled = _L.Flatten()(_L.Dot(axes=(1, 1))([_L.Softmax(axis=1)(score), both]))
    z = _scaled(features, p["scaling.features_mean"], 3.0 * p["scaling.features_deviation"])
    z = _dense(p, "features", _L.Activation("tanh")(z), activation="relu")
    embedding = _dense(p, "embedding", _L.Concatenate()([pooled, z]))
    return tf.keras.Model([sequence, features], [frames, embedding], name="bilstm_se")


def _scaled(x: Any, mean: NDArray[np.float32], deviation: NDArray[np.float32]) -> Any:
    return _L.Normalization(mean=mean, variance=deviation.astype("float64") ** 2)(x)


def _dense(p: Parameters, name: str, x: Any, **options: Any) -> Any:
    layer = _L.Dense(p[f"{name}.w"].shape[1], **options)
    y = layer(x)
    layer.set_weights([p[f"{name}.w"], p[f"{name}.b"]])
    return y


def _convolution(p: Parameters, name: str, shape: Convolution, x: Any) -> Any:
    layer = _L.Conv1D(shape.outputs, shape.width, strides=shape.stride, padding="same")
    y = layer(x)
    layer.set_weights([p[f"{name}.w"], p[f"{name}.b"]])
    return y


def _bidirectional(p: Parameters, x: Any) -> Any:
    layer = _L.Bidirectional(_L.LSTM(HIDDEN, return_sequences=True))
    y = layer(x)
    # Gates are i, f, g, o in both.
    layer.set_weights([p[f"lstm.{d}.{part}"] for d in ("forward", "backward") for part in ("x.w", "h.w", "b")])
    return y


def convert(network: tf.keras.Model) -> bytes:
    """Convert the network: int8 weights, float32 activations, inputs and outputs; batch 1.

    Raises:
        ConversionError: if the result would not run fused on the plain runtime.
    """
    signature = [tf.TensorSpec([1, *i.shape[1:]], tf.float32, name=i.name) for i in network.inputs]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def one(sequence: Any, features: Any) -> dict[str, Any]:
        frames, embedding = network([sequence, features], training=False)
        return {"frames": frames, "embedding": embedding}

    with _memory_limit(MEMORY_LIMIT):
        converter = tf.lite.TFLiteConverter.from_concrete_functions([one.get_concrete_function()], network)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        # tflite-runtime 2.14 refuses per-channel weights in dense layers.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True  # noqa: SLF001 - no public name
        content = converter.convert()
    content = _without_cell_clip(content)
    _gate(content)
    return content


def _without_cell_clip(content: bytes) -> bytes:
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    patched = 0
    for graph in model.subgraphs:
        for operator in graph.operators:
            if hasattr(operator.builtinOptions, "cellClip"):
                operator.builtinOptions.cellClip = 0.0
                patched += 1
    if patched != LSTMS:
        raise ConversionError(f"{patched} fused LSTMs, {LSTMS} expected")
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _gate(content: bytes) -> None:
    operators = [detail["op_name"] for detail in tf.lite.Interpreter(model_content=content)._get_ops_details()]  # noqa: SLF001 - no public name
    bad = sorted({name for name in operators if name in _FORBIDDEN or name.startswith("Flex")})
    if bad:
        raise ConversionError(f"operators that must not be there: {', '.join(bad)}")
    fused = operators.count("UNIDIRECTIONAL_SEQUENCE_LSTM")
    if fused != LSTMS:
        raise ConversionError(f"{fused} fused LSTMs, {LSTMS} expected")


@contextlib.contextmanager
def _memory_limit(limit: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def main() -> None:
    """Convert networks of the working folder: `NAME.npz` -> `NAME.tflite`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("networks", nargs="+")
    parser.add_argument("--work", type=Path, default=Path("build/train"), help="working folder")
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    for name in options.networks:
        path = options.work / "networks" / f"{name}.npz"
        content = convert(keras(read(path), length=LENGTH))
        draft = path.with_suffix(".draft")
        draft.write_bytes(content)
        draft.replace(path.with_suffix(".tflite"))


if __name__ == "__main__":
    main()
