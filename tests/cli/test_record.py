"""`penlatch record`: a new file of its owner's alone, what a pen sent, and what is said about it."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from penlatch.capture.replay.evemu import read_evemu
from penlatch.capture.replay.player import Pace, ReplayPen
from penlatch.capture.replay.serial import read_serial
from penlatch.cli import main
from penlatch.sim.tablet import Isdv4Tablet
from penlatch.sim.writer import Writer
from support.figures import lissajous
from support.recordings import PlainRecording, recordings
from support.signing import ATTEMPTS
from support.strokes import all_batches
from support.umockdev import MockDevice, Testbed
from support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import Callable


READ_PEN = Path(__file__).parents[1] / "support" / "programs" / "read_pen.py"


def started(tablet: Isdv4Tablet, file: Path, *more: str) -> subprocess.Popen[str]:
    """Return the command, which records the tablet already."""
    process = subprocess.Popen(
        [sys.executable, "-m", "penlatch", "record", str(file), "--device", f"isdv4:{tablet.path}", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    tablet.wait_started(PATIENCE_S)
    assert process.stderr
    for line in process.stderr:
        if line.startswith("Recording "):
            break
    return process


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, told = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out + told


async def play_to_the_end(tablet: Isdv4Tablet, file: Path) -> None:
    """Play something, and wait until the last of it is in the file: what is under way when a line ends is lost."""
    tablet.play(lissajous())
    await eventually(lambda: sum(map(len, read_serial(file).frames())) == tablet.packets_sent)


async def test_ctrl_c_ends_it_and_the_file_is_a_pen(tmp_path: Path) -> None:
    file = tmp_path / "pen.serial"
    with Isdv4Tablet() as tablet:
        process = started(tablet, file)
        await play_to_the_end(tablet, file)
        process.send_signal(signal.SIGINT)
        status, told = ended(process)
        assert status == 0, told
        assert f"are kept in {file}" in told
        sent = tablet.packets_sent
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    *batches, _ = (await all_batches(ReplayPen.open(file, pace=Pace.FAST)))[0]
    assert sum(map(len, batches)) == sent


async def test_a_tablet_that_is_pulled_out_leaves_what_it_sent(tmp_path: Path) -> None:
    file = tmp_path / "pen.serial"
    with Isdv4Tablet() as tablet:
        process = started(tablet, file, "--json")
        await play_to_the_end(tablet, file)
        tablet.unplug()
        status, told = ended(process)
    assert status == 3
    result = json.loads(told.splitlines()[0])
    assert (result["kind"], result["file"], result["frames"]) == ("recording", str(file), tablet.packets_sent)
    assert result["contacts"] == 1
    assert result["lost"]
    assert file.read_text().count("D: ") > 10


def test_where_nothing_comes_no_file_is_left(tmp_path: Path) -> None:
    file = tmp_path / "pen.serial"
    with Isdv4Tablet() as tablet:
        process = started(tablet, file)
        process.send_signal(signal.SIGTERM)
        status, told = ended(process)
    assert status == 0
    assert "no file was written" in told
    assert not file.exists()


def test_what_a_device_sends_through_its_node_comes_again(tmp_path: Path) -> None:
    """The same events twice: once recorded, once as they stand in the file they are played from."""
    drag = (
        recordings() / "Wacom Intuos4 6x9 Pen.desc",
        recordings() / "Wacom Intuos4 6x9.stylus-drag.events",
    )
    wanted = read_evemu(drag[1], description=drag[0])
    testbed = Testbed(tmp_path)
    testbed.add(3, MockDevice(plain := PlainRecording.read(*drag)))
    testbed.play(3, plain)
    file = tmp_path / "pen.evemu"
    testbed.run(sys.executable, "-m", "penlatch", "record", file, "--device", "evdev:", "--seconds", "2")
    got = read_evemu(file)
    assert (got.tablet.name, got.tablet.axes) == (wanted.tablet.name, wanted.tablet.axes)
    assert got.tablet.keys == wanted.tablet.keys
    # A standard tool takes the file as well: umockdev plays its events, at their pace.
    (tmp_path / "player").mkdir()
    player = Testbed(tmp_path / "player")
    player.add(0, MockDevice(plain))
    player.play_at_its_pace(0, file)
    told = json.loads(
        player.run(sys.executable, READ_PEN, "", str(len(plain.times)), tmp_path / "frames.npz").splitlines()[-1]
    )
    assert (told["name"], told["gaps"]) == (plain.name, 0)
    with np.load(tmp_path / "frames.npz") as played:
        assert len(played["t"]) == len(plain.times)
    for column in ("x", "y", "p", "near", "touching"):
        one, other = (np.concatenate([getattr(each, column) for each in of.frames()]) for of in (got, wanted))
        np.testing.assert_array_equal(one, other)


def invoke(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["record", *map(str, arguments)])
    return result.exit_code, result.output


def a_file(path: Path) -> None:
    path.write_text("precious")


def a_link(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))


@pytest.mark.parametrize("there", [a_file, a_link])
def test_what_is_there_is_never_written_to(there: Callable[[Path], None], tmp_path: Path) -> None:
    file = tmp_path / "pen.serial"
    there(file)
    before = file.readlink() if file.is_symlink() else file.read_text()
    status, told = invoke(file, "--device", "isdv4:/dev/null")
    assert status == 3
    assert "it is there already" in told
    assert (file.readlink() if file.is_symlink() else file.read_text()) == before
    assert not (tmp_path / "elsewhere").exists()


def test_whoever_records_is_told_that_it_is_biometric(tmp_path: Path) -> None:
    status, told = invoke(tmp_path / "pen.serial", "--device", "isdv4:/nonexistent/tty")
    assert status == 3
    assert "biometric" in told
    assert "do not publish it" in told
    assert not (tmp_path / "pen.serial").exists()


@pytest.mark.parametrize(
    ("name", "device"), [("pen.txt", "evdev:"), ("pen.evemu", "isdv4:/dev/ttyS4"), ("pen.serial", "evdev:")]
)
def test_a_name_that_would_not_tell_what_it_is_is_wrong_usage(name: str, device: str, tmp_path: Path) -> None:
    status, told = invoke(tmp_path / name, "--device", device)
    assert status == 2
    assert "ends in" in told


def test_a_recording_is_not_recorded_again(tmp_path: Path) -> None:
    status, told = invoke(tmp_path / "pen.serial", "--device", "replay:pen.evemu")
    assert status == 3
    assert "no pen that can be recorded" in told


def test_a_line_that_is_in_use_names_the_program_that_has_it(tmp_path: Path) -> None:
    with Isdv4Tablet() as tablet:
        first = started(tablet, tmp_path / "first.serial")
        status, told = invoke(tmp_path / "second.serial", "--device", f"isdv4:{tablet.path}")
        first.send_signal(signal.SIGINT)
        ended(first)
    assert status == 3
    assert f"(pid {first.pid})" in told


def test_a_signature_that_was_recorded_is_judged_as_it_was_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    files = [tmp_path / f"{number}.serial" for number in range(4)]
    for file in files:
        for _ in range(ATTEMPTS):
            file.unlink(missing_ok=True)
            with Isdv4Tablet() as tablet:
                process = started(tablet, file)
                tablet.play(Writer(1).genuine(rng))
                process.send_signal(signal.SIGINT)
                assert ended(process)[0] == 0
            if not tablet.torn:
                break
    references = [word for file in files[:3] for word in ("--reference", str(file))]
    result = CliRunner().invoke(main, ["replay", str(files[3]), *references])
    assert result.exit_code == 0, result.output
