"""Finding the pen: which devices are seen, which of them a selector means, and what is said when it is not one."""

from __future__ import annotations

import errno
import grp
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import evdev
import pytest

from penlatch.capture import evdev_discovery
from penlatch.capture.evdev_discovery import describe, find
from penlatch.errors import PenError
from support.recordings import PlainRecording
from support.umockdev import MockDevice, Testbed

if TYPE_CHECKING:
    from collections.abc import Callable

LIST_PENS = Path(__file__).parents[1] / "support" / "programs" / "list_pens.py"


def bits(*codes: int) -> bytes:
    return sum(1 << code for code in codes).to_bytes(96, "little")


INTUOS = PlainRecording(
    name="Wacom Intuos S Pen",
    identity=(3, 0x056A, 0x0374, 0x110),
    properties=bits(0),
    bits={1: bits(0x140, 0x14A, 0x14B), 3: bits(0x00, 0x01, 0x18)},
    axes={0x00: (0, 15_200, 4, 0, 100), 0x01: (0, 9500, 4, 0, 100), 0x18: (0, 4095, 0, 0, 0)},
)
GAOMON = replace(INTUOS, name="GAOMON Gaomon Tablet Pen", identity=(3, 0x256C, 0x006D, 0x110))
PAD = replace(
    INTUOS,
    name="Wacom Intuos S Pad",
    bits={1: bits(0x100, 0x14B), 3: bits(0x00, 0x01)},
    axes={0x00: (0, 1, 0, 0, 0), 0x01: (0, 1, 0, 0, 0)},
)
KEYBOARD = PlainRecording(name="A keyboard", identity=(3, 0x05F3, 7, 1), bits={1: bits(*range(1, 80))})


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., Any]:
    """Return a function that plugs devices in, by number, and asks for some selectors, or for the list."""

    def ask(devices: dict[int, MockDevice], *selectors: str) -> Any:
        testbed = Testbed(tmp_path)
        for number, device in devices.items():
            testbed.add(number, device)
        return json.loads(testbed.run(sys.executable, LIST_PENS, *selectors))

    return ask


PLUGGED = {
    0: MockDevice(KEYBOARD),
    2: MockDevice(PAD),
    10: MockDevice(GAOMON, uniq="GM_T001_190312"),
    11: MockDevice(INTUOS, uniq="5KB00B1234"),
}


def test_every_device_is_listed_and_says_why_it_is_no_pen(ask: Callable[..., Any]) -> None:
    assert ask(PLUGGED) == [
        {
            "path": f"/dev/input/event{number}",
            "name": PLUGGED[number].description.name,
            "uniq": PLUGGED[number].uniq,
            "vendor_product": vendor_product,
            "readable": True,
            "objection": objection,
        }
        for number, vendor_product, objection in (
            (0, "05f3:0007", "it has no ABS_X"),
            (2, "056a:0374", "it has no ABS_PRESSURE"),
            (10, "256c:006d", None),
            (11, "056a:0374", None),
        )
    ]


def test_a_selector_finds_its_pen(ask: Callable[..., Any]) -> None:
    selectors = {
        "/dev/input/event11": 11,
        "056a:0374": 11,
        "56A:374": 11,
        "256c:006d": 10,
        "name=Wacom Intuos S Pen": 11,
        "uniq=GM_T001_190312": 10,
    }
    found = ask(PLUGGED, *selectors)
    assert found == [{"path": f"/dev/input/event{number}"} for number in selectors.values()]


def test_the_only_pen_needs_no_name(ask: Callable[..., Any]) -> None:
    assert ask({0: PLUGGED[0], 2: PLUGGED[2], 10: PLUGGED[10]}, "") == [{"path": "/dev/input/event10"}]


def test_several_pens_are_listed_with_what_to_write(ask: Callable[..., Any]) -> None:
    (answer,) = ask(PLUGGED, "")
    assert answer["problem"].startswith("2 pens answer to that: ")
    assert "/dev/input/event10 ('GAOMON Gaomon Tablet Pen', 256c:006d, uniq 'GM_T001_190312')" in answer["problem"]
    assert answer["remedy"] == "write one of: evdev:uniq=GM_T001_190312, evdev:uniq=5KB00B1234"


def test_twins_are_told_apart_by_what_differs(ask: Callable[..., Any]) -> None:
    twins = {1: MockDevice(INTUOS), 2: MockDevice(INTUOS), 3: MockDevice(GAOMON)}
    (answer,) = ask(twins, "")
    assert (
        answer["remedy"]
        == "write one of: evdev:/dev/input/event1, evdev:/dev/input/event2, evdev:name=GAOMON Gaomon Tablet Pen"
    )


def test_no_pen_says_what_there_is(ask: Callable[..., Any]) -> None:
    (answer,) = ask({0: PLUGGED[0]}, "")
    assert "/dev/input/event0 ('A keyboard', 05f3:0007, it has no ABS_X)" in answer["problem"]
    assert answer["remedy"] == "plug it in, or name another pen"


def test_a_device_that_is_no_pen_is_refused_by_its_reason(ask: Callable[..., Any]) -> None:
    (answer,) = ask(PLUGGED, "name=A keyboard")
    assert answer["problem"] == "/dev/input/event0 cannot be used: it has no ABS_X"


def test_a_pen_that_is_absent_is_not_replaced_by_another(ask: Callable[..., Any]) -> None:
    (answer,) = ask(PLUGGED, "uniq=another")
    assert answer["problem"].startswith("no such pen among the input devices: ")


# --- without any device ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("selector", ["wacom", "name=", "uniq=", "serial=5", "056a", "056a:xyz", "056a:0374:1", "=x"])
def test_a_selector_of_no_known_form_names_the_forms(selector: str) -> None:
    with pytest.raises(PenError) as caught:
        find(selector)
    assert caught.value.problem == "this names no evdev pen"
    assert "evdev:VID:PID" in (caught.value.remedy or "")


def test_a_path_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(PenError, match="No such file or directory"):
        find("/dev/input/event4095")


def test_a_file_that_is_no_device_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "event0").touch()
    with pytest.raises(PenError, match="cannot be used"):
        find(str(tmp_path / "event0"))


def test_a_device_that_may_not_be_read_names_the_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    node = tmp_path / "event3"
    node.touch()
    group = grp.getgrgid(node.stat().st_gid).gr_name
    sysfs = tmp_path / "sys" / "event3" / "device"
    sysfs.mkdir(parents=True)
    (sysfs / "name").write_text("Wacom Intuos S Pen\n")
    monkeypatch.setattr(evdev_discovery, "SYSFS", tmp_path / "sys")
    monkeypatch.setattr(evdev, "InputDevice", denied)
    seen = describe(node)
    assert not seen.readable
    assert not seen.is_pen
    assert seen.name == "Wacom Intuos S Pen"
    assert seen.objection == "this user may not read it"
    assert seen.remedy == f"run penlatch as a user in the group {group!r}, to whom it belongs"
    with pytest.raises(PenError, match="may not read it") as caught:
        find(str(node))
    assert caught.value.remedy == seen.remedy


def test_the_only_hint_about_an_unreadable_pen_is_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    (tmp_path / "event0").touch()
    (tmp_path / "mouse0").touch()
    monkeypatch.setattr(evdev_discovery, "DEVICES", tmp_path)
    monkeypatch.setattr(evdev, "InputDevice", denied)
    with pytest.raises(PenError) as caught:
        find("")
    assert "this user may not read it" in caught.value.problem
    assert "in the group" in (caught.value.remedy or "")
    assert "mouse0" not in caught.value.problem
