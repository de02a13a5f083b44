"""The watch wakes whoever looks for a device, on real inotify: when a node comes, goes or changes, not otherwise."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

import pytest

from penlatch.capture.device_watch import DeviceWatch
from penlatch.capture.source import DEVICES, nodes
from support.descriptors import open_descriptors
from support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUIET_S = 0.3
"""How long nothing must happen to count as quiet [s]; a slow machine makes it no shorter."""


def _remove(folder: Path) -> None:
    (folder / "event0").unlink()
    folder.rmdir()


@pytest.fixture
def input_folder(tmp_path: Path) -> Path:
    """Return a folder with one node."""
    folder = tmp_path / "input"
    folder.mkdir()
    (folder / "event0").touch()
    return folder


CHANGES: dict[str, Callable[[Path], object]] = {
    "a node comes": lambda folder: (folder / "event1").touch(),
    "a node goes": lambda folder: (folder / "event0").unlink(),
    "a node changes its mode": lambda folder: (folder / "event0").chmod(0o600),
    "a node changes its group": lambda folder: os.chown(folder / "event0", -1, os.getgid()),
    "a node takes another name": lambda folder: (folder / "event0").rename(folder / "event7"),
    "a link comes": lambda folder: (folder / "pen").symlink_to("event0"),
    "the folder may be entered": lambda folder: folder.chmod(0o755),
    "the folder goes": _remove,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_it_wakes_when(change: Callable[[Path], object], input_folder: Path) -> None:
    with DeviceWatch() as watch:
        watch.follow([input_folder])
        change(input_folder)
        assert await watch.changed(limit_s=PATIENCE_S)


async def test_looking_at_a_node_wakes_nobody(input_folder: Path) -> None:
    with DeviceWatch() as watch:
        watch.follow([input_folder])
        (input_folder / "event0").read_bytes()
        (input_folder / "event0").write_bytes(b"a command")
        assert not await watch.changed(limit_s=QUIET_S)


async def test_what_happened_before_it_follows_wakes_nobody(input_folder: Path) -> None:
    with DeviceWatch() as watch:
        watch.follow([input_folder])
        (input_folder / "event1").touch()
        assert await watch.changed(limit_s=PATIENCE_S)
        watch.follow([input_folder])
        assert not await watch.changed(limit_s=QUIET_S)


async def test_what_happens_while_somebody_looks_is_not_missed(input_folder: Path) -> None:
    with DeviceWatch() as watch:
        watch.follow([input_folder])
        (input_folder / "event1").touch()  # the look has begun, and has passed it already
        assert await watch.changed(limit_s=PATIENCE_S)


async def test_folders_that_do_not_exist_yet_are_waited_for_one_after_the_other(tmp_path: Path) -> None:
    folder = tmp_path / "dev" / "input"
    with DeviceWatch() as watch:
        for step in (folder.parent.mkdir, folder.mkdir, (folder / "event0").touch):
            watch.follow([folder])
            step()
            assert await watch.changed(limit_s=PATIENCE_S)


async def test_a_link_is_watched_at_both_ends(tmp_path: Path) -> None:
    (tmp_path / "by-id").mkdir()
    node, link = tmp_path / "ttyUSB0", tmp_path / "by-id" / "tablet"
    node.touch()
    link.symlink_to(node)
    with DeviceWatch() as watch:
        watch.follow([link])
        node.chmod(0o600)
        assert await watch.changed(limit_s=PATIENCE_S)
        watch.follow([link])
        link.unlink()
        assert await watch.changed(limit_s=PATIENCE_S)


async def test_a_burst_is_one_change(input_folder: Path) -> None:
    with DeviceWatch() as watch:
        watch.follow([input_folder])
        for number in range(1, 200):
            (input_folder / f"event{number}").touch()
        assert await watch.changed(limit_s=PATIENCE_S)
        watch.follow([input_folder])
        assert not await watch.changed(limit_s=QUIET_S)


async def test_where_the_kernel_grants_no_watch_it_says_so_and_waits(
    input_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Exhausted:
        def __init__(self, *_: object, **__: object) -> None:
            ctypes.set_errno(24)

        def inotify_init1(self, _: int) -> int:
            ctypes.set_errno(24)
            return -1

        def inotify_add_watch(self, *_: object) -> int:
            ctypes.set_errno(9)
            return -1

    monkeypatch.setattr(ctypes, "CDLL", Exhausted)
    with DeviceWatch() as watch:
        watch.follow([input_folder])
        (input_folder / "event1").touch()
        assert not await watch.changed(limit_s=QUIET_S)
    assert [record.message for record in caplog.records] == [
        "devices cannot be watched (Too many open files): they are looked for now and then"
    ]


async def test_closing_it_gives_everything_back(input_folder: Path) -> None:
    before = open_descriptors()
    watch = DeviceWatch()
    watch.follow([input_folder])
    watch.close()
    watch.close()
    assert open_descriptors() == before


@pytest.mark.parametrize(
    ("uri", "watched"),
    [
        ("evdev:", ["/dev/input"]),
        ("evdev:uniq=7", ["/dev/input"]),
        ("evdev:/dev/tablet", ["/dev/input", "/dev/tablet"]),
        ("isdv4:/dev/ttyS4", ["/dev/ttyS4"]),
        ("protocol4:/dev/serial/by-id/x", ["/dev/serial/by-id/x"]),
        ("replay:/a/file", []),
    ],
)
def test_each_kind_of_pen_has_its_place(uri: str, watched: list[str]) -> None:
    assert [str(path) for path in nodes(uri)] == watched
    assert str(DEVICES) == "/dev/input"
