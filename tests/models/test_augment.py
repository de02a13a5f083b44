"""Variations of a signature: another day or a forger's, never another signature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.signal.features import global_features
from penlatch.signal.preprocess import Ink, clean
from penlatch.verify import dtw
from support.drawings import scrawl
from training.augment import forge, vary

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Change = Callable[[Ink, np.random.Generator], Ink]

either = pytest.mark.parametrize("change", [vary, forge])


@either
@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), drawing=st.integers(0, 20))
def test_a_variation_is_a_signature(change: Change, seed: int, drawing: int) -> None:
    ink = clean(scrawl(drawing))
    varied = change(ink, np.random.default_rng(seed))
    assert len({len(column) for column in (varied.t, varied.x, varied.y, varied.p, varied.start)}) == 1
    assert varied.t[0] == 0
    assert (np.diff(varied.t) >= 0).all()
    assert varied.start[0]
    assert varied.start.sum() == ink.start.sum()
    assert varied.p.min() >= 0
    assert varied.p.max() <= 1
    assert np.isfinite(global_features(varied)).all()


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), drawing=st.integers(0, 20))
def test_a_writer_is_about_as_fast_another_day_and_a_forger_never_faster(seed: int, drawing: int) -> None:
    ink = clean(scrawl(drawing))
    assert 0.6 < len(vary(ink, np.random.default_rng(seed))) / len(ink) < 1.6
    assert 1 - 1 / len(ink) <= len(forge(ink, np.random.default_rng(seed))) / len(ink) < 1.8


@either
def test_pauses_keep_their_length(change: Change) -> None:
    ink = clean(scrawl(3))
    varied = change(ink, np.random.default_rng(0))

    def pauses(of: Ink) -> NDArray[np.float64]:
        return np.asarray(np.diff(of.t)[of.start[1:]], dtype=np.float64)

    assert pauses(varied) == pytest.approx(pauses(ink), abs=0.011)


@either
def test_the_same_seed_gives_the_same_variation(change: Change) -> None:
    ink = clean(scrawl(1))
    a, b, c = (change(ink, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(a.x, b.x)
    assert not np.array_equal(a.x[:50], c.x[:50])


@either
def test_the_original_stays_as_it_was(change: Change) -> None:
    ink = clean(scrawl(2))
    before = ink.x.copy(), ink.y.copy(), ink.p.copy()
    change(ink, np.random.default_rng(0))
    assert all(np.array_equal(a, b) for a, b in zip((ink.x, ink.y, ink.p), before, strict=True))


def test_a_forgery_departs_further_than_another_day_and_is_still_a_copy() -> None:
    days: list[float] = []
    forgeries: list[float] = []
    others: list[float] = []
    for seed in range(12):
        ink, rng = clean(scrawl(seed)), np.random.default_rng(seed)
        queries = [dtw.prepare(of) for of in (vary(ink, rng), forge(ink, rng), clean(scrawl(seed + 100)))]
        for found, query in zip((days, forgeries, others), queries, strict=True):
            found.append(float(dtw.distances(query, [dtw.prepare(ink)])[0]))
    assert np.mean(days) < 0.6 * np.mean(forgeries)
    assert np.mean(forgeries) < 0.8 * np.mean(others)


@either
def test_a_pen_without_pressure_gets_none(change: Change) -> None:
    ink = clean(scrawl(1))
    blunt = Ink(t=ink.t, x=ink.x, y=ink.y, p=np.ones(len(ink)), start=ink.start)
    for seed in range(20):
        assert np.ptp(change(blunt, np.random.default_rng(seed)).p) == 0


@either
def test_a_dot_can_be_varied(change: Change) -> None:
    one, true = np.ones(1), np.ones(1, dtype=np.bool_)
    assert len(change(Ink(t=0 * one, x=one, y=one, p=one, start=true), np.random.default_rng(0))) >= 1
