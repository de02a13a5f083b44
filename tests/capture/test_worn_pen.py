"""Worn pens: what they report at rest is learned and counts as no pressure. A pen that is not worn is left alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.capture.evdev_events import COLUMN, COLUMNS, WRITING_TOOLS, Axis, EventDecoder, Key, RawFrames
from penlatch.capture.evdev_tablet import BTN_STYLUS, INPUT_PROP_POINTER, AxisRange, Normaliser, Tablet
from penlatch.capture.frames import Frames
from penlatch.capture.replay.evemu import read_evemu
from penlatch.capture.worn_pen import QUIET_S, VISITS
from support.recordings import recordings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

SPAN: Final = 2000
"""Steps of pressure that a pen has, worn or not, above what it reports at rest."""
STUCK_ABOVE: Final = 10
"""Steps from which on the kernel's `wacom` says BTN_TOUCH."""


def tablet(offset: int = 0, *, keys: Iterable[int] = (Key.TOOL_PEN, Key.TOUCH), distance: bool = False) -> Tablet:
    """Return a tablet whose pen, worn by `offset`, still has `SPAN` steps left."""
    axes: dict[int, AxisRange] = {
        Axis.X: AxisRange(0, 20_000, 100),
        Axis.Y: AxisRange(0, 20_000, 100),
        Axis.PRESSURE: AxisRange(-5, -5 + SPAN + offset),
        **({Axis.DISTANCE: AxisRange(0, 60)} if distance else {}),
    }
    return Tablet("Pen", 1, 2, "", axes, frozenset({*keys, BTN_STYLUS}), frozenset({INPUT_PROP_POINTER}))


Row = tuple[int, bool]
"""Pressure in steps above rest, and whether the pen is near."""


def raw(rows: Sequence[Row], *, start: float, offset: int = 0, stuck: bool = False) -> RawFrames:
    """Return what a pen reports, 100 times a second from `start` on.

    Args:
        rows: what its tip feels.
        start: monotonic time of the first frame [s].
        offset: what it reports while it feels nothing [steps].
        stuck: its contact key is that of a driver which looks at the pressure alone.
    """
    values = np.zeros((len(rows), len(COLUMNS)), dtype=np.int32)
    for index, (pressure, near) in enumerate(rows):
        told = pressure + offset if near else 0
        values[index, COLUMN[Axis.X]] = 10 * index
        values[index, COLUMN[Axis.PRESSURE]] = told - 5
        values[index, COLUMN[Axis.DISTANCE]] = 50 if near and not pressure else 0
        values[index, COLUMN[Key.TOOL_PEN]] = near
        values[index, COLUMN[Key.TOUCH]] = near and (told > STUCK_ABOVE if stuck else pressure > 0)
    return RawFrames(t=start + np.arange(len(rows)) / 100, values=values)


AWAY: Final[Row] = (0, False)
HOVER: Final[Row] = (0, True)
LOOK: Final = [AWAY, HOVER, HOVER, AWAY]
"""A pen that comes near and goes."""
SIGNATURE: Final = [
    AWAY,
    HOVER,
    *((force, True) for force in (150, 400, 2000, 700, 120)),
    HOVER,
    (900, True),
    HOVER,
    AWAY,
]


def worn(offset: int, visits: int = VISITS, *, stuck: bool = False, **more: Any) -> Normaliser:
    """Return a normaliser that a pen worn by `offset` has visited so often, without signing; 1,000 s are over then."""
    normaliser = Normaliser(tablet(offset, **more))
    for visit in range(visits):
        normaliser.frames(raw(LOOK, start=100.0 * visit, offset=offset, stuck=stuck))
    return normaliser


def columns(frames: Frames) -> dict[str, list[Any] | None]:
    return {
        name: None if (column := getattr(frames, name)) is None else column.tolist()
        for name in ("t", "x", "y", "p", "near", "touching", "tilt_x", "tilt_y")
    }


# --- a worn pen -----------------------------------------------------------------------------------------------

forces = st.lists(st.tuples(st.integers(0, SPAN), st.booleans()), max_size=60).map(
    lambda rows: [AWAY, HOVER, *((force if near else 0, near) for force, near in rows), AWAY]
)
keys = st.sampled_from([(Key.TOOL_PEN, Key.TOUCH), (Key.TOOL_PEN,)])


@settings(max_examples=80, deadline=None)
@given(rows=forces, offset=st.integers(1, 90), keys=keys)
def test_what_a_worn_pen_writes_is_what_a_new_one_would_have_written(
    rows: list[Row], offset: int, keys: tuple[Key, ...]
) -> None:
    learned = worn(offset, keys=keys).frames(raw(rows, start=1000.0, offset=offset))
    assert columns(learned) == columns(Normaliser(tablet(keys=keys)).frames(raw(rows, start=1000.0)))


