"""Reasons: whatever was changed about a signature is what is named first, and nothing is rare where nothing was."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penlatch.messages import Disagreement, Reason
from penlatch.signal.features import FEATURES, global_features
from penlatch.signal.tilt import tilt_features
from penlatch.sim.disguise import DISGUISES, Disguise
from penlatch.sim.writer import Writer
from penlatch.verify.artefacts import CALIBRATION, Artefacts
from penlatch.verify.calibrate import Calibration, Evidence, z_scores
from penlatch.verify.reasons import (
    ASPECTS,
    FASTER,
    TILT_DEVIATION,
    choose,
    disagreements,
    excess,
    rank,
    tilt_disagreement,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from penlatch.ink import Trace

PEOPLE = 20
QUERIES = 5
REFERENCES = 5
NAMED_FIRST = 0.8
"""Least share of changed signatures whose change is named first."""
SITTING_DEG = 2.0
"""How differently a person holds the pen from signature to signature [degrees]."""


@dataclass(frozen=True)
class Person:
    """References of one person as features, and genuine signatures of which nothing is rare."""

    features: NDArray[np.float64]
    tilt: NDArray[np.float64]
    queries: list[Trace]


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    artefacts = Artefacts.load()
    return Calibration.from_bytes(artefacts.files[CALIBRATION], path=artefacts.directory)


def held(trace: Trace, lean: NDArray[np.float64], rng: np.random.Generator) -> Trace:
    """Have a signature written with a pen that tells its tilt, which wanders a little."""
    right, near = lean + rng.normal(0.0, SITTING_DEG, 2)
    return replace(
        trace,
        tilt_x=right + rng.normal(0.0, 0.5, len(trace)),
        tilt_y=near + rng.normal(0.0, 0.5, len(trace)),
    )


def ranked(calibration: Calibration, person: Person, trace: Trace) -> tuple[Disagreement, ...]:
    evidence = Evidence(
        to_references={},
        between_references={},
        features=global_features(trace),
        reference_features=person.features,
    )
    z = z_scores(evidence, calibration.population)
    return rank(z, calibration, tilt=tilt_features(trace), reference_tilt=person.tilt)


@pytest.fixture(scope="module")
def people(calibration: Calibration) -> list[Person]:
    found = []
    for seed in range(PEOPLE):
        writer, rng = Writer(seed), np.random.default_rng(seed)
        lean = rng.uniform((-10, 20), (40, 45))
        signed = [held(writer.genuine(rng), lean, rng) for _ in range(REFERENCES + QUERIES)]
        tilts = [tilt for trace in signed[:REFERENCES] if (tilt := tilt_features(trace)) is not None]
        person = Person(
            np.array([global_features(trace) for trace in signed[:REFERENCES]]), np.array(tilts), signed[REFERENCES:]
        )
        usual = [trace for trace in person.queries if ranked(calibration, person, trace)[0].excess < 1.0]
        found.append(replace(person, queries=usual))
    return found


def test_the_truth_is_known_of_most_synthetic_signatures(people: list[Person]) -> None:
    assert sum(len(person.queries) for person in people) > 0.85 * PEOPLE * QUERIES


@pytest.mark.parametrize("disguise", DISGUISES, ids=lambda disguise: disguise.name)
def test_what_was_changed_is_named_first(disguise: Disguise, people: list[Person], calibration: Calibration) -> None:
    first = [
        ranked(calibration, person, changed)[0].reason
        for person in people
        for trace in person.queries
        if (changed := disguise.change(trace)) is not None
    ]
    assert len(first) >= 60
    assert first.count(Reason(disguise.aspect)) >= NAMED_FIRST * len(first), first


def test_no_two_aspects_rest_on_the_same_features() -> None:
    names = [name for aspect in ASPECTS.values() for name in aspect]
    assert len(names) - len(set(names)) == 1
    assert set(names) <= {feature.name for feature in FEATURES}


def test_a_disagreement_is_the_rms_over_its_aspect() -> None:
    z = np.array([3.0 if feature.name in ASPECTS[Reason.RHYTHM] else 0.0 for feature in FEATURES])
    assert disagreements(z) == pytest.approx({aspect.value: 3.0 * (aspect is Reason.RHYTHM) for aspect in ASPECTS})


def test_a_speed_is_what_its_features_say_together() -> None:
    faster = np.array([2.0 * FASTER.get(feature.name, 0.0) for feature in FEATURES])
    assert disagreements(faster)["speed"] == pytest.approx(2.0)
    assert disagreements(-faster)["speed"] == pytest.approx(2.0)
    assert disagreements(np.abs(faster))["speed"] < 2.0


def test_tempo_is_not_rhythm(people: list[Person], calibration: Calibration) -> None:
    """Who does everything slower keeps the shares of time, but for rounding to frames."""
    for person in people:
        for trace in person.queries:
            before, after = (
                {found.reason: found.excess for found in ranked(calibration, person, changed)}
                for changed in (trace, replace(trace, t=trace.t * 1.25))
            )
            assert abs(before[Reason.RHYTHM] - after[Reason.RHYTHM]) < 0.5


# --- The scale ----------------------------------------------------------------------------------------------


@given(usual=st.floats(0.1, 5), wider=st.floats(1.05, 5), x=st.floats(0, 20), y=st.floats(0, 20))
def test_an_excess_is_1_where_it_is_rare_and_grows_with_the_disagreement(
    usual: float, wider: float, x: float, y: float
) -> None:
    surprise = usual * wider
    assert excess(surprise, usual=usual, surprise=surprise) == pytest.approx(1.0)
    assert excess(usual, usual=usual, surprise=surprise) == pytest.approx(np.exp(-1))
    low, high = sorted((x, y))
    at = [excess(value, usual=usual, surprise=surprise) for value in (low, high)]
    assert 0.0 <= at[0] <= at[1]


def test_without_what_is_usual_it_is_the_share_of_what_is_rare() -> None:
    assert excess(3.0, usual=0.0, surprise=2.0) == pytest.approx(1.5)


def only(reason: Reason, value: float) -> tuple[Disagreement, ...]:
    return (Disagreement(reason=reason, excess=value),)


def test_a_match_agrees_unless_something_is_rare() -> None:
    assert choose(only(Reason.SPEED, 0.99), match=True) is Reason.AGREES
    assert choose(only(Reason.SPEED, 1.0), match=True) is Reason.SPEED


def test_what_does_not_match_always_has_a_reason() -> None:
    assert choose(only(Reason.SHAPE, 0.1), match=False) is Reason.SHAPE


# --- Tilt ---------------------------------------------------------------------------------------------------


def test_tilt_by_hand() -> None:
    references = np.zeros((5, 2))
    # No spread of their own: 3 x the usual squares over 3 + 5 - 1 degrees, widened by 1 + 1/5.
    deviation = np.array(TILT_DEVIATION) * np.sqrt(3 / 7 * 1.2)
    assert tilt_disagreement(2 * deviation, references) == pytest.approx(2.0)


@pytest.mark.parametrize("side", ["query", "references"])
def test_without_tilt_on_either_side_nothing_is_said_of_it(side: str, calibration: Calibration) -> None:
    tilts: Mapping[str, NDArray[np.float64]] = {"query": np.zeros(2), "references": np.zeros((5, 2))}
    z = np.zeros(len(FEATURES))
    both = rank(z, calibration, tilt=tilts["query"], reference_tilt=tilts["references"])
    one = rank(
        z,
        calibration,
        tilt=None if side == "query" else tilts["query"],
        reference_tilt=None if side == "references" else tilts["references"],
    )
    assert {found.reason for found in both} - {found.reason for found in one} == {Reason.TILT}
