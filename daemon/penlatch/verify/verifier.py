"""Verifier: is this signature by the person whose references these are? All scorers behind one door."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from penlatch.errors import ModelError
from penlatch.signal.features import global_features
from penlatch.signal.preprocess import clean
from penlatch.signal.tilt import tilt_features
from penlatch.verify import alignment, bilstm_se, calibrate, dtw, fusion, multichannel, quality, reasons
from penlatch.verify.artefacts import CALIBRATION, Artefacts
from penlatch.verify.bilstm_se import BilstmSe
from penlatch.verify.calibrate import Calibration, Evidence
from penlatch.verify.runtime import RUNTIME
from penlatch.verify.template import Template

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from penlatch.ink import Trace
    from penlatch.messages import Disagreement, Quality, Reason
    from penlatch.signal.preprocess import Ink

    Distances = Callable[[NDArray[np.float32], Sequence[NDArray[np.float32]]], NDArray[np.float64]]
    """From a prepared query to each of all prepared references."""

DISTANCES: Final[Mapping[str, Distances]] = {
    "alignment": alignment.distances,
    "bilstm_se": bilstm_se.distances,
    "multichannel": multichannel.distances,
    "fusion": fusion.distances,
    "dtw": dtw.distances,
}
"""The scorers. Which of them run at a door is what its calibration says; the others are to be measured against."""

MIN_REFERENCES: Final = 1
MAX_REFERENCES: Final = 12


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """All that any scorer needs of one signature, computed once."""

    features: NDArray[np.float64]
    """Global features, float64 [len(FEATURES)]."""
    prepared: Mapping[str, NDArray[np.float32]]
    """By scorer."""
    tilt: NDArray[np.float64] | None = None
    """Tilt features, float64 [len(TILT)]; None where the pen tells none."""

    def __repr__(self) -> str:
        return "Analysis(…)"


def analyse(trace: Trace, network: BilstmSe | None, scorers: Collection[str] = DISTANCES) -> Analysis:
    """Compute what some scorers need of a signature; see `Verifier.analyse`."""
    ink = clean(trace)
    features = global_features(ink)
    prepared: dict[str, NDArray[np.float32]] = {}
    if network and not {"alignment", "bilstm_se"}.isdisjoint(scorers):
        view = network.prepare(ink, features)
        prepared |= {"alignment": view.frames, "bilstm_se": view.embedding}
    prepared |= {scorer: prepare(ink) for scorer, prepare in _PREPARE.items() if scorer in scorers}
    return Analysis(
        features=features,
        prepared={scorer: prepared[scorer] for scorer in scorers},
        tilt=tilt_features(trace),
    )


_PREPARE: Final[Mapping[str, Callable[[Ink], NDArray[np.float32]]]] = {
    "multichannel": multichannel.prepare,
    "fusion": fusion.prepare,
    "dtw": dtw.prepare,
}
"""What scorers need that ask no network."""


class Judgement(NamedTuple):
    """What the verifier makes of a signature."""

    probability: float
    """P(genuine), were genuine signatures and skilled forgeries equally frequent."""
    match: bool
    """Whether it reaches the threshold."""
    reason: Reason
    """What disagrees most with the references; `AGREES` where it matches and nothing does."""
    distances: Mapping[str, float]
    """By scorer: the mean distance to the references, in the scorer's own unit."""
    reasons: tuple[Disagreement, ...] = ()
    """Every aspect, the one that disagrees most first."""

    def at(self, threshold: float) -> Judgement:
        """Return the judgement at a threshold that is raised for this person; a lower one changes nothing."""
        if not self.match or self.probability >= threshold:
            return self
        return self._replace(match=False, reason=reasons.choose(self.reasons, match=False))