@settings(max_examples=80, deadline=None)
@given(
    visits=st.lists(st.tuples(forces, st.floats(0.1, 2 * QUIET_S)), min_size=1, max_size=8),
    offset=st.integers(0, 90),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    stuck=st.booleans(),
)
def test_what_is_learned_does_not_depend_on_the_batches(
    visits: list[tuple[list[Row], float]], offset: int, cuts: list[int], *, stuck: bool
) -> None:
    start, parts = 100.0, []
    for rows, pause_s in visits:
        parts.append(raw(rows, start=start, offset=offset, stuck=stuck))
        start = float(parts[-1].t[-1]) + pause_s
    t, values = (np.concatenate([getattr(part, name) for part in parts]) for name in ("t", "values"))
    edges = sorted({0, len(t), *(min(cut, len(t)) for cut in cuts)})
    normaliser = Normaliser(tablet(offset))
    batches = [normaliser.frames(RawFrames(t=t[a:b], values=values[a:b])) for a, b in pairwise(edges)]
    whole = Normaliser(tablet(offset)).frames(RawFrames(t=t, values=values))
    assert columns(Frames.joined(batches)) == columns(whole)


def test_it_takes_three_visits() -> None:
    twice, thrice = (worn(100, visits).frames(raw(SIGNATURE, start=1000.0, offset=100)) for visits in (1, 2))
    assert twice.p[1] == pytest.approx(100 / (SPAN + 100))
    assert thrice.p[1] == 0.0


def test_full_pressure_stays_full_pressure() -> None:
    frames = worn(100).frames(raw(SIGNATURE, start=1000.0, offset=100))
    assert frames.p.max() == 1.0


def test_the_lowest_pressure_of_all_visits_is_learned() -> None:
    normaliser = Normaliser(tablet(100))
    for visit, offset in enumerate((100, 80, 95)):
        normaliser.frames(raw(LOOK, start=100.0 * visit, offset=offset))
    frames = normaliser.frames(raw(LOOK, start=1000.0, offset=80))
    assert frames.p.tolist() == [0.0] * len(LOOK)


def test_later_it_is_only_lowered_and_only_between_signatures() -> None:
    normaliser = worn(100)
    same = normaliser.frames(raw(SIGNATURE, start=1000.0, offset=150))
    assert same.p[1] == pytest.approx(50 / SPAN)
    # The pen recovers within a signature, which goes on as it began …
    rows = raw(SIGNATURE, start=2000.0, offset=60)
    rows.values[1, COLUMN[Axis.PRESSURE]] = 100 - 5
    within = normaliser.frames(rows)
    assert within.p[2] == pytest.approx((150 + 60 - 100) / SPAN)
    assert within.p[8] == pytest.approx((900 + 60 - 100) / SPAN)
    # … also where the pen comes near again before the longest pen-up wait is over.
    soon = normaliser.frames(raw(SIGNATURE, start=float(rows.t[-1]) + QUIET_S - 1, offset=60))
    assert soon.p[8] == within.p[8]
    after = normaliser.frames(raw(SIGNATURE, start=3000.0, offset=60))
    assert after.p[8] == pytest.approx(900 / (SPAN + 40))


def test_a_pen_that_turns_out_to_be_sound_is_believed_from_its_next_visit_on() -> None:
    normaliser = worn(100)
    recovers = raw(SIGNATURE, start=1000.0, offset=100)
    recovers.values[7, COLUMN[Axis.PRESSURE]] = -5
    normaliser.frames(recovers)
    frames = normaliser.frames(raw(SIGNATURE, start=2000.0))
    assert frames.p[1] == 0.0
    assert frames.p[3] == pytest.approx(400 / (SPAN + 100))


def test_visits_within_a_signature_do_not_count() -> None:
    normaliser = worn(100, visits=1)
    for lift in range(6):
        frames = normaliser.frames(raw(SIGNATURE, start=500.0 + lift, offset=100))
    assert frames.p[1] > 0.0


def test_more_than_half_of_the_range_is_no_wear() -> None:
    frames = worn(SPAN + 1).frames(raw(SIGNATURE, start=1000.0, offset=SPAN + 1))
    assert frames.p[1] > 0.5


def test_a_pen_that_touches_as_it_comes_tells_nothing_of_itself() -> None:
    normaliser = Normaliser(tablet())
    for visit in range(VISITS + 1):
        frames = normaliser.frames(raw([AWAY, (300, True), (500, True), AWAY], start=100.0 * visit))
    assert frames.p.tolist() == [0, 300 / SPAN, 500 / SPAN, 0]


def test_a_tablet_that_tells_no_proximity_has_no_visits() -> None:
    frames = worn(100, visits=6, keys=(Key.TOUCH,)).frames(raw(SIGNATURE, start=1000.0, offset=100))
    assert frames.p[1] > 0.0


# --- a worn pen whose driver holds it for one that always touches -------------------------------------------------


