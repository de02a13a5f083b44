"""Marks: a signature is known again by them, and only with the key."""

from __future__ import annotations

import numpy as np

from penlatch.sim.writer import Writer
from penlatch.verify.course import course
from penlatch.verify.marks import COVERED, MOST, Marker, covering
from training.species import SPECIES

MARKER = Marker(b"k" * 32)
SIGNED = [Writer(3).genuine(np.random.default_rng(seed)) for seed in range(6)]


def share(marker: Marker, made: object, number: int = 0) -> float:
    """Return the share of a probe that is covered by marks of a remembered signature."""
    own = marker.of_probe(course(made))  # type: ignore[arg-type]  # a Trace
    kept = set(MARKER.of_remembered(course(SIGNED[number])))
    return covering(own, [(mark, 1) for mark in own if mark in kept]).get(1, 0.0)


def test_a_recording_shares_marks_however_it_is_moved_turned_and_scaled() -> None:
    for name in ("exact", "shifted", "turned 5 degrees", "1.2 times as large", "2 times as long", "pressed otherwise"):
        assert share(MARKER, SPECIES[name](SIGNED, SIGNED[0], np.random.default_rng(0))) >= COVERED, name


def test_a_further_signature_of_the_person_shares_few() -> None:
    assert all(share(MARKER, trace) < COVERED for trace in SIGNED[1:])


def test_without_the_key_there_is_nothing_to_compare() -> None:
    assert share(Marker(b"o" * 32), SIGNED[0]) == 0.0


def test_marks_are_few_and_fit_into_the_database() -> None:
    marks = MARKER.of_remembered(course(SIGNED[0]))
    assert 0 < len(marks) <= MOST
    assert all(0 <= mark < 2**63 for mark in marks)