class Verifier:
    """Judges signatures with the shipped models. Not thread-safe: it lives on one thread."""

    def __init__(self, artefacts: Artefacts, *, threshold: float = 0.5, also: Collection[str] = ()) -> None:
        """Make a verifier of checked artefacts; see `load`."""
        self.threshold = threshold
        """P(genuine) from which on a signature matches."""
        self.version = artefacts.digest
        """Digest of the models: a template made under another is of no use."""
        self.runtime = RUNTIME
        """Name and version of what runs the models."""
        self.metrics: Mapping[str, Any] = artefacts.manifest.metrics
        """What was measured of the models before they were shipped."""
        self._path = artefacts.directory
        self._network = BilstmSe(artefacts)
        self._calibration = Calibration.from_bytes(artefacts.files[CALIBRATION], path=artefacts.directory / CALIBRATION)
        unknown = set(self._calibration.scorers) - DISTANCES.keys()
        if unknown:
            raise ModelError(path=artefacts.directory / CALIBRATION, problem=f"unknown scorers: {sorted(unknown)}")
        self.scorers: tuple[str, ...] = tuple(dict.fromkeys((*self._calibration.scorers, *also)))
        """Which scorers run."""

    @classmethod
    def load(cls, directory: Path | None = None, *, threshold: float = 0.5, also: Collection[str] = ()) -> Verifier:
        """Load the models and prove that they answer as they must.

        Args:
            directory: Their folder; None for those that came with the package.
            threshold: P(genuine) from which on a signature matches, 0..1.
            also: Scorers whose distances are wanted besides those that the calibration wants.

        Raises:
            ModelError: if anything is missing, altered, or answers otherwise than when it was shipped.
        """
        verifier = cls(Artefacts.load(directory), threshold=threshold, also=also)
        verifier.check()
        return verifier

    def check(self) -> None:
        """Run the self-test.

        Raises:
            ModelError: if the network no longer answers as it must.
        """
        self._network.check()

    def analyse(self, trace: Trace) -> Analysis:
        """Compute all that any scorer needs of a signature.

        Raises:
            TraceError: if the pen never touched.
            ModelError: if the network fails.
        """
        return analyse(trace, self._network, self.scorers)

    def template(self, references: Sequence[Analysis]) -> Template:
        """Make a template of `MIN_REFERENCES` to `MAX_REFERENCES` references.

        Raises:
            ValueError: if there are fewer or more.
        """
        if not MIN_REFERENCES <= len(references) <= MAX_REFERENCES:
            raise ValueError(f"a template needs {MIN_REFERENCES} to {MAX_REFERENCES} references, not {len(references)}")
        return self._template(references)

    def verify(self, template: Template, signature: Analysis) -> Judgement:
        """Judge a signature that claims to be by the person of `template`.

        Raises:
            ModelError: if the template was made by other models, or if this machine computes what no probability is.
        """
        evidence = self.evidence(template, signature)
        probability = _logistic(self._logit(evidence))
        if not 0.0 <= probability <= 1.0:
            raise ModelError(
                path=self._path, problem=f"P(genuine) came out as {probability}: this machine miscalculates"
            )
        match = probability >= self.threshold
        ranked = reasons.rank(
            calibrate.z_scores(evidence, self._calibration.population),
            self._calibration,
            tilt=signature.tilt,
            reference_tilt=template.tilt,
        )
        return Judgement(
            probability=probability,
            match=match,
            reason=reasons.choose(ranked, match=match),
            distances={scorer: float(found.mean()) for scorer, found in evidence.to_references.items()},
            reasons=ranked,
        )

    def evidence(self, template: Template, signature: Analysis) -> Evidence:
        """Compare a signature with the references of `template`, by every scorer, without judging it.

        Raises:
            ModelError: if the template was made by other models.
        """
        if template.version != self.version:
            raise ModelError(path=self._path, problem="a template was made by other models")
        return Evidence(
            to_references={
                scorer: DISTANCES[scorer](signature.prepared[scorer], template.references[scorer])
                for scorer in self.scorers
            },
            between_references=template.between,
            features=signature.features,
            reference_features=template.features,
        )

    def identify(self, templates: Mapping[str, Template], signature: Analysis) -> tuple[str, Judgement] | None:
        """Find who most probably wrote a signature; whether it matches is for the judgement to say.

        Returns:
            The name and the judgement, None without templates.

        Raises:
            ModelError: if a template was made by other models.
        """
        judged = [(name, self.verify(template, signature)) for name, template in templates.items()]
        return max(judged, key=lambda found: found[1].probability, default=None)

    def agrees(self, accepted: Sequence[Analysis], candidate: Analysis) -> bool:
        """Tell, while enrolling, whether a candidate is by the same hand as the references accepted so far.

        Whoever writes a reference is present, so this looks for another person or a slip, not for a forger.

        Args:
            accepted: At least one.
            candidate: The next one.
        """
        evidence = self.evidence(self._template(accepted), candidate)
        terms = calibrate.terms(evidence, self._calibration.population)
        return bool(self._calibration.agreement.logit(terms) >= 0.0)

    def quality(self, traces: Sequence[Trace], template: Template) -> Quality:
        """Say what references are worth.

        Args:
            traces: The references.
            template: Made of them, in the same order.
        """
        return quality.assess(traces, template, self._calibration.population)

    def _template(self, references: Sequence[Analysis]) -> Template:
        prepared = {scorer: tuple(r.prepared[scorer] for r in references) for scorer in self.scorers}
        return Template(
            version=self.version,
            features=np.stack([r.features for r in references]),
            references=prepared,
            between={
                scorer: np.stack([DISTANCES[scorer](reference, prepared[scorer]) for reference in prepared[scorer]])
                for scorer in self.scorers
            },
            tilt=_together([r.tilt for r in references]),
        )

    def _logit(self, evidence: Evidence) -> float:
        return float(self._calibration.genuine(calibrate.terms(evidence, self._calibration.population)))


def _logistic(logit: float) -> float:
    """Return 1 / (1 + exp(-logit)) without overflow, NaN for NaN."""
    return 0.5 * (1.0 + math.tanh(0.5 * logit))


def _together(tilts: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64] | None:
    """Stack the tilt features of references, None where one has none."""
    known = [tilt for tilt in tilts if tilt is not None]
    return np.stack(known) if len(known) == len(tilts) else None
