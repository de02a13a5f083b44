"""`penlatch devices`: what is a pen, what is not and why, and what to write in the configuration."""

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from penlatch.capture import evdev_discovery
from penlatch.capture.evdev_discovery import PenDescription
from penlatch.capture.evdev_events import Axis, Key
from penlatch.capture.evdev_tablet import AxisRange, Tablet
from penlatch.cli import main
from penlatch.cli.devices import evdev_devices, serial_device

LOCKED = PenDescription(
    Path("/dev/input/event4"), "Wacom Intuos S Pen", None, "this user may not read it", "join the group 'input'"
)


def test_a_device_that_may_not_be_opened_says_why_and_what_to_do() -> None:
    (device,) = evdev_devices([LOCKED])
    assert not device.usable
    assert device.write == "evdev:/dev/input/event4"
    assert (device.problem, device.remedy) == ("this user may not read it", "join the group 'input'")


def test_a_serial_port_that_may_be_used_says_what_to_write() -> None:
    device = serial_device("/dev/ttyS4", "WACf008", may_use=True)
    assert device.usable
    assert device.write == "isdv4:/dev/ttyS4"
    assert device.problem is None


def test_a_serial_port_that_may_not_be_used_names_its_group() -> None:
    master, slave = pty.openpty()
    path = os.ttyname(slave)
    device = serial_device(path, "", may_use=False)
    assert device.remedy
    assert repr(Path(path).group()) in device.remedy
    os.close(master)
    os.close(slave)


def test_a_program_that_has_the_port_open_is_named() -> None:
    master, slave = pty.openpty()
    path = os.ttyname(slave)
    with subprocess.Popen(["/bin/sleep", "60"], stdin=slave) as sleeper:
        device = serial_device(path, "", may_use=True)
        sleeper.kill()
    assert device.open_in == (f"sleep (pid {sleeper.pid})",)
    assert serial_device(path, "", may_use=True).open_in == ()
    os.close(master)
    os.close(slave)


def test_a_tablet_without_resolution_can_be_used_and_says_what_that_costs() -> None:
    axes: dict[int, AxisRange] = {
        Axis.X: AxisRange(0, 100),
        Axis.Y: AxisRange(0, 100),
        Axis.PRESSURE: AxisRange(0, 1023),
    }
    tablet = Tablet("Old", 1, 2, "", axes, frozenset({Key.TOOL_PEN}), frozenset())
    (device,) = evdev_devices([PenDescription(Path("/dev/input/event4"), "Old", tablet, tablet.objection)])
    assert device.usable
    assert device.problem
    assert "resolution" in device.problem


def test_the_list_shows_problem_and_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evdev_discovery, "list_pens", lambda: [LOCKED])
    result = CliRunner().invoke(main, ["devices"])
    assert result.exit_code == 0
    assert "/dev/input/event4" in result.stdout
    assert "this user may not read it; join the group 'input'" in result.stdout
    told = [json.loads(line) for line in CliRunner().invoke(main, ["devices", "--json"]).stdout.splitlines()]
    assert told[0]["name"] == "Wacom Intuos S Pen"
    assert told[0]["usable"] is False


def test_it_runs_on_this_machine_whatever_is_plugged_in() -> None:
    result = CliRunner().invoke(main, ["devices", "--all", "--json"])
    assert result.exit_code == 0
    assert all(json.loads(line)["kind"] in ("evdev", "serial") for line in result.stdout.splitlines())
