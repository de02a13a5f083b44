"""The pen state machine: which change is legal, and that any other is repaired by the step that is missing."""

from __future__ import annotations

from itertools import pairwise, product

import pytest

from penlatch.capture.pen_state import PenState

AWAY, HOVERING, CONTACT = PenState


@pytest.mark.parametrize(
    ("near", "touching", "state"),
    [(False, False, AWAY), (True, False, HOVERING), (True, True, CONTACT), (False, True, CONTACT)],
    ids=["away", "hovering", "in contact", "contact without proximity is contact"],
)
def test_a_frame_has_a_state(*, near: bool, touching: bool, state: PenState) -> None:
    assert PenState.of(near=near, touching=touching) is state


@pytest.mark.parametrize(
    ("before", "after", "path"),
    [
        pytest.param(AWAY, HOVERING, (HOVERING,), id="arrives"),
        pytest.param(HOVERING, CONTACT, (CONTACT,), id="touches"),
        pytest.param(CONTACT, HOVERING, (HOVERING,), id="lifts"),
        pytest.param(HOVERING, AWAY, (AWAY,), id="leaves"),
        pytest.param(AWAY, CONTACT, (HOVERING, CONTACT), id="touches without having arrived"),
        pytest.param(CONTACT, AWAY, (HOVERING, AWAY), id="leaves without having lifted"),
    ],
)
def test_a_change_takes_the_steps_it_needs(before: PenState, after: PenState, path: tuple[PenState, ...]) -> None:
    assert before.path_to(after) == path


@pytest.mark.parametrize("state", PenState)
def test_staying_is_no_step(state: PenState) -> None:
    assert state in state.legal
    assert state.path_to(state) == ()


@pytest.mark.parametrize(("before", "after"), list(product(PenState, PenState)))
def test_every_path_is_legal_and_arrives(before: PenState, after: PenState) -> None:
    path = (before, *before.path_to(after))
    assert path[-1] is after
    assert all(later in earlier.legal for earlier, later in pairwise(path))
