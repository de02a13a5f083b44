"""Trains the network and converts it: writes `bilstm_se.tflite` and `golden.json`.

    python -m training.train --models DIRECTORY

Needs TensorFlow 2.15 (Keras 2). The same machine gives the same file, byte for byte; another processor rounds
differently, and then `training.release` says how near the embeddings of the golden inputs are.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

# Before TensorFlow is imported: a GPU, or the order of its threads, would make every run another.
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from penlatch.verify.artefacts import NETWORK
from penlatch.verify.bilstm_se import golden_input
from training.convert import convert
from training.datasets import load
from training.network import BATCH, DualTask, build, optimizer
from training.protocols import TRAINING, held_out
from training.samples import CHANNELS, LENGTH, NETWORK_FEATURES, Samples, make, select

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEED = 1
EPOCHS = 20
"""Fixed, not found on somebody: the figures on held-out people are flat from 15 epochs on."""
VARIATIONS = 6
"""Different variations of each signature; epochs take turns."""
GOLDEN = 8
"""Golden inputs in `golden.json`."""


def train(samples: list[Samples], *, epochs: int) -> tf.keras.Model:
    """Train the embedding network, epoch e on `samples[e % len(samples)]`, and return it with averaged weights."""
    tf.keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    features = np.concatenate([s.features for s in samples])
    network = build(
        length=LENGTH,
        channels=len(CHANNELS),
        features=len(NETWORK_FEATURES),
        mean=features.mean(axis=0),
        deviation=features.std(axis=0),
    )
    tasks = DualTask(network, int(samples[0].classes.max()) + 1)
    tasks.compile(optimizer=optimizer())
    begun = time.monotonic()
    for epoch in range(epochs):
        seen = samples[epoch % len(samples)]
        order = np.random.default_rng((SEED, epoch)).permutation(len(seen.classes))
        inputs = (seen.sequences[order].astype(np.float32), seen.features[order])
        batches = tf.data.Dataset.from_tensor_slices((inputs, seen.classes[order])).batch(BATCH, drop_remainder=True)
        losses = tasks.fit(batches, epochs=1, verbose=0).history
        told = "  ".join(f"{name} {values[-1]:.3f}" for name, values in losses.items())
        print(f"epoch {epoch + 1:2d}/{epochs}  {told}  {time.monotonic() - begun:.0f} s", flush=True)
    tasks.optimizer.finalize_variable_values(tasks.trainable_variables)
    return network


def golden(network: tf.keras.Model, content: bytes) -> dict[str, object]:
    """Embed the golden inputs with Keras and with the converted file: unit vectors, rounded to 1e-6."""
    interpreter = tf.lite.Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    vectors = []
    for number in range(GOLDEN):
        sequence, features = golden_input(number, length=LENGTH, channels=len(CHANNELS), features=len(NETWORK_FEATURES))
        interpreter.reset_all_variables()
        for detail in interpreter.get_input_details():
            interpreter.set_tensor(detail["index"], (sequence if len(detail["shape"]) == 3 else features)[None])
        interpreter.invoke()
        converted = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
        original = network([sequence[None], features[None]], training=False).numpy()[0]
        vectors.append({"input": number, "keras": _unit(original), "converted": _unit(converted)})
    return {"made_with": f"tensorflow {tf.__version__}", "vectors": vectors}


def _unit(vector: NDArray[np.float32]) -> list[float]:
    unit = vector.astype(np.float64) / np.linalg.norm(vector)
    return [round(float(value), 6) for value in unit]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", type=Path, required=True, help="folder to write to")
    parser.add_argument("--data", type=Path, help="folder of the databases (default: $PENLATCH_DATA or ../shared/data)")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=argparse.SUPPRESS)
    options = parser.parse_args()

    records = [r for database in TRAINING for r in load(database, options.data) if not held_out(r)]
    inks, classes = select(records)
    print(f"{len(inks)} signatures, {classes.max() + 1} classes; making {VARIATIONS} variations of each", flush=True)
    samples = [make(inks, classes, variation=number) for number in range(VARIATIONS)]
    network = train(samples, epochs=options.epochs)
    content = convert(network)
    options.models.mkdir(parents=True, exist_ok=True)
    (options.models / NETWORK).write_bytes(content)
    (options.models / "golden.json").write_text(json.dumps(golden(network, content)) + "\n", encoding="utf-8")
    print(f"{options.models / NETWORK}: {len(content)} bytes, {network.count_params()} parameters")


if __name__ == "__main__":
    main()
