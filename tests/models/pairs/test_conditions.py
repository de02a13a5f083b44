"""Pages and conditions: the signature stays what it is, and what befalls it is repeatable."""

from __future__ import annotations

import numpy as np
import pytest

from penlatch.errors import PictureError
from penlatch.signal.preprocess import clean
from penlatch.signal.raster import HEIGHT, WIDTH, draw, normalise
from penlatch.sim.writer import Writer
from training.pairs.conditions import CLEAN, CONDITIONS, seen
from training.pairs.pages import PAGE_HEIGHT, PAGE_WIDTH, bent

INK = clean(Writer(5).genuine(np.random.default_rng(5)))


@pytest.fixture(scope="module")
def inked() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """A page with a signature on it."""
    raster = 1 - draw(INK).astype(np.float32) / 255
    page = np.zeros((PAGE_HEIGHT, PAGE_WIDTH), dtype=np.float32)
    page[:] = np.kron(raster, np.ones((2, 2), dtype=np.float32))
    return page


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_is_repeatable_and_another_each_time(
    inked: np.ndarray[tuple[int, ...], np.dtype[np.float32]], condition: str
) -> None:
    one, again, other = (seen(inked, condition, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.shape == inked.shape
    assert one.dtype == np.uint8
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("condition", [c for c in CONDITIONS if c != CLEAN])
def test_a_condition_changes_more_than_the_darkness_of_ink(
    inked: np.ndarray[tuple[int, ...], np.dtype[np.float32]], condition: str
) -> None:
    paper = inked == 0
    assert np.unique(seen(inked, CLEAN, np.random.default_rng(1))[paper]).size == 1
    assert np.unique(seen(inked, condition, np.random.default_rng(1))[paper]).size > 1


@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_signature_is_found_again(inked: np.ndarray[tuple[int, ...], np.dtype[np.float32]], condition: str) -> None:
    plain = normalise(seen(inked, CLEAN, np.random.default_rng(1)))
    likeness = []
    for seed in range(8):
        try:
            found = normalise(seen(inked, condition, np.random.default_rng(seed)))
        except PictureError:
            likeness.append(0.0)
            continue
        assert found.shape == (HEIGHT, WIDTH)
        likeness.append(float(np.corrcoef(found.ravel(), plain.ravel())[0, 1]))
    # A stamp that reaches beyond the signature moves the crop.
    assert np.median(likeness) > (0.2 if condition in {"stamp", "degraded"} else 0.6)


def test_a_bent_signature_is_another_drawing_of_the_same_strokes() -> None:
    one, again, other = (bent(INK, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(draw(one), draw(again))
    assert not np.array_equal(draw(one), draw(other))
    assert np.array_equal(one.start, INK.start)
    for changed in (one, other):
        assert np.corrcoef(changed.x, INK.x)[0, 1] > 0.9
