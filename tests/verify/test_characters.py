"""Characters: the documented grouping of strokes, the same for all signatures that are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.signal.preprocess import Ink, clean
from penlatch.verify.characters import LEAST_ROWS, character_starts, common_cuts
from support.drawings import scrawl

if TYPE_CHECKING:
    from numpy.typing import NDArray


def ink(*strokes: tuple[float, float, int]) -> Ink:
    """Make level strokes, each from x to x in so many rows."""
    x = np.concatenate([np.linspace(begin, end, rows) for begin, end, rows in strokes])
    start = np.concatenate([np.arange(rows) == 0 for _, _, rows in strokes])
    n = len(x)
    return Ink(t=np.arange(n) / 100, x=x, y=np.zeros(n), p=np.full(n, 0.5), start=start)


def begins(*strokes: tuple[float, float, int]) -> list[int]:
    return [int(row) for row in np.flatnonzero(character_starts(ink(*strokes)))]


def starts(rows: int, *at: int) -> NDArray[np.bool_]:
    return np.isin(np.arange(rows), at)


def test_strokes_side_by_side_are_characters() -> None:
    assert begins((0, 10, 40), (12, 20, 40), (21, 30, 40)) == [0, 40, 80]


def test_strokes_whose_extents_touch_are_one_character() -> None:
    assert begins((0, 10, 40), (10, 20, 40), (15, 5, 40)) == [0]


def test_a_dot_added_later_belongs_to_what_it_was_added_to() -> None:
    assert begins((0, 10, 40), (4, 6, 40), (12, 20, 40)) == [0, 80]


def test_writing_to_the_left_has_characters_too() -> None:
    assert begins((30, 20, 40), (18, 10, 40)) == [0, 40]


def test_a_character_too_short_to_sample_is_joined_to_its_successor() -> None:
    assert begins((0, 10, 40), (12, 13, LEAST_ROWS - 1), (15, 20, 40)) == [0, 40]
    assert begins((0, 10, 40), (12, 13, LEAST_ROWS), (15, 20, 40)) == [0, 40, 70]
    assert begins((0, 1, 10), (2, 3, 10), (4, 5, 10), (6, 7, 10), (8, 20, 40)) == [0, 30]


def test_a_last_character_too_short_to_sample_is_joined_to_its_predecessor() -> None:
    assert begins((0, 10, 40), (12, 13, 5)) == [0]


def test_references_vote_for_one_layout() -> None:
    # Two, two and three characters: two it is, cut half way between 0.4 and 0.5.
    cuts = common_cuts([starts(100, 0, 40), starts(200, 0, 100), starts(100, 0, 30, 60)])
    np.testing.assert_allclose(cuts, [0, 0.45, 1])


def test_a_tied_vote_goes_to_the_fewer_characters() -> None:
    np.testing.assert_allclose(common_cuts([starts(100, 0), starts(100, 0, 50)]), [0, 1])


@settings(max_examples=40, deadline=None)
@given(seeds=st.lists(st.integers(0, 500), min_size=1, max_size=6))
def test_any_references_agree_on_bounds_that_increase_from_0_to_1(seeds: list[int]) -> None:
    cuts = common_cuts([character_starts(clean(scrawl(seed))) for seed in seeds])
    assert cuts[0] == 0
    assert cuts[-1] == pytest.approx(1)
    assert (np.diff(cuts) > 0).all()
