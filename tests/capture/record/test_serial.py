"""What is recorded of a serial pen gives, played again, the very frames that the pen gave; rubbish is refused."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penlatch.capture import isdv4, protocol4, serial_line
from penlatch.capture.record.file import RecordingFile
from penlatch.capture.record.serial import SerialWriter
from penlatch.capture.replay.serial import HEAD, read_serial
from penlatch.capture.serial_line import open_serial
from penlatch.errors import PenError, TraceError
from penlatch.sim.tablet import Faults, Isdv4Tablet, Protocol4Tablet
from support.figures import lissajous
from support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from penlatch.capture.frames import Frames
    from penlatch.sim.pty_tablet import PtyTablet

COLUMNS = ("t", "x", "y", "p", "near", "touching")


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (isdv4, protocol4):
        monkeypatch.setattr(module, "STOP_TIME_S", 0.02)
        monkeypatch.setattr(module, "ANSWER_LIMIT_S", 0.3)
    monkeypatch.setattr(protocol4, "RESET_SPEED_TIME_S", 0.02)
    monkeypatch.setattr(protocol4, "RESET_TIME_S", 0.02)


async def recorded(
    protocol: Literal["isdv4", "protocol4"], tablet: PtyTablet, path: Path, *, until_s: float | None = None
) -> list[Frames]:
    """Record a figure on the tablet, which is then pulled out; return what the live pen gave."""
    batches: list[Frames] = []
    with tablet, RecordingFile(path) as file:
        pen = await open_serial(protocol, tablet.path, tap=SerialWriter(file, protocol))
        await asyncio.to_thread(tablet.wait_started, PATIENCE_S)

        async def read() -> None:
            with contextlib.suppress(PenError):
                async for frames in pen.batches():
                    batches.append(frames)  # noqa: PERF401 - what came before the end counts

        reading = asyncio.create_task(read())
        assert await asyncio.to_thread(tablet.play, lissajous(lift=slice(25, 35)), until_s=until_s)
        await eventually(lambda: batches and (not len(batches[-1]) or not batches[-1].near[-1]))
        await asyncio.to_thread(tablet.unplug)
        await asyncio.wait_for(reading, PATIENCE_S)
        pen.close()
    return batches


def assert_same(live: list[Frames], played: list[Frames]) -> None:
    assert [len(batch) for batch in live] == [len(batch) for batch in played]
    assert [batch.gap for batch in live] == [batch.gap for batch in played]
    start, origin = (next(batch.t[0] for batch in batches if len(batch)) for batches in (live, played))
    for one, other in zip(live, played, strict=True):
        np.testing.assert_allclose(one.t - start, other.t - origin, atol=1e-8)
        for column in COLUMNS[1:]:
            assert getattr(one, column).tolist() == getattr(other, column).tolist()


@pytest.mark.parametrize("faults", [None, Faults(garbage=0.1, loss=0.1, seed=3)], ids=["clean", "bad line"])
async def test_every_frame_of_an_isdv4_tablet_comes_again(faults: Faults | None, tmp_path: Path) -> None:
    live = await recorded("isdv4", Isdv4Tablet(faults=faults), tmp_path / "pen.serial")
    played = read_serial(tmp_path / "pen.serial")
    assert sum(map(len, live)) > 50
    assert_same(live, played.frames())
    assert played.info.name == "Wacom ISDV4 pen"


@pytest.mark.parametrize("model", [b"~#UD-1212-R00,V1.3-5\r", b"~#ET-0405-R00,V1.0-3\r"], ids=["asked", "known"])
async def test_every_frame_of_a_protocol_iv_tablet_comes_again(model: bytes, tmp_path: Path) -> None:
    tablet = Protocol4Tablet(model_reply=model, size_mm=(120, 90))
    live = await recorded("protocol4", tablet, tmp_path / "pen.serial")
    assert_same(live, read_serial(tmp_path / "pen.serial").frames())


async def test_a_tablet_that_falls_silent_in_contact_does_so_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_line, "CONTACT_SILENCE_S", 0.1)
    live = await recorded("isdv4", Isdv4Tablet(), tmp_path / "pen.serial", until_s=0.1)
    assert live[-1].gap
    assert_same(live, read_serial(tmp_path / "pen.serial").frames())


GOOD = f"{HEAD}\nP: isdv4 38400\nR: {isdv4.QueryReply(x=9000, y=6000, pressure=255).to_bytes().hex()}\n"


@pytest.mark.parametrize(
    "line",
    [
        *("X: 1", "P: isdv4", "P: isdv4 0", "P: other 9600", "P: isdv4 9999999999", "R:", "R: xyz"),
        *("D:", "D: 1", "D: -1.0 00", "D: nan 00", "D: 1.0 0", "D: 1.0 00 00", "D: 12345678.0 00", "nonsense"),
    ],
)
def test_a_damaged_line_is_named_and_not_quoted(line: str, tmp_path: Path) -> None:
    path = tmp_path / "pen.serial"
    path.write_text(f"{GOOD}{line}\n")
    with pytest.raises(TraceError) as caught:
        read_serial(path)
    assert caught.value.line == GOOD.count("\n") + 1
    assert line not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "P: isdv4 38400\n", f"{HEAD}\n", f"{HEAD}\nP: isdv4 38400\n", f"{HEAD}\nP: protocol4 9600\nR: 00\n"]
)
def test_what_tells_of_no_tablet_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "pen.serial"
    path.write_text(text)
    with pytest.raises(TraceError):
        read_serial(path)


@given(rubbish=st.lists(st.text(st.sampled_from("DPR:#0123456789abcdef .-\n"), max_size=40), max_size=8))
def test_rubbish_raises_nothing_else(rubbish: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "rubbish.serial"
    path.write_text(GOOD + "\n".join(rubbish))
    with contextlib.suppress(TraceError):
        read_serial(path).frames()
