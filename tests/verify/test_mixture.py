"""Mixture: a mean of two earlier signatures is near to them both together, and a further signature is not."""

from __future__ import annotations

import numpy as np
import pytest

from penlatch.sim.writer import Writer
from penlatch.verify import mixture
from penlatch.verify.course import Course, course
from penlatch.verify.mixture import LIMIT, Views, nearest
from training.species import SPECIES

RNG = np.random.default_rng(5)
SIGNED = [Writer(5).genuine(RNG) for _ in range(7)]
COURSES = [course(trace) for trace in SIGNED]


def views(courses: list[Course]) -> Views:
    found = Views()
    found.add(courses)
    return found


@pytest.mark.parametrize(("name", "heavier"), [("average, 0.2 to 0.8", 1), ("average, 0.8 to 0.2", 0)])
def test_a_mean_is_near_and_names_the_one_that_weighs_more(name: str, heavier: int) -> None:
    made = SPECIES[name](SIGNED[:3], SIGNED[-1], RNG)
    assert made is not None
    mixed = nearest(course(made), views(COURSES[:-1]))
    assert mixed is not None
    assert mixed.distance <= LIMIT
    assert mixed.position == heavier


def test_a_further_signature_is_not_near() -> None:
    mixed = nearest(COURSES[-1], views(COURSES[:-1]))
    assert mixed is not None
    assert mixed.distance > LIMIT


def test_of_fewer_than_two_nothing_is_mixed() -> None:
    assert nearest(COURSES[0], Views()) is None
    assert nearest(COURSES[0], views(COURSES[:1])) is None


def test_a_signature_that_is_remembered_twice_is_no_pair() -> None:
    mixed = nearest(COURSES[0], views([COURSES[1], COURSES[1]]))
    assert mixed is not None
    assert np.isinf(mixed.distance)


def test_what_is_added_later_is_mixed_as_well() -> None:
    found = views(COURSES[:1])
    found.add(COURSES[1:3])
    assert len(found) == 3
    assert found.nbytes == 3 * 2 * (2 * mixture.POINTS + 1) * 4


def test_a_course_of_nothing_is_no_mixture() -> None:
    empty = Course(
        line=np.zeros(0, dtype=np.complex128),
        starts=np.zeros(0, dtype=np.intp),
        pauses=np.zeros(0),
        landmarks=np.zeros(0),
        frames=np.zeros(mixture.POINTS, dtype=np.complex128),
    )
    mixed = nearest(empty, views(COURSES[:3]))
    assert mixed is not None
    assert np.isinf(mixed.distance)
