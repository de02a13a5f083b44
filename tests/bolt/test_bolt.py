"""The bolt opens for a fresh match and for nothing else, for a moment, and whatever fails leaves it shut."""

from __future__ import annotations

import asyncio
import math
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from penlatch.bolt import command as command_module
from penlatch.bolt.bolt import FRESH_S, Bolt
from penlatch.config import Bolt as Rule
from penlatch.errors import BoltError
from penlatch.messages import Decision, Grade, Verdict
from support.examples import decision
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


class Recorder:
    """An actuator that notes what is done to it."""

    shuts_at_once = False
    limit_s = 0.2

    def __init__(self, *, broken: bool = False, fails: bool = False) -> None:
        self.broken, self.fails = broken, fails
        self.opened: list[int] = []
        self.release = asyncio.Event()
        self.closed = self.held = False

    def hold(self) -> bool:
        if self.broken:
            raise BoltError(bolt="test", problem="there is none")
        taken, self.held = not self.held, True
        return taken

    async def pulse(self, decision: Decision) -> None:
        self.opened.append(decision.seq)
        await self.release.wait()
        if self.fails:
            raise BoltError(bolt="test", problem="it is stuck")

    def close(self) -> None:
        self.closed = True


def bolt_of(recorder: Recorder, now: Callable[[], datetime] = lambda: NOW) -> Bolt:
    bolt = Bolt(Rule(command=("/bin/true",)), actuator=recorder, now=now)
    bolt.look()
    return bolt


def match(seq: int = 1, **changed: Any) -> Decision:
    made: Decision = decision(seq, **({"verdict": Verdict.MATCH, "user": "ada", "time": NOW.isoformat()} | changed))
    return made


async def test_a_fresh_match_opens_it() -> None:
    recorder = Recorder()
    bolt = bolt_of(recorder)
    bolt.decided(match())
    await eventually(lambda: recorder.opened == [1])
    recorder.release.set()
    await bolt.stop()
    assert recorder.closed


@pytest.mark.parametrize(
    "changed",
    [
        {"verdict": Verdict.NO_MATCH},
        {"verdict": Verdict.RETRY, "done": False},
        {"verdict": Verdict.ERROR},
        {"done": False},
        {"grade": Grade.PICTURE},
        {"grade": None},
        {"historical": True},
        {"user": None},
        {"time": (NOW - timedelta(seconds=FRESH_S + 0.1)).isoformat()},
        {"time": (NOW + timedelta(seconds=FRESH_S + 0.1)).isoformat()},
    ],
)
async def test_nothing_else_does(changed: dict[str, Any]) -> None:
    recorder = Recorder()
    bolt = bolt_of(recorder)
    bolt.decided(match(**changed))
    await asyncio.sleep(0)
    await bolt.stop()
    assert recorder.opened == []


@pytest.mark.parametrize(
    ("purposes", "purpose", "opens"),
    [
        (("door",), "door", True),
        (("door",), "login", False),
        (("door",), "check", False),
        (("door",), "doors", False),
        (("locker", "door"), "locker", True),
        (("locker",), "door", False),
    ],
)
async def test_it_opens_for_its_own_purposes(purposes: tuple[str, ...], purpose: str, *, opens: bool) -> None:
    recorder = Recorder()
    bolt = Bolt(Rule(command=("/bin/true",), purposes=purposes), actuator=recorder, now=lambda: NOW)
    bolt.look()
    bolt.decided(match(purpose=purpose))
    await asyncio.sleep(0)
    assert recorder.opened == ([1] if opens else [])
    recorder.release.set()
    await bolt.stop()


@pytest.mark.parametrize(("age_s", "opens"), [(0.0, True), (FRESH_S, True), (FRESH_S + 0.1, False), (math.inf, False)])
async def test_it_opens_for_no_match_that_is_older_than_the_time_of_day_says(age_s: float, *, opens: bool) -> None:
    recorder = Recorder()
    bolt = Bolt(Rule(command=("/bin/true",)), actuator=recorder, age_s=lambda _: age_s)
    bolt.look()
    bolt.decided(match())
    await asyncio.sleep(0)
    assert recorder.opened == ([1] if opens else [])
    recorder.release.set()
    await bolt.stop()


