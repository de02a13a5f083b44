"""The network and its conversion; needs TensorFlow 2.15, which a terminal never has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip(
    "tensorflow", reason="TensorFlow is not installed: scripts/train makes .venv-train, which has it"
)

from training.convert import ConversionError, _gate, convert  # noqa: E402 - after the skip
from training.network import EMBEDDING, build  # noqa: E402 - likewise
from training.samples import Samples  # noqa: E402 - likewise
from training.train import train  # noqa: E402 - likewise

LENGTH, CHANNELS, FEATURES = 32, 4, 6


def small() -> Any:
    tf.keras.utils.set_random_seed(0)
    return build(
        length=LENGTH, channels=CHANNELS, features=FEATURES, mean=np.zeros(FEATURES), deviation=np.ones(FEATURES)
    )


def test_the_converted_network_agrees_with_keras() -> None:
    network = small()
    interpreter = tf.lite.Interpreter(model_content=convert(network))
    interpreter.allocate_tensors()
    rng = np.random.default_rng(0)
    for _ in range(3):
        inputs = {3: rng.normal(size=(1, LENGTH, CHANNELS)), 2: rng.normal(size=(1, FEATURES))}
        interpreter.reset_all_variables()
        for detail in interpreter.get_input_details():
            interpreter.set_tensor(detail["index"], inputs[len(detail["shape"])].astype(np.float32))
        interpreter.invoke()
        converted = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
        original = network([inputs[3], inputs[2]], training=False).numpy()[0]
        assert original.shape == (EMBEDDING,)
        cosine = converted @ original / np.linalg.norm(converted) / np.linalg.norm(original)
        assert cosine > 0.99


def test_a_loop_is_refused() -> None:
    recurrent = tf.keras.layers.RNN(tf.keras.layers.LSTMCell(4))
    model = tf.keras.Sequential([tf.keras.Input((8, 2), batch_size=1), recurrent])
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    with pytest.raises(ConversionError, match="WHILE"):
        _gate(converter.convert())


def test_training_repeats_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.train.LENGTH", LENGTH)
    monkeypatch.setattr("training.train.CHANNELS", tuple("abcd"))
    monkeypatch.setattr("training.train.NETWORK_FEATURES", tuple("abcdef"))
    monkeypatch.setattr("training.train.BATCH", 8)
    rng = np.random.default_rng(0)
    samples = Samples(
        sequences=rng.normal(size=(24, LENGTH, CHANNELS)).astype(np.float16),
        features=rng.normal(size=(24, FEATURES)).astype(np.float32),
        classes=np.arange(24, dtype=np.int32) % 3,
    )
    first, second = (train([samples], epochs=2).get_weights() for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