def test_a_stuck_contact_key_gives_way_to_pressure_once_the_pen_is_known_to_be_worn() -> None:
    normaliser = worn(300, visits=VISITS - 1, stuck=True, distance=True)
    before = normaliser.frames(raw(LOOK, start=500.0, offset=300, stuck=True))
    assert before.touching.tolist() == [False] * len(LOOK)
    frames = normaliser.frames(raw(SIGNATURE, start=1000.0, offset=300, stuck=True))
    assert frames.touching.tolist() == [force > 0 for force, _ in SIGNATURE]
    assert columns(frames)["p"] == columns(Normaliser(tablet()).frames(raw(SIGNATURE, start=1000.0)))["p"]


def test_a_stuck_contact_key_may_be_true_of_a_pen_that_comes_close_at_once() -> None:
    normaliser = Normaliser(tablet(300, distance=True))
    close = [AWAY, (1, True), (1, True), AWAY]
    for visit in range(2 * VISITS):
        frames = normaliser.frames(raw(close, start=100.0 * visit, offset=300, stuck=True))
    assert frames.p[1] > 0.0
    assert frames.touching.tolist() == [near for _, near in close]


def test_without_distance_a_stuck_contact_key_could_be_true_and_is_believed() -> None:
    frames = worn(300, visits=6, stuck=True).frames(raw(SIGNATURE, start=1000.0, offset=300, stuck=True))
    assert frames.touching.tolist() == [near for _, near in SIGNATURE]


def test_a_contact_key_that_was_ever_up_over_the_tablet_is_believed() -> None:
    frames = worn(90).frames(raw([AWAY, HOVER, (1, True), HOVER, AWAY], start=1000.0, offset=90))
    assert frames.touching.tolist() == [False, False, True, False, False]


# --- a pen that is not worn -----------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(visits=st.lists(forces, min_size=VISITS, max_size=8), keys=keys)
def test_a_pen_that_hovers_without_pressure_is_left_alone_to_the_last_bit(
    visits: list[list[Row]], keys: tuple[Key, ...]
) -> None:
    normaliser = Normaliser(tablet(keys=keys))
    for visit, rows in enumerate(visits):
        frames = normaliser.frames(raw(rows, start=100.0 * visit))
        assert frames.p.tolist() == [force * (1 / SPAN) for force, _ in rows]


@pytest.mark.parametrize(
    ("description", "events"),
    [
        (None, "Wacom Cintiq 13HD.events"),
        (None, "Wacom Cintiq 13HD touch Pen.events"),
        ("Wacom Intuos4 6x9 Pen.desc", "Wacom Intuos4 6x9.stylus-drag.events"),
        ("Wacom Intuos4 6x9 Pen.desc", "Wacom Intuos4 6x9.stylus-tap.events"),
    ],
)
def test_no_pen_that_was_recorded_is_worn(description: str | None, events: str) -> None:
    recorded, decoded = record(description, events)
    normaliser = Normaliser(recorded)
    for again in range(VISITS + 1):
        frames = normaliser.frames(RawFrames(t=decoded.t + 1000.0 * again, values=decoded.values))
        scale = 1 / recorded.axes[Axis.PRESSURE].span
        assert frames.p.tolist() == (decoded.values[:, COLUMN[Axis.PRESSURE]] * scale).tolist()


@pytest.mark.parametrize("offset", [25, 120, 400])
def test_a_recorded_pen_that_wears_writes_what_it_wrote(offset: int) -> None:
    """The Cintiq's driver says BTN_TOUCH above 10 steps: worn, this pen touches as long as it is near."""
    new, decoded = record(None, "Wacom Cintiq 13HD.events")
    force, touch = COLUMN[Axis.PRESSURE], COLUMN[Key.TOUCH]
    near = decoded.values[:, [COLUMN[tool] for tool in WRITING_TOOLS]].any(axis=1)
    values = decoded.values.copy()
    values[near, force] += offset
    values[near, touch] = values[near, force] > STUCK_ABOVE
    most = new.axes[Axis.PRESSURE].maximum
    tired = replace(new, axes={**new.axes, Axis.PRESSURE: AxisRange(0, most + offset)})
    normaliser = Normaliser(tired)
    for again in range(VISITS + 1):
        frames = normaliser.frames(RawFrames(t=decoded.t + 1000.0 * again, values=values))
    by_pressure = Normaliser(replace(new, keys=new.keys - {Key.TOUCH}))
    expected = by_pressure.frames(decoded)
    assert np.count_nonzero(expected.touching) > 500
    np.testing.assert_array_equal(frames.touching, expected.touching)
    np.testing.assert_array_equal(frames.p[near], expected.p[near])


def record(description: str | None, events: str) -> tuple[Tablet, RawFrames]:
    """Return the tablet of a recording and its frames."""
    folder = recordings()
    recording = read_evemu(folder / events, description=folder / description if description else None)
    (decoded,) = EventDecoder().feed(recording.events.tobytes())
    return recording.tablet, decoded
