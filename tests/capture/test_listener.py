"""The listener keeps the pen open whatever happens to it, and hands over what is signed while it is armed.

A pen on a pty shows that it works; faults and silences come from a pen that does what a test says.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
import types
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from penlatch.capture import isdv4
from penlatch.capture import listener as listener_module
from penlatch.capture.device_watch import DeviceWatch
from penlatch.capture.listener import REOPEN_FIRST_S, REOPEN_LAST_S, REOPEN_NODE_S, Listener
from penlatch.capture.replay.player import BATCH, Pace, ReplayPen
from penlatch.capture.segmenter import Signature, Unusable
from penlatch.config import Pen, Segment
from penlatch.errors import PenError, PenTrouble
from penlatch.ink import PenInfo
from penlatch.messages import Reason
from penlatch.sim.tablet import Isdv4Tablet
from support.descriptors import open_descriptors
from support.figures import lissajous
from support.strokes import frames, written
from support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from penlatch.capture.frames import Frames, PenSource
    from penlatch.capture.segmenter import Capture

HASTY = Segment(idle_s=0.2)
PATIENT = Segment(idle_s=3 * PATIENCE_S)
"""The idle time is over after no test that passes."""

NOBODY = 65534
"""A user whom nothing belongs to."""

FIRST, SECOND = (0.0, 0.9), (0.0, 0.5)
"""Strokes that make signatures 45 mm and 25 mm wide [s]."""


class ScriptedPen:
    """A pen that sends what the test says. Like a real one it is a file descriptor, which the loop finds readable."""

    def __init__(self, name: str = "scripted pen") -> None:
        self.info = PenInfo(name=name)
        self.device = "/dev/scripted"
        self.is_open = True
        self.checks = 0
        self.grabbed: PenError | None = None
        """What it ends with when it is looked at."""
        self._sent: deque[Frames | Exception] = deque()
        self._last = 0.0
        self._fd = os.eventfd(0, os.EFD_NONBLOCK)

    def write(self, *strokes: tuple[float, float], until: float | None = None, ahead_s: float = 0.0) -> float:
        """Write `strokes`, and hover between and after them; see `written`.

        Args:
            strokes: begin and end of each [s].
            until: when the last frame comes; at the end of the last stroke if None [s].
            ahead_s: how far in the future that is [s]; further if it wrote something just now.

        Returns:
            Monotonic time of the last frame [s].
        """
        span = max(stop for _, stop in strokes) if until is None else until
        start = max(time.monotonic() + ahead_s - span, self._last + 0.01)
        self._last = start + span
        self.send(written(*strokes, until=until, start=start))
        return self._last

    def unplug(self) -> None:
        """Vanish, after all that was written."""
        self.send(PenError(device=self.device, problem="it was unplugged", remedy="plug it in again"))

    def send(self, *sent: Frames | Exception) -> None:
        """Send frames, or fail."""
        self._sent.extend(sent)
        os.eventfd_write(self._fd, 1)

    async def taken(self) -> None:
        """Wait until the listener has taken all that was sent."""
        await eventually(lambda: not self._sent)

    async def batches(self) -> AsyncIterator[Frames]:
        loop, readable = asyncio.get_running_loop(), asyncio.Event()

        def on_readable() -> None:
            os.eventfd_read(self._fd)
            readable.set()

        loop.add_reader(self._fd, on_readable)
        try:
            while True:
                await readable.wait()
                readable.clear()
                while self._sent:
                    sent = self._sent.popleft()
                    if isinstance(sent, Exception):
                        raise sent
                    yield sent
        finally:
            loop.remove_reader(self._fd)

    def check(self) -> None:
        self.checks += 1
        if self.grabbed:
            self.send(self.grabbed)

    def close(self) -> None:
        if self.is_open:
            os.close(self._fd)
            self.is_open = False


class Port:
    """Where pens are plugged in. It notes each look for a pen, and each wait before the next; no wait takes long."""

    ABSENT = PenError(device="evdev:", problem="there is no pen", remedy="plug one in")

    def __init__(self) -> None:
        self.absent = self.ABSENT
        """What the listener is told while there is no pen."""
        self.plugged: deque[PenSource | PenError] = deque()
        """What the listener finds, look after look; then there is no pen any more."""
        self.noted: list[float | str] = []
        """Each `look`, and each wait [s]."""

    def plug_in(self, name: str = "scripted pen", *, after: int = 0) -> ScriptedPen:
        """Return a pen that the listener finds after it has looked in vain so many times."""
        self.plugged.extend([self.ABSENT] * after)
        self.plugged.append(pen := ScriptedPen(name))
        return pen

    @property
    def waits(self) -> list[float]:
        return [noted for noted in self.noted if isinstance(noted, float)]

    async def open_pen(self, uri: str, *, grab: bool = False) -> PenSource:
        self.noted.append(f"look for {uri}{' alone' if grab else ''}")
        found = self.plugged.popleft() if self.plugged else self.absent
        if isinstance(found, PenError):
            raise found
        return found

    async def sleep(self, delay: float) -> None:
        self.noted.append(delay)
        await asyncio.sleep(0.001)


class IdleWatch(DeviceWatch):
    """A watch to which nothing ever happens, and whose limits are soon over."""

    port: Port

    async def changed(self, *, limit_s: float) -> bool:
        await self.port.sleep(limit_s)
        return False


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Port:
    port = Port()
    monkeypatch.setattr("penlatch.capture.listener.open_pen", port.open_pen)
    unhurried = types.SimpleNamespace(**vars(asyncio) | {"sleep": port.sleep})
    monkeypatch.setattr("penlatch.capture.listener.asyncio", unhurried)
    monkeypatch.setattr(IdleWatch, "port", port, raising=False)
    monkeypatch.setattr("penlatch.capture.listener.DeviceWatch", IdleWatch)
    return port


@pytest.fixture
def pen(port: Port) -> Iterator[ScriptedPen]:
    """Return a pen that is plugged in."""
    pen = port.plug_in()
    yield pen
    pen.close()


@contextlib.asynccontextmanager
async def running(limits: Segment = HASTY, pen: Pen | None = None) -> AsyncIterator[Listener]:
    """Run a listener."""
    listener = Listener(pen or Pen(), limits)
    task = asyncio.create_task(listener.run())
    try:
        yield listener
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def listening(limits: Segment = HASTY, pen: Pen | None = None) -> AsyncIterator[Listener]:
    """Run a listener, and arm it as soon as it has its pen."""
    async with running(limits, pen) as listener:
        await eventually(lambda: listener.present)
        listener.arm()
        yield listener


def report_nothing_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next poll of the loop report nothing, as the one does in which a process was stopped."""
    selector = asyncio.get_running_loop()._selector  # type: ignore[attr-defined] # every loop of Unix has one
    select = selector.select

    def blind(_: float | None) -> list[object]:
        monkeypatch.setattr(selector, "select", select)
        return []

    monkeypatch.setattr(selector, "select", blind)


