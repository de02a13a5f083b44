"""Folders: a network and a calibration as a model folder that a terminal can load: the manifest and what it names."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from penlatch.verify import pair
from penlatch.verify.artefacts import CALIBRATION, FORMAT, MANIFEST, NETWORK, Features, Manifest, Sequence
from penlatch.verify.bilstm_se import EMBEDDING as EMBEDDING_OUTPUT
from penlatch.verify.bilstm_se import FRAMES as FRAMES_OUTPUT
from penlatch.verify.runtime import RUNTIME, Model
from training.golden import golden_numbers
from training.network import EMBEDDING, FRAME, STRIDE
from training.parameters import golden_inputs
from training.samples import CHANNELS, LENGTH, NETWORK_FEATURES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from penlatch.verify.calibrate import Calibration
    from training.plan import Left

GOLDEN_FILE: Final = "golden.json"
SELF_TEST: Final = 2
"""Golden embeddings in the manifest, which a terminal checks itself with."""
COMMAND: Final = "scripts/train"


def manifest(network: bytes, left: Left, made_with: str) -> Manifest:
    """Describe a network; the calibration, its digest and the metrics are still to come."""
    return Manifest(
        format=FORMAT,
        sha256={NETWORK: hashlib.sha256(network).hexdigest()},
        sequence=Sequence(name="sequence", length=LENGTH, channels=CHANNELS),
        features=Features(name="features", features=NETWORK_FEATURES),
        outputs={EMBEDDING_OUTPUT: (EMBEDDING,), FRAMES_OUTPUT: (LENGTH // STRIDE, FRAME)},
        golden=tuple(tuple(_unit(embedding)) for embedding in embeddings(network)[:SELF_TEST]),
        training_data={"left_out": {"folds": sorted(left.folds), "databases": left.family}},
        metrics={},
        command=COMMAND,
        versions={
            "network": made_with,
            "calibration": RUNTIME,
            "numpy": importlib.metadata.version("numpy"),
            "python": platform.python_version(),
        },
    )


def embeddings(network: bytes) -> list[NDArray[np.float32]]:
    """Return the embeddings of the golden inputs, by the runtime of a terminal."""
    model = Model(
        network,
        path=NETWORK,
        inputs={"sequence": (LENGTH, len(CHANNELS)), "features": (len(NETWORK_FEATURES),)},
        outputs={EMBEDDING_OUTPUT: (EMBEDDING,), FRAMES_OUTPUT: (LENGTH // STRIDE, FRAME)},
    )
    return [model.run({"sequence": rows, "features": features})[EMBEDDING_OUTPUT] for rows, features in golden_inputs()]


def write(
    folder: Path,
    network: bytes,
    described: Manifest,
    calibration: Calibration,
    *,
    people: Mapping[str, int],
    metrics: Mapping[str, Any],
) -> Manifest:
    """Write a model folder.

    Args:
        folder: made where it is not there.
        network: the `.tflite` file.
        described: by `manifest`.
        calibration: fitted for this network.
        people: how many of each database the calibration was fitted to.
        metrics: what was measured of models of this make.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = calibration.to_bytes()
    whole = msgspec.structs.replace(
        described,
        sha256={
            NETWORK: hashlib.sha256(network).hexdigest(),
            CALIBRATION: hashlib.sha256(content).hexdigest(),
            **{name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in pair_files(folder)},
        },
        training_data={**described.training_data, "people": dict(people)},
        metrics=dict(metrics),
    )
    (folder / NETWORK).write_bytes(network)
    (folder / CALIBRATION).write_bytes(content)
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n")
    return whole


def pair_files(folder: Path) -> tuple[str, ...]:
    """Return the files of the image pair network that `training.pairs.train` put into a folder, if it did."""
    return tuple(name for name in (pair.NETWORK, pair.HEAD) if (folder / name).exists())


def write_golden(folder: Path, original: list[NDArray[np.float32]], network: bytes, scorer: Any) -> None:
    """Write `golden.json`: what comes out of formulas, so that a change of anything below the models is noticed.

    Args:
        folder: of the models.
        original: embeddings of the golden inputs before quantization.
        network: the `.tflite` file.
        scorer: the network, loaded.
    """
    vectors = [
        {"input": number, "original": _unit(before), "converted": _unit(after)}
        for number, (before, after) in enumerate(zip(original, embeddings(network), strict=True))
    ]
    kept = {"vectors": vectors, "traces": golden_numbers(scorer)}
    (folder / GOLDEN_FILE).write_text(json.dumps(kept, separators=(",", ":")) + "\n", encoding="utf-8")


def _unit(vector: NDArray[np.float32]) -> list[float]:
    unit = vector.astype(np.float64) / np.linalg.norm(vector)
    return [round(float(value), 6) for value in unit]
