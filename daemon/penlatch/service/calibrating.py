"""Calibrating: everybody's references against everybody else's template, pair by pair, beside what the terminal does.

The worker judges one pair of people at a time, so a signature at the door waits for a few judgements and no longer. A
person's own attempts are their references, each against a template of the others.
"""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from penlatch.clock import utc_now
from penlatch.errors import PenlatchError, RequestError
from penlatch.messages import Calibration, SiteCalibration
from penlatch.service.judge import refusal
from penlatch.verify import operating_point
from penlatch.verify.verifier import MIN_REFERENCES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from numpy.typing import NDArray

    from penlatch.service.judge import Judge
    from penlatch.service.worker import Worker
    from penlatch.verify.verifier import Analysis

log = logging.getLogger(__name__)

DEFAULT_TARGET: Final = 0.001
"""The target where neither the request nor the configuration has one."""
MOST_PAIRS: Final = 10_000
"""Pairs of people that are compared; of more than a hundred people, so many are drawn."""
LEAST_PEOPLE: Final = 2


@dataclass(slots=True)
class _Trials:
    """What came of the attempts so far."""

    own: list[NDArray[np.float64]] = field(default_factory=list)
    """By person who could be tried: P(genuine) of their own attempts."""
    others: list[NDArray[np.float64]] = field(default_factory=list)
    """By ordered pair of people: P(genuine) of the attempts of one as the other."""
    references: int = 0
    one_day: int = 0
    """People whose references came on one day."""


async def calibrate(worker: Worker, judge: Judge, *, target: float, apply: bool) -> AsyncGenerator[Calibration, None]:
    """Measure the enrolled people against each other, and propose a threshold.

    Args:
        worker: The thread of the judge.
        judge: Knows the people.
        target: Greatest rate of false matches, 0..1.
        apply: Whether the result is kept for `verify.target_fmr`.

    Raises:
        RequestError: `bad_request` where too few people are enrolled, `unavailable`.
    """
    try:
        names = await worker.call(lambda: sorted(judge.templates))
        if len(names) < LEAST_PEOPLE:
            raise RequestError(code="bad_request", problem="a calibration needs two enrolled people at least")
        victims = _victims(names)
        trials = _Trials()
        for done, name in enumerate(names):
            yield Calibration(done=False, progress=done / len(names))
            await _try_person(worker, judge, trials, name, victims[name])
        result = await worker.call(_conclude, judge, trials, people=len(names), target=target, apply=apply)
    except PenlatchError as error:
        raise refusal(error) from error
    yield Calibration(done=True, progress=1.0, result=result)


def _victims(names: list[str]) -> Mapping[str, list[str]]:
    """Return on whose templates each person's references are tried: everybody else's, up to `MOST_PAIRS`."""
    pairs = [(a, b) for a in names for b in names if a != b]
    if len(pairs) > MOST_PAIRS:
        pairs = random.Random(len(names)).sample(pairs, MOST_PAIRS)  # noqa: S311 - a sample, not a secret
    victims: dict[str, list[str]] = {name: [] for name in names}
    for signer, victim in pairs:
        victims[signer].append(victim)
    return victims


async def _try_person(worker: Worker, judge: Judge, trials: _Trials, name: str, victims: list[str]) -> None:
    try:
        signatures = await worker.call(_signatures, judge, trials, name)
    except RequestError:
        log.info("%s was deleted during the calibration", name)
        return
    for place in range(len(signatures)):
        await worker.call(_try_own, judge, trials, signatures, place)
    for victim in victims:
        await worker.call(_try_other, judge, trials, signatures, victim)


# -- in the worker thread --------------------------------------------------------------------------------------------


def _signatures(judge: Judge, trials: _Trials, name: str) -> list[Analysis]:
    signatures = [reference.analysis for reference in judge.references_of(name, extend=True).earlier]
    trials.references += len(signatures)
    trials.one_day += judge.days(name) < 2
    return signatures


def _try_own(judge: Judge, trials: _Trials, signatures: list[Analysis], place: int) -> None:
    others = signatures[:place] + signatures[place + 1 :]
    if len(others) >= MIN_REFERENCES:
        verifier = judge.verifier
        judged = verifier.verify(verifier.template(others), signatures[place])
        trials.own.append(np.array([judged.probability]))


def _try_other(judge: Judge, trials: _Trials, signatures: list[Analysis], victim: str) -> None:
    template = judge.templates.get(victim)
    if template is not None:
        verifier = judge.verifier
        trials.others.append(np.array([verifier.verify(template, s).probability for s in signatures]))


def _conclude(judge: Judge, trials: _Trials, *, people: int, target: float, apply: bool) -> SiteCalibration:
    if not trials.own or not trials.others:
        problem = f"a person is tried with one reference against {MIN_REFERENCES} others, and nobody has so many"
        raise RequestError(code="bad_request", problem=problem)
    own, attempts = np.concatenate(trials.own), np.concatenate(trials.others)
    pairs = np.array([pair.max() for pair in trials.others])
    threshold = operating_point.threshold_for(pairs, target)
    found = SiteCalibration(
        time=utc_now(),
        models=judge.version,
        people=people,
        references=trials.references,
        target_fmr=target,
        smallest_fmr=operating_point.upper_limit(0, len(pairs)),
        proposed=None if threshold is None else operating_point.at(threshold, own, trials.others),
        current=operating_point.at(judge.threshold.value, own, trials.others),
        curve=operating_point.curve(own, attempts),
        applied=apply and threshold is not None,
        notes=_notes(judge, trials, people=people, target=target, threshold=threshold),
    )
    if found.applied:
        judge.apply_calibration(found)
    return found


def _notes(judge: Judge, trials: _Trials, *, people: int, target: float, threshold: float | None) -> tuple[str, ...]:
    notes = []
    smallest = operating_point.upper_limit(0, len(trials.others))
    if threshold is None:
        notes.append(
            f"{people} people make {len(trials.others)} pairs, which show a rate of {smallest:.2g} at best (rule of "
            f"three: 3 / pairs), not {target:g}: ask for a greater rate, or calibrate when more are enrolled"
        )
    elif threshold == operating_point.LEAST:
        notes.append(
            f"no threshold below {operating_point.LEAST:g} is proposed, although the target might allow one: below it "
            "skilled forgeries pass more often than genuine signatures are refused"
        )
    notes.append(_skilled(judge.verifier.metrics))
    notes.append(
        "a person's own attempts are their references, each against a template of the others: on other days people "
        f"err more often ({trials.one_day} of {people} gave theirs on one day)"
    )
    return tuple(notes)


def _skilled(metrics: Mapping[str, object]) -> str:
    """Say that no forger took part, with the figure of the models' card where they have one."""
    note = "no forger took part: these are other people's own signatures (random forgeries)"
    measured = metrics.get("penlatch")
    if not isinstance(measured, dict) or not {"fmr_skilled", "threshold", "skilled"} <= measured.keys():
        return note
    return (
        f"{note}; of skilled forgeries {measured['fmr_skilled']:g} % match at {measured['threshold']:g} "
        f"(n = {measured['skilled']}; {metrics.get('protocol', 'see the card of the models')})"
    )
