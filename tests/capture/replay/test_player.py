"""The replay pen: it plays what was recorded, at its pace or at once, lifts, and then is gone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from penlatch.capture.frames import Frames
from penlatch.capture.replay.inkml import write_inkml
from penlatch.capture.replay.player import BATCH, LINGER_S, Pace, ReplayPen
from penlatch.capture.segmenter import Segmenter, Signature
from penlatch.config import Segment
from penlatch.errors import PenError, TraceError
from penlatch.ink import PenInfo, Trace
from support.recordings import recordings
from support.strokes import all_batches, cut, frames, written

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PEN = PenInfo(name="recorded pen")
WRITING = written((0, 0.4), (0.6, 1.0))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time that passes only when somebody waits for it; the waits."""
    waits: list[float] = []
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0 + sum(waits))

    @contextlib.asynccontextmanager
    async def timeout(delay: float) -> AsyncIterator[None]:
        waits.append(delay)
        raise TimeoutError
        yield

    monkeypatch.setattr(asyncio, "timeout", timeout)
    return waits


async def test_every_frame_is_played_and_then_the_pen_is_gone() -> None:
    batches, error = await all_batches(ReplayPen([WRITING], PEN, pace=Pace.FAST))
    assert error.problem == "the recording is over"
    *rest, away = batches
    np.testing.assert_array_equal(np.concatenate([each.x for each in rest]), WRITING.x)
    np.testing.assert_array_equal(np.concatenate([each.touching for each in rest]), WRITING.touching)
    assert max(map(len, rest)) == BATCH
    assert (away.near.tolist(), away.touching.tolist(), away.x.tolist()) == ([False], [False], [WRITING.x[-1]])


async def test_at_once_its_times_lie_in_the_past() -> None:
    before = time.monotonic()
    batches, _ = await all_batches(ReplayPen([WRITING], PEN, pace=Pace.FAST))
    t = np.concatenate([each.t for each in batches])
    assert before - LINGER_S - 1.0 <= t[0]
    assert t[-1] <= time.monotonic()
    np.testing.assert_allclose(np.diff(t)[:-1], np.diff(WRITING.t), atol=1e-9)
    assert t[-1] - t[-2] == pytest.approx(LINGER_S)


async def test_at_its_pace_each_frame_comes_when_it_is_due(clock: list[float]) -> None:
    batches, _ = await all_batches(ReplayPen([WRITING], PEN))
    t = np.concatenate([each.t for each in batches])
    np.testing.assert_allclose(t, [*(WRITING.t - WRITING.t[0] + 1000), 1001 + LINGER_S])
    assert sum(clock) == pytest.approx(1 + LINGER_S)
    assert len(clock) >= len(WRITING) - 1


async def test_a_factor_makes_the_writer_faster(clock: list[float]) -> None:
    batches, _ = await all_batches(ReplayPen([WRITING], PEN, factor=2.0))
    assert sum(clock) == pytest.approx(0.5 + LINGER_S)
    assert np.concatenate([each.t for each in batches])[100] - 1000 == pytest.approx(0.5)


async def test_a_segmenter_finds_the_signature_without_a_timer() -> None:
    pen = ReplayPen(cut(WRITING, [7, 50]), PEN, pace=Pace.FAST)
    segmenter = Segmenter(Segment(), pen.info)
    batches, _ = await all_batches(pen)
    (capture,) = [capture for batch in batches for capture in segmenter.feed(batch)]
    assert isinstance(capture, Signature)
    assert capture.trace.duration == pytest.approx(1)
    assert capture.trace.pen == PEN


async def test_gaps_stay_where_they_were() -> None:
    first, second = cut(WRITING, [50])
    batches, _ = await all_batches(ReplayPen([first, Frames.empty(gap=True), second], PEN, pace=Pace.FAST))
    assert [each.gap for each in batches] == [False, True, False, False]


async def test_time_that_runs_backwards_is_held() -> None:
    batches, _ = await all_batches(ReplayPen([frames([5, 4, 6], [True] * 3), frames([3], [True])], PEN, pace=Pace.FAST))
    t = np.concatenate([each.t for each in batches])
    np.testing.assert_allclose(t - t[0], [0, 0, 1, 1, 1 + LINGER_S])


@pytest.mark.parametrize("pace", Pace)
async def test_closing_ends_it_at_once(pace: Pace) -> None:
    pen = ReplayPen([written((0, 600))], PEN, pace=pace)
    batches = pen.batches()
    await anext(batches)
    pen.close()
    pen.close()
    with pytest.raises(PenError, match="it was closed"):
        await asyncio.wait_for(anext(batches), timeout=20)


def test_nothing_to_play_is_an_error() -> None:
    with pytest.raises(TraceError, match="no frames"):
        ReplayPen([Frames.empty()], PEN)


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_a_factor_is_a_positive_number(factor: float) -> None:
    with pytest.raises(ValueError, match="positive number"):
        ReplayPen([WRITING], PEN, factor=factor)


# --- files ----------------------------------------------------------------------------------------------------


async def test_a_file_of_inkml_is_played(tmp_path: Path) -> None:
    trace = Trace(
        t=np.array([0, 0.1, 0.2]),
        x=np.array([1.0, 2.0, 3.0]),
        y=np.zeros(3),
        p=np.array([0.5, 0, 0.25]),
        down=np.array([True, False, True]),
        pen=PEN,
    )
    path = tmp_path / "signature.inkml"
    path.write_text(write_inkml(trace))
    pen = ReplayPen.open(path, pace=Pace.FAST)
    assert pen.device == str(path)
    assert pen.info == PEN
    batches, error = await all_batches(pen)
    assert np.concatenate([each.touching for each in batches]).tolist() == [True, False, True, False]
    assert np.concatenate([each.near for each in batches]).tolist() == [True, True, True, False]
    assert error.device == str(path)


async def test_a_file_of_svc2004_is_played(tmp_path: Path) -> None:
    path = tmp_path / "U1S1.TXT"
    path.write_text("2\r\n3000 6200 5000 1\r\n3100 6300 5010 1\r\n")
    batches, _ = await all_batches(ReplayPen.open(path, pace=Pace.FAST))
    assert np.concatenate([each.x for each in batches]).tolist() == [30, 31, 31]


async def test_a_file_of_evemu_is_played() -> None:
    folder = recordings()
    pen = ReplayPen.open(
        folder / "Wacom Intuos4 6x9.stylus-tap.events",
        pace=Pace.FAST,
        description=folder / "Wacom Intuos4 6x9 Pen.desc",
    )
    assert pen.info == PenInfo(name="Wacom Intuos4 6x9 Pen")
    batches, _ = await all_batches(pen)
    assert any(each.touching.any() for each in batches)


@pytest.mark.parametrize("name", ["signature.inkml", "signature.txt", "signature.events", "signature.evemu"])
def test_a_file_that_is_not_what_it_says_is_an_error_of_the_pen(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("nonsense")
    with pytest.raises(PenError, match=name):
        ReplayPen.open(tmp_path / name)


def test_a_file_that_does_not_say_what_it_is_names_the_kinds(tmp_path: Path) -> None:
    with pytest.raises(PenError) as caught:
        ReplayPen.open(tmp_path / "signature")
    assert ".inkml" in (caught.value.remedy or "")
