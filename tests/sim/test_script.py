"""Action plans: signatures that people could have made up, whatever the seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.sim.script import MAX_STROKES, MIN_STROKES, ActionPlan, Move, invent


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_signature_has_as_many_strokes_as_people_use(seed: int) -> None:
    plan = invent(np.random.default_rng(seed))
    assert plan.down.sum() >= MIN_STROKES
    assert len(plan) <= MAX_STROKES
    assert plan.down[0]
    assert plan.down[-1]


def test_seeds_give_different_signatures() -> None:
    plans = [invent(np.random.default_rng(seed)) for seed in range(40)]
    assert len({(plan.x.tobytes(), plan.y.tobytes()) for plan in plans}) == 40
    assert len({len(plan) for plan in plans}) > 10
    lifts = {int((~plan.down).sum()) for plan in plans}
    assert 0 in lifts
    assert max(lifts) > 4


def test_what_is_drawn_in_the_air_at_the_ends_is_left_out() -> None:
    plan = ActionPlan.of([Move(2.0, 1.0, down=False), Move(3.0, 3.0, 90.0), Move(9.0, 9.0, down=False)])
    assert (plan.x.tolist(), plan.y.tolist()) == ([1.0], [2.0])
    assert plan.turn == pytest.approx(np.pi / 2)


def test_a_correction_lies_on_the_arc_it_interrupts() -> None:
    # A quarter of a circle about (0, 1), from (0, 0) anticlockwise to (1, 1).
    plan = ActionPlan.of([Move(1.0, 1.0, 90.0)])
    traced = plan.with_corrections(np.random.default_rng(0), chance=1.0, longer_than=0.1)
    assert (traced.x[0], traced.y[0]) == (pytest.approx(np.sin(np.pi / 4)), pytest.approx(1 - np.cos(np.pi / 4)))
    assert (traced.x[1], traced.y[1]) == (1.0, 1.0)
    assert traced.turn.tolist() == pytest.approx([np.pi / 4] * 2)
    assert traced.down.all()
