"""Variations of a signature: another day, never another signature."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.signal.features import global_features
from penlatch.signal.preprocess import Ink, clean
from support.drawings import scrawl
from training.augment import vary


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), drawing=st.integers(0, 20))
def test_a_variation_is_a_signature(seed: int, drawing: int) -> None:
    ink = clean(scrawl(drawing))
    varied = vary(ink, np.random.default_rng(seed))
    assert len({len(column) for column in (varied.t, varied.x, varied.y, varied.p, varied.start)}) == 1
    assert 0.6 < len(varied) / len(ink) < 1.6
    assert varied.t[0] == 0
    assert (np.diff(varied.t) >= 0).all()
    assert varied.start[0]
    assert varied.start.sum() == ink.start.sum()
    assert varied.p.min() >= 0
    assert varied.p.max() <= 1
    assert np.isfinite(global_features(varied)).all()


def test_pauses_keep_their_length() -> None:
    ink = clean(scrawl(3))
    varied = vary(ink, np.random.default_rng(0))

    def pauses(of: Ink) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return np.asarray(np.diff(of.t)[of.start[1:]], dtype=np.float64)

    assert pauses(varied) == pytest.approx(pauses(ink), abs=0.011)


def test_the_same_seed_gives_the_same_variation() -> None:
    ink = clean(scrawl(1))
    a, b, c = (vary(ink, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(a.x, b.x)
    assert not np.array_equal(a.x[:50], c.x[:50])


def test_some_variations_are_by_a_pen_without_pressure() -> None:
    ink = clean(scrawl(1))
    lost = [bool((vary(ink, np.random.default_rng(seed)).p == 1).all()) for seed in range(100)]
    assert 2 < sum(lost) < 25


def test_a_dot_can_be_varied() -> None:
    one, true = np.ones(1), np.ones(1, dtype=np.bool_)
    assert len(vary(Ink(t=0 * one, x=one, y=one, p=one, start=true), np.random.default_rng(0))) >= 1
