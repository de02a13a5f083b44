"""Marks: a signature is known again by them, and only with the key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from penlatch.sim.writer import Writer
from penlatch.verify.course import course
from penlatch.verify.marks import MOST, Marker, Shared, shared
from training.species import SPECIES

if TYPE_CHECKING:
    from penlatch.ink import Trace

MARKER = Marker(b"k" * 32)
SIGNED = [Writer(3).genuine(np.random.default_rng(seed)) for seed in range(6)]


def compared(marker: Marker, made: Trace | None) -> Shared:
    """Return what a probe shares with the first signature."""
    assert made is not None
    own = marker.of_probe(course(made))
    kept = set(MARKER.of_remembered(course(SIGNED[0])))
    return shared(own, [(mark, 1) for mark in own if mark in kept]).get(1, Shared(0.0, 0))


def test_a_recording_shares_marks_however_it_is_moved_turned_and_scaled() -> None:
    for name in ("exact", "shifted", "turned 5 degrees", "1.2 times as large", "2 times as long", "pressed otherwise"):
        assert compared(MARKER, SPECIES[name](SIGNED, SIGNED[0], np.random.default_rng(0))).replay, name


@pytest.mark.parametrize("seed", [0, 2, 3, 4, 12, 103, 203])
def test_whoever_was_deleted_signs_on_among_the_marks_of_a_year(seed: int) -> None:
    writer, rng = Writer(seed), np.random.default_rng(seed)
    kept = [(mark, k) for k in range(300) for mark in MARKER.of_remembered(course(writer.genuine(rng)))]
    for _ in range(40):
        own = MARKER.of_probe(course(writer.genuine(rng)))
        found = shared(own, [(mark, k) for mark, k in kept if mark in own])
        assert not any(each.replay for each in found.values())


def test_a_signature_with_few_marks_is_not_known_by_them() -> None:
    assert not Shared(1.0, 3).replay
    assert Shared(1.0, 4).replay


def test_without_the_key_there_is_nothing_to_compare() -> None:
    assert compared(Marker(b"o" * 32), SIGNED[0]) == Shared(0.0, 0)


def test_marks_are_few_and_fit_into_the_database() -> None:
    marks = MARKER.of_remembered(course(SIGNED[0]))
    assert 0 < len(marks) <= MOST
    assert all(0 <= mark < 2**63 for mark in marks)