async def signature(listener: Listener) -> Signature:
    capture = await captured(listener)
    assert isinstance(capture, Signature), capture.reason
    return capture


async def reason(listener: Listener) -> Reason:
    capture = await captured(listener)
    assert isinstance(capture, Unusable)
    return capture.reason


async def captured(listener: Listener) -> Capture:
    async with asyncio.timeout(PATIENCE_S):
        return await listener.capture()


def width(signed: Signature) -> float:
    """Return how wide its ink is [mm]; it tells signatures apart."""
    return round(float(np.ptp(signed.trace.x[signed.trace.down])), 6)


# --- a real pty -----------------------------------------------------------------------------------------------


@pytest.fixture
def tablet(monkeypatch: pytest.MonkeyPatch) -> Iterator[Isdv4Tablet]:
    """Return a tablet that is plugged in, and needs no time to be greeted."""
    monkeypatch.setattr(isdv4, "STOP_TIME_S", 0.02)
    with Isdv4Tablet() as tablet:
        yield tablet


def at(tablet: Isdv4Tablet) -> Pen:
    return Pen(device=f"isdv4:{tablet.path}")


async def test_a_tablet_has_the_pressure_curve_of_its_configuration(tablet: Isdv4Tablet) -> None:
    trace = lissajous()
    soft = Pen(device=f"isdv4:{tablet.path}", pressure_curve=(0.0, 0.75, 0.25, 1.0))
    async with listening(pen=soft) as listener:
        await asyncio.to_thread(tablet.play, trace)
        signed = await signature(listener)
        pressed = signed.trace.down & (trace.p > 0.1) & (trace.p < 0.9)
        assert pressed.any()
        assert (signed.trace.p[pressed] > trace.p[pressed] + 0.05).all()