async def test_it_never_opens_twice_at_once() -> None:
    recorder = Recorder()
    bolt = bolt_of(recorder)
    for seq in (1, 2, 3):
        bolt.decided(match(seq))
    await eventually(lambda: recorder.opened)
    recorder.release.set()
    await eventually(lambda: bolt._moving and bolt._moving.done())
    bolt.decided(match(4))
    await eventually(lambda: recorder.opened == [1, 4])
    await bolt.stop()


async def test_one_that_cannot_be_had_is_told_and_never_opens() -> None:
    recorder = Recorder(broken=True)
    bolt = bolt_of(recorder)
    assert (bolt.health.ok, bolt.health.detail) == (False, "bolt test: there is none")
    bolt.decided(match())
    await asyncio.sleep(0)
    assert recorder.opened == []
    await bolt.stop()


async def test_one_that_comes_late_or_comes_back_is_had_when_somebody_looks_or_signs() -> None:
    recorder = Recorder(broken=True)
    recorder.release.set()
    bolt = bolt_of(recorder)
    recorder.broken = False
    bolt.look()
    assert bolt.health.ok
    recorder.held = False
    bolt.decided(match())
    await eventually(lambda: recorder.opened == [1])
    await bolt.stop()
    recorder.held = False
    bolt.look()
    assert not recorder.held, "after a stop it is left alone"


async def test_one_that_fails_is_told_until_it_works_again() -> None:
    recorder = Recorder(fails=True)
    recorder.release.set()
    bolt = bolt_of(recorder)
    bolt.decided(match())
    await eventually(lambda: not bolt.health.ok)
    assert "it is stuck" in bolt.health.detail
    recorder.fails = False
    bolt.decided(match(2))
    await eventually(lambda: bolt.health.ok)
    await bolt.stop()


async def test_after_a_stop_nothing_opens() -> None:
    recorder = Recorder()
    bolt = bolt_of(recorder)
    await bolt.stop()
    bolt.decided(match())
    await asyncio.sleep(0)
    assert recorder.opened == []


