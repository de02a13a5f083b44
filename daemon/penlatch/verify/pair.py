"""Scorer `pair`: do two pictures show the same signature? For a scanned reference, and beside what knows the pen.

Image pair network, second hypothesis: one backbone turns each picture into features; the features of both are
multiplied element by element; a shallow head of dense layers makes a probability of the product. The backbone runs
once per picture (`pair.tflite`), the head in numpy (`pair.json`): comparing with a kept reference takes microseconds.

The seed's best threshold was 0.99. Here the head's logit is shifted and scaled by what held-out writers showed, so that
0.5 is the balance point: there strangers pass as often as owners are turned away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from penlatch.decoding import UNREADABLE
from penlatch.errors import ModelError
from penlatch.signal.raster import HEIGHT, WIDTH, draw, normalise
from penlatch.verify.runtime import Model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from penlatch.signal.preprocess import Ink

NETWORK: Final = "pair.tflite"
HEAD: Final = "pair.json"

FORMAT: Final = 1
"""Version of `pair.json`; a reader refuses any other."""

GOLDEN_COSINE: Final = 0.995
"""Features of a golden raster must be at least this near to those that were shipped; runtimes round differently."""

_INPUT: Final = "image"
_OUTPUT: Final = "features"


class Layer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A dense layer."""

    weights: tuple[tuple[float, ...], ...]
    """[inputs][outputs]."""
    bias: tuple[float, ...]
    """[outputs]."""


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `pair.json` says."""

    format: int
    features: int
    """Length of the backbone's output."""
    layers: tuple[Layer, ...]
    """From the product of two pictures' features to one logit; ReLU between them."""
    balance: float
    """The head's logit at which both errors are equal: P = 0.5."""
    temperature: float
    """Divides what the logit is above the balance."""
    golden: tuple[tuple[float, ...], ...]
    """Features of the first golden rasters, for the self-test."""
    training_data: dict[str, Any]
    metrics: dict[str, Any]
    command: str
    """What makes these files again."""
    versions: dict[str, str]
    """Of the programs that made them."""


def golden_raster(number: int) -> NDArray[np.uint8]:
    """Make a raster from formulas alone, never from a person; another for each `number` >= 0.

    Two waves cross the picture, y = HEIGHT (0.5 + 0.35 sin(2 pi (1 + (number + k) % 5) s + number + k)) for k = 0, 1
    and s = x / (WIDTH - 1); a pixel at a vertical distance d from a wave is 255 min(1, d / 3) bright.

    Returns:
        uint8 [HEIGHT, WIDTH].
    """
    s = np.linspace(0.0, 1.0, WIDTH)
    y = np.arange(HEIGHT)[:, None]
    k = np.arange(2)[:, None]
    waves = HEIGHT * (0.5 + 0.35 * np.sin(2 * np.pi * (1 + (number + k) % 5) * s + number + k))
    apart = np.abs(y - waves[:, None, :]).min(axis=0)
    raster: NDArray[np.uint8] = np.rint(255.0 * np.minimum(apart / 3.0, 1.0)).astype(np.uint8)
    return raster


class Pair:
    """The network and its head, loaded. Not thread-safe."""

    def __init__(self, files: Mapping[str, bytes], *, directory: Path) -> None:
        """Load both from the checked files of a model folder, `Artefacts.files`.

        Args:
            files: Contents by name.
            directory: Where they lie, for messages.

        Raises:
            ModelError: if one is not among them, is damaged, or does not fit the other.
        """
        missing = [name for name in (NETWORK, HEAD) if name not in files]
        if missing:
            raise ModelError(path=directory, problem=f"the manifest does not name {', '.join(missing)}")
        self._path = directory / NETWORK
        self._head = read_head(files[HEAD], path=directory / HEAD)
        self._layers = [
            (np.array(layer.weights, dtype=np.float64), np.array(layer.bias, dtype=np.float64))
            for layer in self._head.layers
        ]
        self._model = Model(
            files[NETWORK],
            path=self._path,
            inputs={_INPUT: (HEIGHT, WIDTH, 1)},
            outputs={_OUTPUT: (self._head.features,)},
        )

    def prepare(self, ink: Ink) -> NDArray[np.float32]:
        """Turn a pen's signature into features: float32 [features], of unit length.

        Raises:
            ModelError: if the network fails.
        """
        return self.prepare_raster(draw(ink))

    def prepare_image(self, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn a picture, uint8 [h, w] of any size, into features: float32 [features], of unit length.

        Raises:
            PictureError: if there is no signature in it.
            ModelError: if the network fails.
        """
        return self.prepare_raster(normalise(grey))

    def prepare_raster(self, raster: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn what `signal.raster` made, uint8 [HEIGHT, WIDTH], into features: float32 [features], of unit length.

        Raises:
            ModelError: if the network fails.
        """
        image = (np.float32(1.0) - raster.astype(np.float32) / np.float32(255.0))[..., None]
        features = self._model.run({_INPUT: image})[_OUTPUT]
        return features / np.float32(max(float(np.linalg.norm(features)), 1e-9))

    def logits(self, query: NDArray[np.float32], references: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
        """Return the calibrated logit of "the same hand" for a query and each reference, float64 [len(references)]."""
        if not references:
            return np.empty(0)
        # Unit vectors of n numbers: their products are about 1 / n.
        x = self._head.features * np.stack(references).astype(np.float64) * query.astype(np.float64)
        for place, (weights, bias) in enumerate(self._layers):
            x = (np.maximum(x, 0.0) if place else x) @ weights + bias
        return (x[:, 0] - self._head.balance) / self._head.temperature

    def distances(self, query: NDArray[np.float32], references: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
        """Return how unlike a query is to each reference: minus the logit, float64 [len(references)]."""
        return -self.logits(query, references)

    def probability(self, query: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
        """Return the probability that one hand wrote both, were both answers equally frequent."""
        return float(logistic(self.logits(query, [reference]))[0])

    def check(self) -> None:
        """Look at the golden rasters.

        Raises:
            ModelError: if the features of one are not what they were when the network was shipped.
        """
        for number, expected in enumerate(self._head.golden):
            wanted = np.array(expected)
            cosine = float(self.prepare_raster(golden_raster(number)) @ wanted / np.linalg.norm(wanted))
            if not cosine >= GOLDEN_COSINE:
                raise ModelError(path=self._path, problem=f"golden raster {number} gives other features ({cosine:.4f})")


def logistic(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 / (1 + exp(-logit)) of each, without overflow; NaN for NaN, which matches nothing."""
    probabilities: NDArray[np.float64] = 0.5 * (1.0 + np.tanh(0.5 * logits))
    return probabilities


def read_head(content: bytes, *, path: Path) -> Head:
    """Read `pair.json`.

    Raises:
        ModelError: if it is damaged, of another format, or its layers do not fit together.
    """
    try:
        head = msgspec.json.decode(content, type=Head)
    except UNREADABLE as error:
        raise ModelError(path=path, problem=f"it is damaged ({error})") from error
    if head.format != FORMAT:
        raise ModelError(path=path, problem=f"it has format {head.format}, this is {FORMAT}")
    width = head.features
    for layer in head.layers:
        if len(layer.weights) != width or any(len(row) != len(layer.bias) for row in layer.weights):
            raise ModelError(path=path, problem="its layers do not fit together")
        width = len(layer.bias)
    if not head.layers or width != 1 or not head.temperature > 0:
        raise ModelError(path=path, problem="its head makes no probability")
    if not head.golden or any(len(golden) != head.features for golden in head.golden):
        raise ModelError(path=path, problem="it has no golden features to check itself with")
    return head