async def test_what_is_written_on_a_tablet_is_captured(tablet: Isdv4Tablet) -> None:
    trace = lissajous(lift=slice(25, 32))
    async with listening(pen=at(tablet)) as listener:
        await asyncio.to_thread(tablet.play, trace)
        signed = await signature(listener)
        assert np.abs(signed.trace.x - signed.trace.x[0] - trace.x).max() <= 0.0101
        assert np.array_equal(signed.trace.down, trace.down)
        assert listener.name == signed.trace.pen.name
        assert listener.health.ok
        assert listener.health.detail == f"{listener.name} at {tablet.path}"


async def test_a_tablet_pulled_out_in_mid_signature_is_a_retry_and_heard_again_when_it_is_back(
    tablet: Isdv4Tablet,
) -> None:
    async with listening(PATIENT, at(tablet)) as listener:
        await asyncio.to_thread(tablet.play, lissajous(), until_s=0.3)
        await eventually(lambda: listener.signing)
        await asyncio.to_thread(tablet.unplug)
        assert await reason(listener) is Reason.PEN_LOST
        assert not listener.health.ok
        await eventually(lambda: f"{tablet.path}: cannot be opened" in listener.health.detail)
        tablet.plug_in()
        await asyncio.to_thread(tablet.wait_started, PATIENCE_S)
        await asyncio.to_thread(tablet.play, lissajous())
        await eventually(lambda: listener.signing)
        assert listener.health.ok


