"""Plain time warping: five channels under an L1 cost, and distances measured by the user's own spread."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.errors import TraceError
from penlatch.ink import Trace
from penlatch.signal.preprocess import clean
from penlatch.sim.writer import Writer
from penlatch.verify import warping
from penlatch.verify.dtw import distances, normalised_score, prepare
from support.drawings import draw, scrawl


def test_rows_are_aligned_by_their_l1_distance_in_a_band_of_a_tenth() -> None:
    rng = np.random.default_rng(2)
    query, *references = [rng.normal(size=(length, 5)).astype(np.float32) for length in (70, 50, 110)]
    expected = warping.distances(query, references, band=0.1, cost=warping.city_block)
    np.testing.assert_array_equal(distances(query, references), expected)
    assert not np.allclose(distances(query, references, band=0.5), expected), "the band is the caller's choice"


@settings(max_examples=25, deadline=None)
@given(seeds=st.lists(st.integers(0, 200), min_size=2, max_size=4))
def test_distances_are_symmetric_zero_to_oneself_and_do_not_depend_on_the_other_references(seeds: list[int]) -> None:
    prepared = [prepare(scrawl(seed)) for seed in seeds]
    table = np.array([distances(query, prepared) for query in prepared])
    np.testing.assert_allclose(table, table.T, rtol=1e-5)
    np.testing.assert_allclose(np.diag(table), 0)
    np.testing.assert_allclose(distances(prepared[0], prepared[1:]), table[0, 1:], rtol=1e-6)


def test_a_trace_or_its_ink_is_prepared_alike_and_one_without_ink_is_refused() -> None:
    trace = scrawl(6)
    np.testing.assert_array_equal(prepare(trace), prepare(clean(trace)))
    air = Trace(t=np.zeros(1), x=np.zeros(1), y=np.zeros(1), p=np.zeros(1), down=np.zeros(1, dtype=np.bool_))
    with pytest.raises(TraceError):
        prepare(air)


def test_the_longest_signatures_are_comparable() -> None:
    slow = prepare(draw(lambda t: (np.sin(t), np.cos(1.3 * t), 0.5 + 0.1 * np.sin(t)), [(0.0, 30.0)]))
    assert np.isfinite(distances(slow, [slow, prepare(scrawl(1))])).all()


def test_size_place_and_pressure_scale_of_a_signature_do_not_matter() -> None:
    trace = scrawl(9)
    other = Trace(t=trace.t, x=3 * trace.x + 70, y=3 * trace.y - 5, p=0.5 * trace.p, down=trace.down)
    np.testing.assert_allclose(distances(prepare(trace), [prepare(other)]), 0, atol=1e-5)


# The user's own spread.


def test_scores_are_measured_by_the_distances_between_references() -> None:
    # Least distances 1, 1 and 4, their mean 2; mean of all 14/3.
    between = np.array([[0.0, 1, 4], [1, 0, 9], [4, 9, 0]])
    assert normalised_score(np.array([2.0, 3, 4]), between) == pytest.approx(2 / np.sqrt(2) + 3 / np.sqrt(14 / 3))


def test_references_that_are_copies_leave_scores_finite_and_strict() -> None:
    copies = np.zeros((3, 3))
    assert normalised_score(np.zeros(3), copies) == 0
    assert 100 < normalised_score(np.full(3, 0.5), copies) < np.inf


def test_one_reference_has_no_spread() -> None:
    with pytest.raises(ValueError, match="two references"):
        normalised_score(np.ones(1), np.zeros((1, 1)))


def test_genuine_signatures_score_below_forgeries_and_those_below_strangers() -> None:
    rng = np.random.default_rng(11)
    people = [Writer(seed) for seed in range(5)]
    genuine: list[float] = []
    forged: list[float] = []
    strange: list[float] = []
    for writer, other in pairwise([*people, people[0]]):
        references = [prepare(writer.genuine(rng)) for _ in range(5)]
        between = np.array([distances(reference, references) for reference in references])
        for trace, scores in (
            (writer.genuine(rng), genuine),
            (writer.forgery(rng, by=other), forged),
            (other.genuine(rng), strange),
        ):
            scores.append(normalised_score(distances(prepare(trace), references), between))
    assert np.mean(genuine) < np.mean(forged) < np.mean(strange)
    assert max(genuine) < min(strange)
