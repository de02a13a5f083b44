"""Keras -> TensorFlow Lite with int8 weights, and every trap of that road guarded.

Each guard cost somebody a day: the batch is fixed to 1 (an open batch does not convert); the converter's hidden
`cellClip = 10` is taken out of the fused LSTMs; a file with loops, Flex operators or unfused LSTMs is refused;
memory is limited, since a failing conversion can take all there is.
"""

from __future__ import annotations

import contextlib
import resource
from typing import TYPE_CHECKING, Any

import tensorflow as tf
from tensorflow.lite.tools import flatbuffer_utils

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY_LIMIT = 12 * 2**30
"""Address space a conversion may take [bytes]."""
LSTMS = 2
"""Fused LSTMs in the network: forwards and backwards."""
_FORBIDDEN = frozenset({"WHILE", "IF", "CUSTOM", "VAR_HANDLE", "CALL_ONCE"})


class ConversionError(RuntimeError):
    """The converter made something that must not be shipped."""


def convert(embedding: tf.keras.Model) -> bytes:
    """Convert the embedding network: int8 weights, float32 activations, inputs and outputs; batch 1.

    Raises:
        ConversionError: if the result would not run fused on the plain runtime.
    """
    signature = [tf.TensorSpec([1, *i.shape[1:]], tf.float32, name=i.name) for i in embedding.inputs]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def one(sequence: Any, features: Any) -> dict[str, Any]:
        return {"embedding": embedding([sequence, features], training=False)}

    with _memory_limit(MEMORY_LIMIT):
        converter = tf.lite.TFLiteConverter.from_concrete_functions([one.get_concrete_function()], embedding)
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
