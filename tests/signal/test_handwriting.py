"""Handwriting in pictures: one signature is let through, and a line that anybody could draw is known for one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from penlatch.signal import handwriting
from penlatch.signal.preprocess import clean
from penlatch.signal.raster import HEIGHT, WIDTH, coverage, draw, fitted, found, placed
from penlatch.sim.writer import Writer

SOME = range(40)
Grey = NDArray[np.uint8]


def scanned(seed: int) -> Grey:
    """Return a signature on paper, 600 x 300."""
    ink = clean(Writer(seed).genuine(np.random.default_rng(seed)))
    x, y = placed(ink.x, ink.y, height=300, width=600, margin=20)
    scan: Grey = np.rint(245 - 220 * coverage(x, y, ink.start, height=300, width=600, line=4)).astype(np.uint8)
    return scan


def drawn(x: object, y: object) -> Grey:
    """Return one line as a raster."""
    px, py = placed(np.asarray(x, dtype=float), np.asarray(y, dtype=float), height=HEIGHT, width=WIDTH, margin=3)
    start = np.arange(len(px)) == 0
    raster: Grey = np.rint(255 * (1 - coverage(px, py, start, height=HEIGHT, width=WIDTH, line=1.6))).astype(np.uint8)
    return raster


def test_signatures_are_single_and_complex_enough() -> None:
    told = [handwriting.single(found(scanned(seed))) for seed in SOME]
    assert sum(not problem for problem in told) >= len(told) - 1
    assert all(handwriting.complexity(fitted(found(scanned(seed)))) >= 0.18 for seed in SOME)
    assert all(handwriting.complexity(draw(clean(Writer(s).genuine(np.random.default_rng(s))))) >= 0.18 for s in SOME)


T = np.linspace(0, 1, 400)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (T, 0.3 * T),  # a line
        (np.cos(2 * np.pi * T), np.sin(2 * np.pi * T)),  # a circle
        (2 * np.cos(2 * np.pi * T), np.sin(2 * np.pi * T)),  # an ellipse
        (T, np.abs(T - 0.3)),  # a check mark
        (T, 0.1 * np.sin(9 * T)),  # a wave
    ],
)
def test_what_anybody_could_draw_is_too_simple(x: object, y: object) -> None:
    assert handwriting.complexity(drawn(x, y)) < 0.18


def test_a_line_has_none_and_an_empty_sheet_neither() -> None:
    assert handwriting.complexity(drawn(T, 0 * T)) == 0.0
    assert handwriting.complexity(np.full((HEIGHT, WIDTH), 255, dtype=np.uint8)) == 0.0
    assert handwriting.complexity(np.zeros((HEIGHT, WIDTH), dtype=np.uint8)) == 0.0
    assert handwriting.single(np.zeros((9, 9), dtype=np.float32))


@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))))
@settings(max_examples=60)
def test_pieces_are_those_that_a_walk_finds(mask: NDArray[np.bool_]) -> None:
    labels = handwriting._labels(mask)
    left = {(int(i), int(j)) for i, j in zip(*np.nonzero(mask), strict=True)}
    pieces = 0
    while left:
        pieces += 1
        walk, number = [left.pop()], None
        while walk:
            i, j = walk.pop()
            number = number or int(labels[i, j])
            assert labels[i, j] == number
            near = {(i + a, j + b) for a in (-1, 0, 1) for b in (-1, 0, 1)} & left
            left -= near
            walk.extend(near)
    assert len(set(labels[mask].tolist())) == pieces
    assert not labels[~mask].any()


@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
@settings(max_examples=60)
def test_runs_are_counted(mask: NDArray[np.bool_]) -> None:
    runs = handwriting._runs(mask)
    for i, j in np.ndindex(*mask.shape):
        length = 0
        if mask[i, j]:
            a = b = j
            while a > 0 and mask[i, a - 1]:
                a -= 1
            while b + 1 < mask.shape[1] and mask[i, b + 1]:
                b += 1
            length = b - a + 1
        assert runs[i, j] == length
