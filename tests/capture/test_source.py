"""The pen factory: one URI for every kind of pen; what is malformed is refused with the forms there are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from penlatch.capture import evdev_discovery, serial_line
from penlatch.capture.evdev_pen import EvdevPen
from penlatch.capture.replay.player import ReplayPen
from penlatch.capture.source import FORMS, open_pen
from penlatch.errors import PenError
from support.strokes import all_batches

SVC2004 = "2\r\n3000 6200 5000 1\r\n3100 6300 6000 1\r\n"


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "evdev",
        "/dev/input/event5",
        "wintab:1",
        "isdv4:",
        "isdv4:ttyS4",
        "protocol4:",
        "replay:",
        "replay:?pace=fast",
        "replay:signature.txt?pace=slow",
        "replay:signature.txt?factor=many",
        "replay:signature.txt?factor=0",
        "replay:signature.txt?speed=2",
    ],
)
async def test_a_malformed_uri_names_the_forms(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("signature.txt").write_text(SVC2004)
    with pytest.raises(PenError) as caught:
        await open_pen(uri)
    assert caught.value.device == uri
    assert caught.value.remedy == "write one of: " + ", ".join(FORMS)


@pytest.mark.parametrize("uri", ["evdev:nonsense", "evdev:name="])
async def test_a_malformed_selector_names_the_forms_of_evdev(uri: str) -> None:
    with pytest.raises(PenError, match="evdev:VID:PID"):
        await open_pen(uri)


async def test_without_any_pen_evdev_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evdev_discovery, "DEVICES", tmp_path)
    with pytest.raises(PenError, match="no such pen among the input devices: none"):
        await open_pen("evdev:")


async def test_an_evdev_pen_is_opened_by_its_selector_and_grabbed_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool]] = []
    monkeypatch.setattr(EvdevPen, "open", lambda selector, *, grab: asked.append((selector, grab)))
    for uri, grab in (("evdev:", False), ("evdev:name=My pen: the blue one", True), ("evdev:056a:0374", True)):
        await open_pen(uri, grab=grab)
    assert asked == [("", False), ("name=My pen: the blue one", True), ("056a:0374", True)]


async def test_a_serial_pen_is_opened_by_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    async def open_serial(protocol: str, path: Path) -> None:
        asked.append((protocol, str(path)))

    monkeypatch.setattr(serial_line, "open_serial", open_serial)
    await open_pen("isdv4:/dev/ttyS4")
    await open_pen("protocol4:/dev/ttyUSB0")
    assert asked == [("isdv4", "/dev/ttyS4"), ("protocol4", "/dev/ttyUSB0")]


@pytest.fixture
def signature(tmp_path: Path) -> Path:
    path = tmp_path / "what? 100%.TXT"
    path.write_text(SVC2004)
    return path


async def test_a_recording_is_opened_with_its_options(signature: Path) -> None:
    quoted = str(signature).replace("%", "%25").replace("?", "%3F")
    pen = await open_pen(f"replay:{quoted}?pace=fast&factor=4")
    assert isinstance(pen, ReplayPen)
    assert pen.device == str(signature)
    batches, error = await all_batches(pen)
    assert error.problem == "the recording is over"
    assert np.diff(np.concatenate([each.t for each in batches]))[0] == pytest.approx(0.25)


async def test_a_recording_that_is_absent_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PenError, match="No such file"):
        await open_pen(f"replay:{tmp_path}/absent.inkml")


def test_a_kind_that_is_not_used_is_not_loaded() -> None:
    program = "import sys, penlatch.capture.source; print([m for m in ('evdev', 'serial', 'xml') if m in sys.modules])"
    root = Path(__file__).parents[2]
    told = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(root / "daemon")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "[]"
