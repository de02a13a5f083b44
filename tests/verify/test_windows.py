"""Windows: the same numbers for the same line, wherever, however large, turned and fast it was written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from penlatch.sim.writer import Writer
from penlatch.verify import windows
from penlatch.verify.course import Course, course

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIGNED = Writer(2).genuine(np.random.default_rng(2))
COURSE = course(SIGNED)


def line(places: NDArray[np.float64] | NDArray[np.complex128], *, landmarks: int = 9) -> Course:
    """Return the course of one stroke."""
    n = len(places)
    return Course(
        line=places.astype(np.complex128),
        starts=np.zeros(1, dtype=np.intp),
        pauses=np.zeros(1),
        landmarks=np.linspace(0.0, n - 1.0, landmarks),
        frames=np.zeros(96, dtype=np.complex128),
    )


def test_each_window_has_length_one_and_begins_and_ends_at_landmarks() -> None:
    cut = windows.remembered(COURSE)
    assert np.allclose(np.linalg.norm(cut.shapes, axis=1), 1.0, atol=1e-5)
    assert np.isin(cut.edges, COURSE.landmarks).all()


def test_they_are_as_long_and_as_far_apart_as_they_are_said_to_be() -> None:
    cut, steps = windows.remembered(COURSE), len(COURSE.line)
    length = cut.edges[:, 1] - cut.edges[:, 0]
    assert (length >= windows.SHARE * steps).all()
    assert (length <= windows.LONGEST * steps).all()
    assert (np.diff(cut.edges[:, 0]) >= windows.SPACING * steps).all()


def test_a_probe_has_the_windows_that_are_remembered_of_it() -> None:
    own = {tuple(edge) for edge in windows.of_probe(COURSE).edges.tolist()}
    assert {tuple(edge) for edge in windows.remembered(COURSE).edges.tolist()} <= own


@pytest.mark.parametrize("factor", [2.0, 0.5j, np.exp(1j)])
def test_place_size_and_direction_change_no_distance(factor: complex) -> None:
    z = (SIGNED.x + 1j * SIGNED.y) * factor + 30
    one, other = windows.remembered(COURSE), windows.remembered(course(replace(SIGNED, x=z.real, y=z.imag)))
    agreement = np.abs((one.shapes.conj() * other.shapes).sum(axis=1))
    assert (agreement > 0.9995).all()


def test_a_straight_line_says_less_than_a_curved_one() -> None:
    straight = windows.remembered(line(np.linspace(-1, 1, 400)))
    round_ = windows.remembered(line(np.exp(1j * np.linspace(0, 12, 400))))
    assert (straight.doubt() > 100).all()
    assert (round_.doubt() == 1.0).all()


def test_a_line_with_too_few_landmarks_has_no_windows() -> None:
    cut = windows.of_probe(line(np.linspace(-1, 1, 400), landmarks=2))
    assert cut.edges.shape == (0, 2)
    assert cut.shapes.shape == (0, windows.ORDERS)
