"""Gallery: people who are known by scanned pictures of their signature, and how their signatures are judged.

Lives in the worker thread, as the judge does that owns it. Such a person's signature, drawn as a picture, is compared
with each of theirs by the image pair network alone; whoever gives references with a pen leaves the gallery. The network
is loaded when somebody is in it, and features are computed from the sealed rasters when somebody is asked for.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from penlatch.config import DEFAULT_THRESHOLD
from penlatch.errors import RequestError, UnlikePicturesError
from penlatch.messages import Reason
from penlatch.signal.handwriting import complexity
from penlatch.signal.preprocess import clean
from penlatch.signal.raster import HEIGHT, LEAST_INK, WIDTH
from penlatch.verify.artefacts import Artefacts
from penlatch.verify.pair import Pair, logistic
from penlatch.verify.verifier import Judgement

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from penlatch.ink import Trace
    from penlatch.store.store import Store

log = logging.getLogger(__name__)

_DARK = 128
"""Pixels below this are ink."""


class Gallery:
    """The pictures of one terminal, for a store that works."""

    def __init__(self, store: Store, models: Path | None) -> None:
        """Use `store`, and the network of the model folder `models`: None for the one that came with the package."""
        self._store = store
        self._models = models
        self._pair: Pair | None = None
        self._features: dict[str, list[NDArray[np.float32]]] = {}

    def knows(self, name: str) -> bool:
        """Tell whether a person is known by pictures."""
        return self._store.count_pictures(name) > 0

    def check(self) -> None:
        """Run the network's self-test, if it is in use.

        Raises:
            ModelError: if it no longer answers as it must.
        """
        if self._pair:
            self._pair.check()

    def add(self, name: str, raster: bytes, *, time: str, threshold: float, min_complexity: float = 0.0) -> int:
        """Take a picture as a reference; return how many the person has now.

        Args:
            name: Somebody new, or known by pictures alone.
            raster: What `signal.raster.normalise` made of a scan: HEIGHT x WIDTH bytes, row by row.
            time: RFC 3339 in UTC.
            threshold: Probability from which on it is the same signature, 0..1.
            min_complexity: Complexity below which it is refused, 0..1.

        Raises:
            UnlikePicturesError: where it does not match the first picture of the person, or all of them on average.
            RequestError: `bad_request` where it is no such raster, shows no ink, is too simple, or one too many;
                `already_enrolled` where the person gave references with a pen.
            ModelError: if there is no network.
            StoreError: if it cannot be written.
        """
        picture = _picture(raster)
        if complexity(picture) < min_complexity:
            problem = "this signature is so simple that anybody could write it (enroll.min_complexity)"
            raise RequestError(code="bad_request", problem=problem)
        features = self._network().prepare_raster(picture)
        before = self._of(name)
        if before:
            logits = self._network().logits(features, before)
            # The first is the original: no row of pictures leads step by step from one signature to another.
            if not logistic(np.array([logits[0], logits.mean()])).min() >= max(threshold, DEFAULT_THRESHOLD):
                raise UnlikePicturesError(name=name)
        count = self._store.add_picture(name, raster, time=time)
        self._features[name] = [*before, features]
        log.info("pictures of %s: %d", name, count)
        return count

    def judge(self, name: str, trace: Trace, *, threshold: float) -> Judgement:
        """Judge a signature that claims to be by a person who is known by pictures.

        A picture shows nothing but shape: where that disagrees, it is the reason.

        Raises:
            TraceError: if the pen never touched.
            ModelError: if the network fails.
            StoreError: if a picture does not open.
        """
        logits = self._network().logits(self._network().prepare(clean(trace)), self._of(name))
        probability = float(logistic(logits.mean(keepdims=True))[0])
        match = probability >= threshold
        return Judgement(
            probability=probability,
            match=match,
            reason=Reason.AGREES if match else Reason.SHAPE,
            distances={"pair": float(-logits.mean())},
        )

    def forget(self, name: str) -> None:
        """Drop what is in memory of a person; the store forgets by itself."""
        self._features.pop(name, None)

    def _of(self, name: str) -> list[NDArray[np.float32]]:
        if name not in self._features:
            pictures = self._store.pictures(name)
            self._features[name] = [self._network().prepare_raster(_picture(raster)) for raster in pictures]
        return self._features[name]

    def _network(self) -> Pair:
        if self._pair is None:
            artefacts = Artefacts.load(self._models)
            pair = Pair(artefacts.files, directory=artefacts.directory)
            pair.check()
            self._pair = pair
        return self._pair


def _picture(raster: bytes) -> NDArray[np.uint8]:
    if len(raster) != HEIGHT * WIDTH:
        problem = f"a picture has {HEIGHT} x {WIDTH} bytes, one a pixel, and not {len(raster)}"
        raise RequestError(code="bad_request", problem=problem)
    picture = np.frombuffer(raster, dtype=np.uint8).reshape(HEIGHT, WIDTH)
    if np.count_nonzero(picture < _DARK) < LEAST_INK:
        raise RequestError(code="bad_request", problem="this picture shows no signature")
    return picture
