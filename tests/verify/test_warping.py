"""Time warping: the fast computation is the textbook's, with either cost, in any band."""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from penlatch.verify.warping import Cost, city_block, distances, squared

Rows = NDArray[np.float32]

COSTS: Final = {"city_block": city_block, "squared": squared}
POWER: Final = {"city_block": 1, "squared": 2}
"""Of the differences of coordinates that a cost sums up."""

either_cost = pytest.mark.parametrize("cost", COSTS)


def textbook(query: Rows, reference: Rows, *, band: float, cost: str) -> float:
    """Compute the distance cell by cell."""
    n, m = len(query), len(reference)
    reach = max(band, 2 / min(n, m)) + 1e-9
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            if abs(i / n - j / m) <= reach:
                apart = np.abs(query[i - 1].astype(np.float64) - reference[j - 1]) ** POWER[cost]
                total[i, j] = apart.sum() + min(total[i - 1, j], total[i, j - 1], total[i - 1, j - 1])
    return float(total[n, m] / (n + m))


def rows(*values: float) -> Rows:
    return np.array(values, dtype=np.float32)[:, np.newaxis]


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=2, max_size=5),
    channels=st.integers(1, 5),
    band=st.sampled_from([0.0, 0.05, 0.1, 0.25, 1.0]),
    cost=st.sampled_from(sorted(COSTS)),
    seed=st.integers(0, 10_000),
)
def test_it_is_the_textbook_s_distance(lengths: list[int], channels: int, band: float, cost: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    query, *references = [rng.normal(size=(length, channels)).astype(np.float32) for length in lengths]
    expected = [textbook(query, reference, band=band, cost=cost) for reference in references]
    np.testing.assert_allclose(distances(query, references, band=band, cost=COSTS[cost]), expected, rtol=1e-5)


@either_cost
@pytest.mark.parametrize("channels", [5, 11, 32])
def test_it_is_the_textbook_s_distance_whatever_the_lengths(cost: str, channels: int) -> None:
    rng = np.random.default_rng(2)
    query, *references = [rng.normal(size=(length, channels)).astype(np.float32) for length in (70, 50, 71, 110, 12)]
    expected = [textbook(query, reference, band=0.1, cost=cost) for reference in references]
    np.testing.assert_allclose(distances(query, references, band=0.1, cost=COSTS[cost]), expected, rtol=1e-5)


def test_by_hand() -> None:
    # 0 meets 0; 1 meets 0 or 2, for 1; 2 meets 2. One for five rows, whether squared or not.
    for cost in (city_block, squared):
        np.testing.assert_allclose(distances(rows(0, 1, 2), [rows(0, 2)], band=0.1, cost=cost), [0.2])
    # Rows (0, 0) and (3, 4) are 7 apart along the axes, 25 squared; two rows.
    one, other = np.zeros((1, 2), np.float32), np.array([[3, 4]], np.float32)
    np.testing.assert_allclose(distances(one, [other], band=0.1, cost=city_block), [3.5])
    np.testing.assert_allclose(distances(one, [other], band=0.1, cost=squared), [12.5])


@either_cost
def test_the_same_movement_at_another_pace_costs_little(cost: str) -> None:
    u = np.linspace(0, 1, 100)
    even, hurried = np.sin(12 * u), np.sin(12 * (u + 0.05 * np.sin(np.pi * u)))
    warped = distances(rows(*even), [rows(*hurried)], band=0.1, cost=COSTS[cost])[0]
    assert warped < 0.1 * (np.abs(even - hurried) ** POWER[cost]).mean() / 2


@either_cost
def test_rows_further_apart_than_the_band_are_not_aligned(cost: str) -> None:
    early, late = np.zeros(100), np.zeros(100)
    early[20], late[60] = 1.0, 1.0
    inside, outside = (distances(rows(*early), [rows(*late)], band=band, cost=COSTS[cost])[0] for band in (0.5, 0.1))
    assert inside == pytest.approx(0.0)
    assert outside == pytest.approx(2 / 200)


@either_cost
@settings(max_examples=25, deadline=None)
@given(lengths=st.lists(st.integers(1, 60), min_size=2, max_size=4), seed=st.integers(0, 10_000))
def test_distances_are_symmetric_zero_to_oneself_and_do_not_depend_on_the_other_references(
    cost: str, lengths: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    sequences = [rng.normal(size=(length, 3)).astype(np.float32) for length in lengths]

    def measure(query: Rows, references: list[Rows]) -> NDArray[np.float64]:
        return distances(query, references, band=0.1, cost=COSTS[cost])

    table = np.array([measure(query, sequences) for query in sequences])
    np.testing.assert_allclose(table, table.T, rtol=1e-5)
    np.testing.assert_allclose(np.diag(table), 0)
    np.testing.assert_allclose(measure(sequences[0], sequences[1:]), table[0, 1:], rtol=1e-6)


@either_cost
def test_without_references_there_are_no_distances(cost: str) -> None:
    assert distances(rows(0, 1), [], band=0.1, cost=COSTS[cost]).shape == (0,)


@either_cost
def test_neither_query_nor_references_are_changed(cost: str) -> None:
    rng = np.random.default_rng(1)
    query, *references = [rng.normal(size=(length, 4)).astype(np.float32) for length in (20, 15, 30)]
    before = [sequence.copy() for sequence in (query, *references)]
    distances(query, references, band=0.1, cost=COSTS[cost])
    for sequence, kept in zip((query, *references), before, strict=True):
        np.testing.assert_array_equal(sequence, kept)


@pytest.mark.parametrize(("cost", "expected"), [(city_block, [[6.0, 0.0]]), (squared, [[14.0, 0.0]])])
def test_a_cost_sums_over_channels(cost: Cost, expected: list[list[float]]) -> None:
    query = np.array([[1, 2, 3]], np.float32)
    windows = np.array([[[[0, 0, 0], [1, 2, 3]]]], np.float32)
    np.testing.assert_allclose(cost(query, windows), [expected])