class TestCommand:
    """A program that opens."""

    @staticmethod
    def program(folder: Path, text: str) -> Path:
        path = folder / "open"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o700)
        return path

    async def opened(self, path: Path, *arguments: str, pulse_s: float = 3.0) -> Bolt:
        bolt = Bolt(Rule(command=(str(path), *arguments), pulse_s=pulse_s), now=lambda: NOW)
        bolt.look()
        bolt.decided(match(7))
        assert bolt._moving
        await bolt._moving
        return bolt

    async def test_it_learns_for_whom_and_nothing_of_the_daemon(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SECRET", "key")
        path = self.program(tmp_path, f'echo "$PENLATCH_USER $PENLATCH_SEQ $1 $SECRET." > {tmp_path}/told')
        bolt = await self.opened(path, "a;b")
        assert (tmp_path / "told").read_text() == "ada 7 a;b .\n"
        assert bolt.health.ok

    async def test_its_failure_is_told(self, tmp_path: Path) -> None:
        bolt = await self.opened(self.program(tmp_path, "exit 3"))
        assert "status 3" in bolt.health.detail

    async def test_one_that_does_not_end_is_ended_with_all_it_began(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(command_module, "GRACE_S", 0.1)
        path = self.program(tmp_path, f"sleep 60 & echo $! > {tmp_path}/child; wait")
        bolt = await self.opened(path, pulse_s=0.5)
        assert "was ended" in bolt.health.detail
        child = int((tmp_path / "child").read_text())
        await eventually(lambda: not alive(child))

    async def moving(self, path: Path, *, pulse_s: float, marker: Path | None = None) -> Bolt:
        """Return a bolt in mid-pulse, whose program has written `begun`."""
        bolt = Bolt(Rule(command=(str(path),), pulse_s=pulse_s), marker=marker, now=lambda: NOW)
        bolt.look()
        bolt.decided(match(7))
        await eventually((path.parent / "begun").exists)
        return bolt

    async def test_a_stop_waits_until_the_program_has_shut_it(self, tmp_path: Path) -> None:
        text = f"touch {tmp_path}/begun; sleep 0.5; touch {tmp_path}/shut"
        bolt = await self.moving(self.program(tmp_path, text), pulse_s=5, marker=tmp_path / "doubt")
        assert (tmp_path / "doubt").exists()
        assert bolt.stop_s > 5
        await bolt.stop()
        assert (tmp_path / "shut").exists()
        assert (bolt.health.ok, bolt.health.detail) == (True, "shut")
        assert not (tmp_path / "doubt").exists()
        assert bolt.stop_s == 0

    async def test_a_stop_asks_before_it_kills(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(command_module, "GRACE_S", 0.1)
        text = f"trap 'touch {tmp_path}/shut; exit 0' TERM; touch {tmp_path}/begun; while :; do sleep 0.05; done"
        bolt = await self.moving(self.program(tmp_path, text), pulse_s=0.1)
        await bolt.stop()
        assert (tmp_path / "shut").exists()
        assert "may be open" in (bolt.health.detail or ""), "its end was brought about"

    async def test_a_stop_kills_what_does_not_end_and_says_so(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(command_module, "GRACE_S", 0.1)
        monkeypatch.setattr(command_module, "TERM_S", 0.2)
        text = f"trap '' TERM; sleep 60 & echo $! > {tmp_path}/child; touch {tmp_path}/begun; wait; wait"
        bolt = await self.moving(self.program(tmp_path, text), pulse_s=0.2, marker=tmp_path / "doubt")
        began = asyncio.get_running_loop().time()
        await bolt.stop()
        assert asyncio.get_running_loop().time() - began < bolt._actuator.limit_s + 1
        assert not bolt.health.ok
        assert "may be open" in (bolt.health.detail or "")
        assert (tmp_path / "doubt").exists()
        child = int((tmp_path / "child").read_text())
        await eventually(lambda: not alive(child))

    async def test_after_a_stop_in_mid_pulse_it_opens_for_nobody(self, tmp_path: Path) -> None:
        text = f"echo $PENLATCH_SEQ >> {tmp_path}/begun; sleep 0.3"
        bolt = await self.moving(self.program(tmp_path, text), pulse_s=5)
        stopping = asyncio.create_task(bolt.stop())
        await asyncio.sleep(0)
        bolt.decided(match(8))
        await stopping
        bolt.decided(match(9))
        await asyncio.sleep(0)
        assert (tmp_path / "begun").read_text() == "7\n"

    @pytest.mark.parametrize(
        ("text", "said"),
        [("exit 3", "status 3"), ("kill -9 $$", "status -9"), ("kill -TERM $$", "status -15"), ("sleep 60", "ended")],
    )
    async def test_where_its_end_was_not_seen_it_may_be_open_until_a_pulse_ends_well(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
    ) -> None:
        monkeypatch.setattr(command_module, "GRACE_S", 0.2)
        path, marker = self.program(tmp_path, text), tmp_path / "doubt"
        bolt = Bolt(Rule(command=(str(path),), pulse_s=0.3), marker=marker, now=lambda: NOW)
        for _ in range(2):
            bolt.decided(match())
            assert bolt._moving
            await bolt._moving
            assert said in (bolt.health.detail or "")
            assert "may be open" in (bolt.health.detail or "")
            bolt.look()
            assert "may be open" in (bolt.health.detail or ""), "a look is no confirmation"
            assert marker.exists()
        self.program(tmp_path, "exit 0")
        bolt.decided(match())
        assert bolt._moving
        await bolt._moving
        assert (bolt.health.ok, bolt.health.detail) == (True, "shut")
        assert not marker.exists()

    async def test_what_never_ran_left_it_as_it_was(self, tmp_path: Path) -> None:
        path, marker = tmp_path / "open", tmp_path / "doubt"
        path.write_bytes(b"no program of this machine")
        path.chmod(0o700)
        bolt = Bolt(Rule(command=(str(path),)), marker=marker, now=lambda: NOW)
        bolt.decided(match())
        assert bolt._moving
        await bolt._moving
        assert not bolt.health.ok
        assert "may be open" not in (bolt.health.detail or "")
        assert not marker.exists()

    async def test_the_doubt_of_a_daemon_that_was_killed_lasts_until_a_pulse_ends_well(self, tmp_path: Path) -> None:
        path, marker = self.program(tmp_path, "exit 0"), tmp_path / "doubt"
        marker.touch()
        bolt = Bolt(Rule(command=(str(path),)), marker=marker, now=lambda: NOW)
        bolt.look()
        bolt.look()
        assert not bolt.health.ok
        assert "may be open" in (bolt.health.detail or "")
        bolt.decided(match())
        assert bolt._moving
        await bolt._moving
        assert bolt.health.ok
        assert not marker.exists()

    async def test_a_doubt_outlives_a_program_that_is_gone(self, tmp_path: Path) -> None:
        (tmp_path / "doubt").touch()
        bolt = Bolt(Rule(command=(str(tmp_path / "none"),)), marker=tmp_path / "doubt")
        bolt.look()
        assert "no such program" in (bolt.health.detail or "")
        assert "may be open" in (bolt.health.detail or "")

    async def test_a_marker_that_cannot_be_written_keeps_nobody_outside(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        marker = tmp_path / "doubt"
        marker.symlink_to(tmp_path / "elsewhere")
        path = self.program(tmp_path, f"touch {tmp_path}/opened")
        bolt = Bolt(Rule(command=(str(path),)), marker=marker, now=lambda: NOW)
        bolt.decided(match())
        assert bolt._moving
        await bolt._moving
        assert (tmp_path / "opened").exists()
        assert not (tmp_path / "elsewhere").exists(), "no link is followed"
        assert "a crash in this pulse would be forgotten" in caplog.text

    async def test_one_that_is_not_there_is_told_at_the_start(self, tmp_path: Path) -> None:
        bolt = Bolt(Rule(command=(str(tmp_path / "none"),)))
        bolt.look()
        assert "no such program" in bolt.health.detail


def alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


class TestLine:
    """A GPIO line; libgpiod is played here, and real in `tests/kernel/test_gpio_bolt.py`."""

    @pytest.fixture
    def chip(self, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
        """What was done to the chip."""
        found = SimpleNamespace(values=[], released=False, settings=None, refuses=False, gone=False)

        class Request:
            def set_value(self, offset: int, value: str) -> None:
                if found.refuses:
                    raise OSError("the chip is gone")
                found.values.append((offset, value))

            def get_value(self, offset: int) -> str:
                del offset
                if found.refuses:
                    raise OSError("the chip is gone")
                return "off"

            def release(self) -> None:
                found.released = True

        def request_lines(chip: str, *, consumer: str, config: dict[int, Any]) -> Request:
            if found.gone or chip != "/dev/gpiochip0":
                raise FileNotFoundError(2, "No such file", chip)
            found.settings = (consumer, config)
            return Request()

        gpiod, line = ModuleType("gpiod"), ModuleType("gpiod.line")
        line.Direction = SimpleNamespace(OUTPUT="out")  # type: ignore[attr-defined] # played
        line.Value = SimpleNamespace(ACTIVE="on", INACTIVE="off")  # type: ignore[attr-defined] # likewise
        gpiod.LineSettings = lambda **settings: settings  # type: ignore[attr-defined] # likewise
        gpiod.request_lines = request_lines  # type: ignore[attr-defined] # likewise
        monkeypatch.setitem(sys.modules, "gpiod", gpiod)
        monkeypatch.setitem(sys.modules, "gpiod.line", line)
        return found

    async def test_it_is_active_for_its_pulse_and_inactive_before_and_after(self, chip: SimpleNamespace) -> None:
        bolt = Bolt(Rule(gpio_line=17, pulse_s=0.01, active_low=True), now=lambda: NOW)
        bolt.look()
        settings = {"direction": "out", "output_value": "off", "active_low": True}
        assert chip.settings == ("penlatch", {17: settings})
        bolt.decided(match())
        assert bolt._moving
        await bolt._moving
        assert chip.values == [(17, "on"), (17, "off")]
        await bolt.stop()
        assert chip.released

    async def test_a_stop_in_mid_pulse_shuts_it(self, chip: SimpleNamespace) -> None:
        bolt = Bolt(Rule(gpio_line=17, pulse_s=60), now=lambda: NOW)
        bolt.look()
        bolt.decided(match())
        await eventually(lambda: chip.values == [(17, "on")])
        await bolt.stop()
        assert chip.values[-1] == (17, "off")
        assert chip.released

    async def test_a_line_that_is_taken_after_a_crash_is_shut_and_no_longer_doubted(
        self, chip: SimpleNamespace, tmp_path: Path
    ) -> None:
        marker = tmp_path / "doubt"
        marker.touch()
        chip.gone = True
        bolt = Bolt(Rule(gpio_line=17), marker=marker)
        bolt.look()
        assert "may be open" in (bolt.health.detail or ""), "nobody has taken it yet"
        chip.gone = False
        bolt.look()
        assert (bolt.health.ok, bolt.health.detail) == (True, "shut")
        assert chip.settings[1][17]["output_value"] == "off"
        assert not marker.exists()
        await bolt.stop()

    async def test_its_pulse_leaves_a_doubt_behind_only_while_it_lasts(
        self, chip: SimpleNamespace, tmp_path: Path
    ) -> None:
        marker = tmp_path / "doubt"
        bolt = Bolt(Rule(gpio_line=17, pulse_s=60), marker=marker, now=lambda: NOW)
        bolt.look()
        bolt.decided(match())
        await eventually(lambda: chip.values == [(17, "on")])
        assert marker.exists()
        assert bolt.stop_s == 0, "the daemon shuts it at once"
        await bolt.stop()
        assert chip.values[-1] == (17, "off")
        assert not marker.exists()

    async def test_a_chip_that_is_not_there_is_told(self, chip: SimpleNamespace) -> None:
        del chip
        bolt = Bolt(Rule(gpio_chip=Path("/dev/gpiochip9"), gpio_line=1))
        bolt.look()
        assert "gpiochip9" in bolt.health.detail
        await bolt.stop()

    async def test_a_line_that_does_not_obey_is_told(self, chip: SimpleNamespace) -> None:
        bolt = Bolt(Rule(gpio_line=17, pulse_s=0.01), now=lambda: NOW)
        bolt.look()
        bolt.decided(match())
        chip.refuses = True
        await eventually(lambda: not bolt.health.ok)
        assert "may be open" in bolt.health.detail
        assert chip.released
        chip.refuses = False
        bolt.look()
        assert (bolt.health.ok, bolt.health.detail) == (True, "shut"), "taken again, it is inactive"
        await bolt.stop()

    async def test_one_that_goes_in_mid_pulse_is_told_to_be_open_perhaps_until_it_is_back(
        self, chip: SimpleNamespace
    ) -> None:
        bolt = Bolt(Rule(gpio_line=17, pulse_s=0.05), now=lambda: NOW)
        bolt.look()
        bolt.decided(match())
        await eventually(lambda: chip.values == [(17, "on")])
        chip.refuses = chip.gone = True
        bolt.look()
        assert (bolt.health.ok, "may be open" in bolt.health.detail) == (False, True)
        assert bolt._moving
        await bolt._moving
        bolt.look()
        assert (bolt.health.ok, "may be open" in bolt.health.detail) == (False, True), "its pulse is over all the same"
        chip.refuses = chip.gone = False
        bolt.look()
        assert (bolt.health.ok, bolt.health.detail) == (True, "shut")
        await bolt.stop()

    async def test_one_that_does_not_obey_at_the_end_is_told_and_let_go(self, chip: SimpleNamespace) -> None:
        bolt = Bolt(Rule(gpio_line=17, pulse_s=0.01), now=lambda: NOW)
        bolt.look()
        chip.refuses = True
        await bolt.stop()
        assert "may be open" in bolt.health.detail
        assert chip.released

    async def test_without_the_package_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "gpiod", None)
        bolt = Bolt(Rule(gpio_line=17))
        bolt.look()
        assert "pip install gpiod" in bolt.health.detail


@pytest.mark.parametrize(
    ("grades", "opens"), [(("pen",), [1]), (("picture",), [2]), (("pen", "picture"), [1, 2]), ((), [])]
)
async def test_it_opens_for_the_configured_grades_alone(grades: Any, opens: list[int]) -> None:
    recorder = Recorder()
    recorder.release.set()
    bolt = Bolt(Rule(command=("/bin/true",), grades=grades), actuator=recorder, now=lambda: NOW)
    for seq, grade in enumerate((Grade.PEN, Grade.PICTURE, None), start=1):
        bolt.decided(match(seq, grade=grade))
        await asyncio.sleep(0.01)
    assert recorder.opened == opens
    await bolt.stop()