async def test_a_tablet_that_comes_late_is_heard_as_soon_as_its_node_is_there(
    tablet: Isdv4Tablet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penlatch.capture.listener.REOPEN_FIRST_S", 10 * PATIENCE_S)
    node = tmp_path / "serial" / "by-id" / "a tablet"
    async with running(pen=Pen(device=f"isdv4:{node}")) as listener:
        await eventually(lambda: "plug the tablet in" in listener.health.detail)
        node.parent.mkdir(parents=True)
        node.symlink_to(tablet.path)
        await eventually(lambda: listener.present)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else for a while")
async def test_permission_that_is_granted_later_is_noticed(
    tablet: Isdv4Tablet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penlatch.capture.listener.REOPEN_FIRST_S", 10 * PATIENCE_S)
    node = Path(tablet.path)
    node.chmod(0o600)  # and its folder is its owner's alone
    os.seteuid(NOBODY)
    try:
        async with running(pen=at(tablet)) as listener:
            await eventually(lambda: "let this user read and write it" in listener.health.detail)
            os.seteuid(0)
            node.parent.chmod(0o755)
            node.chmod(0o666)
            os.seteuid(NOBODY)
            await eventually(lambda: listener.present)
    finally:
        os.seteuid(0)


async def test_a_tablet_that_is_pulled_out_a_hundred_times_is_heard_each_time(
    tablet: Isdv4Tablet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penlatch.capture.listener.REOPEN_FIRST_S", 0.01)
    descriptors = open_descriptors()
    async with running(pen=at(tablet)) as listener:
        for _ in range(100):
            await eventually(lambda: listener.present)
            await asyncio.to_thread(tablet.unplug)
            await eventually(lambda: not listener.present)
            tablet.plug_in()
        await eventually(lambda: listener.present)
    assert open_descriptors() <= descriptors + 1


async def test_cancelling_gives_the_line_back(tablet: Isdv4Tablet) -> None:
    for _ in range(2):
        async with listening(pen=at(tablet)) as listener:
            await asyncio.to_thread(tablet.wait_started, PATIENCE_S)
        assert not listener.present
        assert listener.name is None


# --- when a signature ends ------------------------------------------------------------------------------------


async def test_a_pen_that_falls_silent_ends_its_signature(pen: ScriptedPen) -> None:
    async with listening() as listener:
        end = pen.write(FIRST)
        signed = await signature(listener)
        assert signed.ended == pytest.approx(end + HASTY.idle_s)
        assert time.monotonic() >= signed.ended
        assert width(signed) == 45.0


async def test_a_pen_that_hovers_on_ends_its_signature_by_its_frames(pen: ScriptedPen) -> None:
    async with listening(PATIENT) as listener:
        pen.write(FIRST, until=FIRST[1] + PATIENT.idle_s + 0.1)
        assert width(await signature(listener)) == 45.0


async def test_whoever_goes_on_writing_is_not_cut_off(pen: ScriptedPen) -> None:
    async with listening() as listener:
        end = pen.write(FIRST)
        # The timer set now comes too early again and again, for this is what else there is of the signature.
        later = end + 0.15 * np.arange(1, 5)
        for t in later:
            pen.send(frames([t], [True], x=[1.0]))
        signed = await signature(listener)
        assert signed.trace.duration == pytest.approx(FIRST[1] + 0.6)
        assert signed.ended == pytest.approx(later[-1] + HASTY.idle_s)


@pytest.mark.parametrize("stopped", [False, True], ids=["busy", "stopped"])
async def test_what_was_written_in_time_belongs_to_the_signature_however_late_it_is_read(
    pen: ScriptedPen, monkeypatch: pytest.MonkeyPatch, *, stopped: bool
) -> None:
    async with listening() as listener:
        end = pen.write(FIRST, ahead_s=1.0)
        await eventually(lambda: listener.signing)
        pen.send(frames([end + HASTY.idle_s / 2], [True], x=[1.0]))
        # The loop is so busy that it looks at pen and clock when the idle time is long over.
        time.sleep(max(0.0, end + 1.1 * HASTY.idle_s - time.monotonic()))  # noqa: ASYNC251
        if stopped:
            report_nothing_once(monkeypatch)
        signed = await signature(listener)
        assert signed.trace.duration == pytest.approx(FIRST[1] + HASTY.idle_s / 2)


async def test_signatures_come_one_after_another(pen: ScriptedPen) -> None:
    async with listening() as listener:
        pen.write(FIRST, until=1.2)
        pen.write(SECOND)
        assert [width(await signature(listener)) for _ in range(2)] == [45.0, 25.0]


async def test_a_recording_replayed_at_once_is_not_cut_by_the_clock(port: Port) -> None:
    recording = written((0.0, 2.0))
    assert len(recording) > 3 * BATCH
    port.plugged.extend(ReplayPen([recording], PenInfo(name="replay"), pace=Pace.FAST) for _ in range(2))
    async with running() as listener:
        listener.arm()
        assert [width(await signature(listener)) for _ in range(2)] == [100.0, 100.0]


async def test_what_cannot_be_used_is_told_with_its_reason(pen: ScriptedPen) -> None:
    async with listening() as listener:
        pen.write((0.0, 0.03))
        assert await reason(listener) is Reason.TOO_SHORT


# --- arming ---------------------------------------------------------------------------------------------------


async def test_nothing_counts_before_it_is_armed(pen: ScriptedPen) -> None:
    async with running() as listener:
        await eventually(lambda: listener.present)
        pen.write(FIRST, until=1.2)
        await pen.taken()
        assert not listener.signing
        listener.arm()
        pen.write(SECOND)
        assert width(await signature(listener)) == 25.0


async def test_nothing_counts_after_it_is_disarmed(pen: ScriptedPen) -> None:
    async with listening() as listener:
        listener.disarm()
        pen.write(FIRST, until=1.2)
        await pen.taken()
        listener.arm()
        pen.write(SECOND)
        assert width(await signature(listener)) == 25.0


async def test_arming_forgets_what_was_captured_before(pen: ScriptedPen) -> None:
    async with listening() as listener:
        pen.write(FIRST, until=1.2)
        await pen.taken()
        listener.arm()
        pen.write(SECOND)
        assert width(await signature(listener)) == 25.0


async def test_disarming_forgets_a_signature_under_way(pen: ScriptedPen) -> None:
    async with listening(PATIENT) as listener:
        pen.write(FIRST, until=1.0)
        await eventually(lambda: listener.signing)
        listener.disarm()
        assert not listener.signing
        assert listener._timer is None
        assert listener._captures.empty()


async def test_the_rest_of_a_signature_never_becomes_one_for_something_else(pen: ScriptedPen) -> None:
    async with listening(HASTY) as listener:
        pen.write(FIRST, until=1.0)
        await eventually(lambda: listener.signing)
        listener.disarm()
        listener.arm()
        pen.write(SECOND, until=SECOND[1] + 0.1)  # before the pen was idle: one hand, one signature
        await pen.taken()
        assert not listener.signing
        after = HASTY.idle_s
        pen.write((after, after + FIRST[1]), until=after + FIRST[1] + HASTY.idle_s + 0.1)
        assert width(await signature(listener)) == 45.0


async def test_a_pen_that_already_touches_when_it_is_armed_must_lift_first(pen: ScriptedPen) -> None:
    async with running() as listener:
        await eventually(lambda: listener.present)
        whole = written((0.0, 0.9), (1.0, 1.5), start=time.monotonic() - 1.5)
        pen.send(whole.rows(0, 20))
        await pen.taken()
        listener.arm()
        pen.send(whole.rows(20, 90))
        await pen.taken()
        assert not listener.signing
        pen.send(whole.rows(90, len(whole)))
        assert width(await signature(listener)) == 25.0


async def test_somebody_is_signing_from_contact_to_capture(pen: ScriptedPen) -> None:
    async with listening() as listener:
        assert not listener.signing
        pen.write(FIRST, ahead_s=1.0)
        await eventually(lambda: listener.signing)
        await signature(listener)
        assert not listener.signing


# --- when the pen is lost -------------------------------------------------------------------------------------


async def test_a_pen_lost_in_mid_signature_makes_it_unusable(pen: ScriptedPen) -> None:
    async with listening() as listener:
        pen.write(FIRST)
        pen.unplug()
        assert await reason(listener) is Reason.PEN_LOST
        assert not listener.present
        assert not listener.signing
        assert not pen.is_open


async def test_a_pen_lost_between_signatures_is_no_capture(pen: ScriptedPen, port: Port) -> None:
    second = port.plug_in()
    async with listening() as listener:
        pen.write(FIRST, until=1.2)
        pen.unplug()
        await eventually(lambda: not pen.is_open and listener.present)
        second.write(SECOND)
        assert [width(await signature(listener)) for _ in range(2)] == [45.0, 25.0]


async def test_a_pen_lost_while_nobody_asks_is_no_capture(pen: ScriptedPen, port: Port) -> None:
    second = port.plug_in()
    async with running() as listener:
        await eventually(lambda: listener.present)
        pen.write(FIRST)
        pen.unplug()
        await eventually(lambda: not pen.is_open and listener.present)
        listener.arm()
        second.write(SECOND)
        assert width(await signature(listener)) == 25.0


async def test_the_next_pen_goes_on_with_nothing_of_the_last_one(pen: ScriptedPen, port: Port) -> None:
    second = port.plug_in("another pen")
    async with listening() as listener:
        pen.write(FIRST)
        pen.unplug()
        assert await reason(listener) is Reason.PEN_LOST
        await eventually(lambda: listener.present)
        second.write(SECOND)
        signed = await signature(listener)
        assert signed.trace.pen.name == listener.name == "another pen"
        assert signed.trace.duration == pytest.approx(SECOND[1])


async def test_cancelling_closes_the_pen(pen: ScriptedPen) -> None:
    async with listening(PATIENT) as listener:
        pen.write(FIRST)
        await eventually(lambda: listener.signing)
    assert not pen.is_open
    assert not listener.present
    assert listener._timer is None


async def test_a_fault_that_nobody_foresaw_gets_out_and_the_pen_is_closed(pen: ScriptedPen) -> None:
    pen.send(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(Listener(Pen(), HASTY).run(), PATIENCE_S)
    assert not pen.is_open


# --- looking for the pen --------------------------------------------------------------------------------------


async def test_the_pen_is_opened_as_the_configuration_says(port: Port) -> None:
    async with running(pen=Pen(device="evdev:uniq=7", grab=True)):
        await eventually(lambda: port.noted)
    assert port.noted[0] == "look for evdev:uniq=7 alone"


async def test_a_pen_that_is_away_is_looked_for_less_and_less_often(port: Port) -> None:
    async with running():
        await eventually(lambda: len(port.waits) >= 8)
    assert port.waits[:8] == [min(REOPEN_FIRST_S * 2**n, REOPEN_LAST_S) for n in range(8)]
    assert port.waits[7] == REOPEN_LAST_S
    assert port.noted[0:6:2] == ["look for evdev:"] * 3
    assert port.noted[1:6:2] == port.waits[:3]


async def test_what_a_device_node_will_tell_is_hardly_looked_for(port: Port) -> None:
    port.absent = PenError(device="evdev:", problem="there is no pen", trouble=PenTrouble.NODE)
    async with running():
        await eventually(lambda: len(port.waits) >= 10)
    assert port.waits[:10] == [min(REOPEN_FIRST_S * 2**n, REOPEN_NODE_S) for n in range(10)]
    assert port.waits[9] == REOPEN_NODE_S


async def test_a_pen_that_appears_late_is_heard(port: Port) -> None:
    pen = port.plug_in(after=6)
    async with listening() as listener:
        assert len(port.waits) == 6
        pen.write(FIRST)
        assert width(await signature(listener)) == 45.0


async def test_a_pen_that_was_there_is_soon_looked_for_again(port: Port) -> None:
    pen = port.plug_in(after=6)
    async with listening():
        before = len(port.noted)
        pen.unplug()
        await eventually(lambda: len(port.noted) >= before + 4)
    look = "look for evdev:"
    assert port.noted[before : before + 4] == [REOPEN_FIRST_S, look, REOPEN_FIRST_S, look]


async def test_a_pen_that_can_be_opened_but_not_read_keeps_nobody_busy(port: Port) -> None:
    pens = [port.plug_in() for _ in range(4)]
    for pen in pens:
        pen.unplug()
    async with running():
        await eventually(lambda: not pens[-1].is_open)
    assert port.noted[:7] == ["look for evdev:", REOPEN_FIRST_S] * 3 + ["look for evdev:"]
    assert not any(pen.is_open for pen in pens)


# --- the machine sleeps ---------------------------------------------------------------------------------------


class Clocks:
    """The clock that goes on in a sleep, as `sleep` sees it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.slept_s = 0.0
        real = time.clock_gettime
        ahead = types.SimpleNamespace(**vars(time) | {"clock_gettime": lambda clock: real(clock) + self.slept_s})
        monkeypatch.setattr("penlatch.capture.sleep.time", ahead)


async def test_a_signature_over_which_the_machine_slept_is_a_retry(
    pen: ScriptedPen, monkeypatch: pytest.MonkeyPatch
) -> None:
    clocks = Clocks(monkeypatch)
    async with listening(PATIENT) as listener:
        pen.write(FIRST)
        await eventually(lambda: listener.signing)
        clocks.slept_s += 3600.0
        pen.write(SECOND)
        assert await reason(listener) is Reason.EVENTS_LOST
        assert not listener.signing


async def test_a_signature_over_which_the_machine_slept_is_a_retry_also_where_the_pen_is_gone(
    pen: ScriptedPen, monkeypatch: pytest.MonkeyPatch
) -> None:
    clocks = Clocks(monkeypatch)
    async with listening() as listener:
        pen.write(FIRST, ahead_s=0.5)
        await eventually(lambda: listener.signing)
        clocks.slept_s += 3600.0
        assert await reason(listener) is Reason.EVENTS_LOST


async def test_a_sleep_between_signatures_is_none_of_theirs(pen: ScriptedPen, monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = Clocks(monkeypatch)
    async with listening() as listener:
        pen.write(FIRST, until=1.2)
        assert width(await signature(listener)) == 45.0
        clocks.slept_s += 3600.0
        pen.write(SECOND)
        assert width(await signature(listener)) == 25.0


async def test_signatures_are_the_same_whatever_the_time_of_day_is_set_to(
    pen: ScriptedPen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)
    async with listening() as listener:
        pen.write(FIRST)
        assert width(await signature(listener)) == 45.0


# --- health ---------------------------------------------------------------------------------------------------


async def test_health_says_what_is_wrong_and_what_to_do_and_each_change_is_told_once(port: Port) -> None:
    pen = port.plug_in(after=3)
    told: list[str] = []

    def tell() -> None:
        told.append(f"{'well' if listener.health.ok else 'ill'}: {listener.health.detail}")

    listener = Listener(Pen(), HASTY, changed=tell)
    tell()
    running = asyncio.create_task(listener.run())
    await eventually(lambda: listener.present)
    pen.unplug()
    await eventually(lambda: len(port.waits) >= 8)
    running.cancel()
    assert told == [
        "ill: not opened yet",
        "ill: pen evdev:: there is no pen; plug one in",
        "well: scripted pen at /dev/scripted",
        "ill: pen /dev/scripted: it was unplugged; plug it in again",
        "ill: pen evdev:: there is no pen; plug one in",
    ]


# --- a pen that is taken away without a word ------------------------------------------------------------------

GRABBED = PenError(device="/dev/scripted", problem="another program has grabbed it", trouble=PenTrouble.BUSY)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a pen be quiet at once, and be looked at as often as somebody asks."""
    monkeypatch.setattr(listener_module, "QUIET_S", 0.0)
    monkeypatch.setattr(listener_module, "LOOK_PERIOD_S", 0.0)


@pytest.mark.usefixtures("eager")
async def test_a_pen_that_another_program_has_taken_is_lost_and_heard_again_when_it_is_free(
    pen: ScriptedPen, port: Port
) -> None:
    async with listening() as listener:
        pen.grabbed = port.absent = GRABBED
        listener.look()
        await eventually(lambda: not listener.present)
        assert not listener.health.ok
        assert "grabbed" in (listener.health.detail or "")
        port.plug_in().write(FIRST, until=2.0)
        assert width(await signature(listener)) == 45.0


@pytest.mark.usefixtures("eager")
async def test_a_pen_that_nobody_has_taken_stays(pen: ScriptedPen) -> None:
    async with listening() as listener:
        listener.look()
        pen.write(FIRST, until=2.0)
        assert width(await signature(listener)) == 45.0
        assert pen.checks == 1


async def test_however_often_somebody_asks_a_pen_is_looked_at_now_and_then(
    pen: ScriptedPen, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening() as listener:
        now = time.monotonic()
        for second in range(2 * int(listener_module.LOOK_PERIOD_S) + 1):
            monkeypatch.setattr(time, "monotonic", lambda second=second: now + second + 0.5)
            listener.look()
            listener.look()
        monkeypatch.undo()
        assert pen.checks == 2


async def test_a_pen_that_is_being_used_is_not_looked_at(pen: ScriptedPen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "LOOK_PERIOD_S", 0.0)
    monkeypatch.setattr(listener_module, "QUIET_S", 3 * PATIENCE_S)
    async with listening() as listener:
        pen.write(FIRST)
        await pen.taken()
        listener.look()
        assert pen.checks == 0
