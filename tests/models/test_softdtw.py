"""Soft time warping: the definition, cell by cell, and its gradient; needs JAX, which a terminal never has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed: scripts/train makes .venv-train, which has it")

from penlatch.verify import warping  # noqa: E402 - after the skip
from training.softdtw import soft_dtw, squared_distances  # noqa: E402 - likewise

if TYPE_CHECKING:
    from numpy.typing import NDArray

EVERYWHERE = 1.0
"""A band that leaves nothing out."""


def textbook(cost: NDArray[np.float64], gamma: float) -> float:
    """Compute the soft distance cell by cell."""
    n = len(cost)
    total = np.full((n + 1, n + 1), np.inf)
    total[0, 0] = 0.0
    for i in range(1, n + 1):
        for j in range(1, n + 1):
            ways = np.array([total[i - 1, j], total[i, j - 1], total[i - 1, j - 1]])
            total[i, j] = cost[i - 1, j - 1] + ways.min() - gamma * np.log(np.exp((ways.min() - ways) / gamma).sum())
    return float(total[n, n] / (2 * n))


def costs(pairs: int, n: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(0, 4, (pairs, n, n)).astype(np.float32)


@pytest.mark.parametrize("n", [1, 2, 5, 16])
@pytest.mark.parametrize("gamma", [0.1, 1.0])
def test_it_is_the_textbook_s_distance(n: int, gamma: float) -> None:
    table = costs(3, n)
    expected = [textbook(cost.astype(np.float64), gamma) for cost in table]
    np.testing.assert_allclose(soft_dtw(table, gamma), expected, rtol=1e-4, atol=1e-5)


def test_by_hand() -> None:
    # Three paths from corner to corner of four cells that cost nothing but one: 0, 0 and 1.
    table = np.array([[[0.0, 1.0], [0.0, 0.0]]], np.float32)
    np.testing.assert_allclose(soft_dtw(table, 1.0), [-np.log(2 + np.exp(-1.0)) / 4], rtol=1e-5)


def test_the_harder_it_is_the_nearer_to_the_warping_of_a_terminal() -> None:
    rng = np.random.default_rng(1)
    query, *references = rng.normal(size=(5, 16, 3)).astype(np.float32)
    expected = warping.distances(query, references, band=EVERYWHERE, cost=warping.squared)
    table = squared_distances(np.stack([query] * len(references)), np.stack(references))
    far, near, nearest = (np.abs(np.asarray(soft_dtw(table, gamma)) - expected).max() for gamma in (1.0, 0.1, 1e-3))
    assert far > near > nearest
    np.testing.assert_allclose(soft_dtw(table, 1e-3), expected, rtol=1e-3)


def test_it_is_never_above_the_hard_one() -> None:
    table = costs(8, 12, seed=3)
    assert (np.asarray(soft_dtw(table, 0.5)) <= np.asarray(soft_dtw(table, 1e-3)) + 1e-5).all()


def test_pairs_do_not_look_at_each_other() -> None:
    table = costs(4, 9)
    alone = [float(soft_dtw(table[k : k + 1], 0.3)[0]) for k in range(len(table))]
    np.testing.assert_allclose(soft_dtw(table, 0.3), alone, rtol=1e-6)


def test_its_gradient_is_that_of_finite_differences() -> None:
    table = costs(1, 6, seed=2)
    gradient = np.asarray(jax.grad(lambda cost: soft_dtw(cost, 0.5).sum())(table))
    step = 1e-4
    for i in range(6):
        for j in range(6):
            nudge = np.zeros((6, 6))
            nudge[i, j] = step
            more, less = (textbook(table[0] + sign * nudge, 0.5) for sign in (1, -1))
            assert gradient[0, i, j] == pytest.approx((more - less) / (2 * step), abs=1e-4)


def test_every_path_begins_and_ends_in_the_corners() -> None:
    gradient = np.asarray(jax.grad(lambda cost: soft_dtw(cost, 0.5).sum())(costs(1, 8)))[0]
    assert gradient[[0, -1], [0, -1]] == pytest.approx([1 / 16, 1 / 16], rel=1e-4)
    assert (gradient >= 0).all()


def test_squared_distances_are_those_between_all_frames() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(2, 3, 7, 5)).astype(np.float32)
    expected = ((a[:, :, None].astype(np.float64) - b[:, None]) ** 2).sum(-1)
    np.testing.assert_allclose(squared_distances(a, b), expected, rtol=1e-4, atol=1e-5)
    assert float(squared_distances(a, a).min()) >= 0
