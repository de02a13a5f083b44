"""Disguises: one aspect is changed, and what belongs to the others is left as it was."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from penlatch.ink import PenInfo
from penlatch.messages import Reason
from penlatch.signal.features import FEATURES, global_features
from penlatch.sim.disguise import (
    DISGUISES,
    PAUSE,
    TEMPO,
    TURN_DEG,
    Disguise,
    hesitant,
    redrawn,
    slanted,
    slower,
    turned,
)
from penlatch.sim.writer import Writer
from support.drawings import draw, without_hover

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from penlatch.ink import Trace

KEPT = {
    "speed": ("size", "pressure"),
    "pressure": ("shape", "size", "speed", "rhythm"),
    "size": ("shape", "speed", "pressure", "rhythm"),
    "rhythm": ("shape", "size"),
    "tilt": ("shape", "size", "speed", "pressure", "rhythm"),
}
"""By changed aspect: the groups of features that must not move at all (the rate of pressure's change is a tempo)."""
TEMPO_OF_OTHERS = {"log_pressure_change", "pressure_speed", "pressure_downward"}


@pytest.fixture(scope="module")
def signature() -> Trace:
    trace = Writer(3).genuine(np.random.default_rng(3))
    n = len(trace)
    return replace(trace, tilt_x=np.full(n, 20.0), tilt_y=np.full(n, 30.0))


@pytest.mark.parametrize("disguise", [d for d in DISGUISES if d.aspect in KEPT], ids=lambda d: d.name)
def test_nothing_else_changes(disguise: Disguise, signature: Trace) -> None:
    name, aspect, change = disguise
    changed = change(signature)
    assert changed is not None
    before, after = global_features(signature), global_features(changed)
    for feature, a, b in zip(FEATURES, before, after, strict=True):
        if feature.group in KEPT[aspect] and feature.name not in TEMPO_OF_OTHERS:
            assert b == pytest.approx(a, abs=0.02), (name, feature.name)


@pytest.mark.parametrize("disguise", DISGUISES, ids=lambda d: d.name)
def test_the_truth_is_a_reason(disguise: Disguise) -> None:
    assert Reason(disguise.aspect)


def test_slower_is_slower_throughout(signature: Trace) -> None:
    assert np.diff(slower(signature).t) == pytest.approx(np.diff(signature.t) * TEMPO)


def test_only_pauses_grow_with_frames_in_the_air_and_without() -> None:
    def line(t: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        return 30 * t, 5 * np.sin(9 * t), np.full(len(t), 0.5)

    live = draw(line, [(0.0, 0.5), (0.8, 1.2)], hover=True)
    for trace in (live, without_hover(live)):
        longer = hesitant(trace)
        assert longer is not None
        assert longer.duration == pytest.approx(1.2 + (PAUSE - 1) * 0.3, abs=0.03)


def test_what_has_no_pause_cannot_pause_longer() -> None:
    stroke = draw(lambda t: (30 * t, 5 * t, np.full(len(t), 0.5)), [(0.0, 0.5)])
    assert hesitant(stroke) is None


def test_a_slant_keeps_the_size(signature: Trace) -> None:
    down = signature.down
    slant = slanted(signature)
    radius = [np.hypot(trace.x[down].std(), trace.y[down].std()) for trace in (signature, slant)]
    assert radius[0] == pytest.approx(radius[1])


def test_a_stroke_drawn_anew_begins_and_ends_where_it_did_and_is_as_long(signature: Trace) -> None:
    changed = redrawn(signature)
    moved = np.flatnonzero((changed.x != signature.x) | (changed.y != signature.y))
    first, last = moved[0] - 1, moved[-1] + 1
    assert signature.down[first : last + 1].all()
    assert changed.ink_length == pytest.approx(signature.ink_length)


def test_a_turned_pen_leans_as_far_in_another_direction(signature: Trace) -> None:
    changed = turned(signature)
    assert changed is not None
    assert changed.tilt_x is not None
    assert changed.tilt_y is not None
    before, after = (
        np.tan(np.radians(x[0])) + 1j * np.tan(np.radians(y[0]))
        for x, y in ((np.array([20.0]), np.array([30.0])), (changed.tilt_x, changed.tilt_y))
    )
    assert abs(after) == pytest.approx(abs(before))
    assert np.degrees(np.angle(after / before)) == pytest.approx(TURN_DEG)


@pytest.mark.parametrize("name", ["lighter", "monotonous", "turned"])
def test_a_pen_that_tells_nothing_of_an_aspect_has_none_to_disguise(name: str) -> None:
    trace = replace(Writer(3).genuine(np.random.default_rng(3)), pen=PenInfo("plain", has_pressure=False))
    (change,) = [disguise.change for disguise in DISGUISES if disguise.name == name]
    assert change(trace) is None
