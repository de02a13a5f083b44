"""Scorer `bilstm_se`: how far apart the trained network sees two signatures, as an angle between embeddings.

The network (BiLSTM-SE dual-task paper; `models/bilstm_se.md` says how ours was trained) turns a signature, once, into
one vector, whose comparison is a scalar product, and into frames, which `alignment` compares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from penlatch.errors import ModelError
from penlatch.signal.channels import CHANNELS, sequence
from penlatch.signal.features import FEATURES
from penlatch.verify.artefacts import MANIFEST, NETWORK
from penlatch.verify.runtime import Model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from penlatch.signal.preprocess import Ink
    from penlatch.verify.artefacts import Artefacts

EMBEDDING, FRAMES = "embedding", "frames"
"""Names of the outputs."""

GOLDEN_COSINE = 0.999
"""An embedding of a golden input must be at least this near to the one that was shipped; runtimes round differently."""


def golden_input(
    number: int, *, length: int, channels: int, features: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Make the network's inputs from formulas alone, never from a person; another for each `number` >= 0.

    Channel c at row r, with s = r / (length - 1): sin(2 pi (1 + (number + 2 c) % 7) s + number + c) (1 + c % 3) / 2;
    feature k: 2 cos(number + 1.7 k).

    Returns:
        float32 [length, channels] and [features].
    """
    s = np.linspace(0.0, 1.0, length)[:, None]
    c, k = np.arange(channels), np.arange(features)
    rows = np.sin(2 * np.pi * (1 + (number + 2 * c) % 7) * s + number + c) * (1 + c % 3) / 2
    return rows.astype(np.float32), (2 * np.cos(number + 1.7 * k)).astype(np.float32)


class View(NamedTuple):
    """What the network makes of one signature."""

    embedding: NDArray[np.float32]
    """float32 [embedding], of unit length."""
    frames: NDArray[np.float32]
    """float32 [frames, features]."""


class BilstmSe:
    """The network, loaded."""

    def __init__(self, artefacts: Artefacts) -> None:
        """Load the network of checked artefacts.

        Raises:
            ModelError: if it does not load, or wants channels or features that this version does not compute.
        """
        manifest = artefacts.manifest
        self._sequence, self._features, self._golden = manifest.sequence, manifest.features, manifest.golden
        self._path = artefacts.directory / NETWORK
        places = {feature.name: place for place, feature in enumerate(FEATURES)}
        unknown = [name for name in manifest.features.features if name not in places]
        unknown += [name for name in manifest.sequence.channels if name not in CHANNELS]
        if unknown:
            raise ModelError(path=artefacts.directory / MANIFEST, problem=f"unknown inputs: {', '.join(unknown)}")
        if set(manifest.outputs) != {EMBEDDING, FRAMES}:
            raise ModelError(
                path=artefacts.directory / MANIFEST, problem=f"the network's outputs must be {EMBEDDING} and {FRAMES}"
            )
        if not manifest.golden:
            raise ModelError(path=artefacts.directory / MANIFEST, problem="no golden embeddings to check itself with")
        self._places = np.array([places[name] for name in manifest.features.features], dtype=np.intp)
        self._model = Model(
            artefacts.files[NETWORK],
            path=self._path,
            inputs={
                self._sequence.name: (self._sequence.length, len(self._sequence.channels)),
                self._features.name: (len(self._places),),
            },
            outputs=manifest.outputs,
        )

    def prepare(self, ink: Ink, features: NDArray[np.float64]) -> View:
        """Look at a signature.

        Args:
            ink: The signature.
            features: Its `global_features`, float64 [len(FEATURES)].

        Raises:
            ModelError: if the network fails.
        """
        rows = sequence(ink, channels=self._sequence.channels, length=self._sequence.length)
        return self.look(rows, features[self._places].astype(np.float32))

    def look(self, rows: NDArray[np.float32], features: NDArray[np.float32]) -> View:
        """Look at what is already in the form of the network's inputs: float32 [length, channels] and [features]."""
        outputs = self._model.run({self._sequence.name: rows, self._features.name: features})
        norm = float(np.linalg.norm(outputs[EMBEDDING]))
        return View(embedding=outputs[EMBEDDING] / np.float32(max(norm, 1e-9)), frames=outputs[FRAMES])

    def check(self) -> None:
        """Embed the golden inputs of the manifest.

        Raises:
            ModelError: if an embedding is not what it was when the network was shipped.
        """
        shape = {
            "length": self._sequence.length,
            "channels": len(self._sequence.channels),
            "features": len(self._places),
        }
        for number, expected in enumerate(self._golden):
            embedding = self.look(*golden_input(number, **shape)).embedding
            wanted = np.array(expected)
            cosine = float(embedding @ wanted / np.linalg.norm(wanted))
            if not cosine >= GOLDEN_COSINE:
                raise ModelError(
                    path=self._path, problem=f"golden input {number} gives another embedding ({cosine:.4f})"
                )


def distances(query: NDArray[np.float32], references: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Return 1 - cos of the angle between a query's embedding and each reference's, float64 [len(references)], 0..2."""
    if not references:
        return np.empty(0)
    return 1.0 - np.stack(references).astype(np.float64) @ query.astype(np.float64)
