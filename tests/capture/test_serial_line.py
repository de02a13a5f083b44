"""Serial pens on a real pty: greeting, baud rates, frames, damage, unplugging, closing."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import select
import tty
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from penlatch.capture import isdv4, packet_clock, protocol4, resting, serial_frames, serial_line
from penlatch.capture.frames import Frames
from penlatch.capture.line import Line
from penlatch.capture.serial_line import SerialPen, open_serial
from penlatch.errors import PenError
from penlatch.sim.tablet import Faults, Isdv4Tablet, Protocol4Tablet
from support.figures import lissajous
from support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from penlatch.ink import Trace
    from penlatch.sim.motion import Motion
    from penlatch.sim.pty_tablet import PtyTablet


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten what a real tablet would need, for an emulator needs none of it."""
    for module in (isdv4, protocol4):
        monkeypatch.setattr(module, "STOP_TIME_S", 0.02)
        monkeypatch.setattr(module, "ANSWER_LIMIT_S", 0.3)
    monkeypatch.setattr(protocol4, "RESET_SPEED_TIME_S", 0.02)
    monkeypatch.setattr(protocol4, "RESET_TIME_S", 0.02)


@pytest.fixture
def silent_tty() -> Iterator[str]:
    """Return the path of a tty at whose far end nobody answers."""
    far, near = os.openpty()
    tty.setraw(near)
    yield os.ttyname(near)
    os.close(near)
    os.close(far)


def joined(batches: list[Frames]) -> Frames:
    parts = [Frames.empty(), *batches]

    def column(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    return Frames(
        t=column("t"),
        x=column("x"),
        y=column("y"),
        p=column("p"),
        near=column("near"),
        touching=column("touching"),
        gap=any(part.gap for part in parts),
    )


async def opened(tablet: Isdv4Tablet | Protocol4Tablet) -> SerialPen:
    """Return the pen of this tablet, which has heard that it is to start."""
    pen = await open_serial("isdv4" if isinstance(tablet, Isdv4Tablet) else "protocol4", tablet.path)
    await asyncio.to_thread(tablet.wait_started, PATIENCE_S)
    return pen


async def collect(pen: SerialPen, batches: list[Frames]) -> None:
    """Collect what the pen delivers until it is lost."""
    async for batch in pen.batches():
        batches.append(batch)  # noqa: PERF401 - what came before the loss counts


async def frames_of(pen: SerialPen, tablet: PtyTablet, trace: Trace) -> Frames:
    """Return every frame the pen delivers while the tablet plays the trace and is pulled out after it."""
    batches: list[Frames] = []
    async with asyncio.timeout(PATIENCE_S):
        collecting = asyncio.create_task(collect(pen, batches))
        assert await asyncio.to_thread(tablet.play, trace)
        await eventually(lambda: batches and not batches[-1].near[-1])
        await asyncio.to_thread(tablet.unplug)
        with pytest.raises(PenError):
            await collecting
    return joined(batches)


async def hovering(tablet: PtyTablet, condition: Callable[[], object]) -> None:
    """Hover until `condition` holds: how much the clock of the packets needs depends on how busy the machine is."""
    while not condition():
        assert await asyncio.to_thread(tablet.play, lissajous(), until_s=-0.05)
        await asyncio.sleep(0.05)


def points(pen: Frames | Motion) -> list[tuple[int, int, int]]:
    """Return what was reported, in units of the tablet."""
    return [(round(100 * x), round(100 * y), round(1023 * p)) for x, y, p in zip(pen.x, pen.y, pen.p, strict=True)]


def assert_same_pen(frames: Frames, motion: Motion, *, x_mm: float, y_mm: float, pressure: float) -> None:
    assert len(frames) == len(motion.t)
    assert np.abs(frames.x - motion.x).max() <= x_mm
    assert np.abs(frames.y - motion.y).max() <= y_mm
    assert np.abs(frames.p - motion.p).max() <= pressure
    assert np.array_equal(frames.near, motion.near)
    assert np.array_equal(frames.touching, motion.down)
    assert (np.diff(frames.t) >= 0).all()
    assert not frames.gap


class DribblingTablet(Isdv4Tablet):
    """A tablet whose bytes come one by one."""

    def send(self, data: bytes) -> None:
        for byte in data:
            super().send(bytes([byte]))


class TestIsdv4:
    """Greeting and reading an ISDV4 tablet."""

    async def test_a_signature_comes_through_to_within_rounding(self) -> None:
        trace = lissajous(lift=slice(25, 35))
        with Isdv4Tablet() as tablet:
            pen = await opened(tablet)
            assert pen.device == tablet.path
            assert pen.info.unit == "mm"
            assert pen.info.has_pressure
            frames = await frames_of(pen, tablet, trace)
            assert_same_pen(frames, tablet.motion(trace), x_mm=0.00501, y_mm=0.00501, pressure=0.5 / 1023 + 1e-9)
        pen.close()

    @pytest.mark.usefixtures("hasty")
    @pytest.mark.parametrize("baud", isdv4.BAUD_RATES)
    async def test_the_tablet_is_found_at_either_baud_rate(self, baud: int) -> None:
        with Isdv4Tablet(baud=baud) as tablet:
            pen = await opened(tablet)
            assert tablet.streaming
            assert pen._line.baud == baud
            pen.close()

    @pytest.mark.usefixtures("hasty")
    async def test_no_frame_is_made_of_another_baud_rates_noise(self) -> None:
        trace = lissajous(frames=150)
        with Isdv4Tablet(baud=38_400) as tablet:
            tablet.stream(on=True)
            async with asyncio.timeout(PATIENCE_S):
                playing = asyncio.create_task(asyncio.to_thread(tablet.play, trace))
                pen = await open_serial("isdv4", tablet.path)
                batches = []
                async for batch in pen.batches():
                    batches.append(batch)
                    if len(batch) and not batch.near[-1]:
                        break
                await playing
            assert set(points(joined(batches))) <= set(points(tablet.motion(trace)))
            pen.close()

    async def test_damage_costs_the_damaged_packets_and_is_told(self) -> None:
        trace = lissajous(frames=150, period_s=0.005)
        with Isdv4Tablet(faults=Faults(garbage=0.1, loss=0.1, seed=3)) as tablet:
            pen = await opened(tablet)
            batches: list[Frames] = []
            written = set(points(tablet.motion(trace)))
            async with asyncio.timeout(PATIENCE_S):
                collecting = asyncio.create_task(collect(pen, batches))
                assert await asyncio.to_thread(tablet.play, trace)
                assert 0 < tablet.packets_damaged < tablet.packets_sent
                sound = tablet.packets_sent - tablet.packets_damaged
                await eventually(
                    lambda: batches and sum(point in written for point in points(joined(batches))) >= sound
                )
                pen.close()
                with pytest.raises(PenError):
                    await collecting
            assert joined(batches).gap

    async def test_one_byte_at_a_time_loses_nothing(self) -> None:
        with DribblingTablet() as tablet:
            frames = await frames_of(await opened(tablet), tablet, lissajous())
        assert_same_pen(frames, tablet.motion(lissajous()), x_mm=0.005, y_mm=0.005, pressure=1 / 1023)

    @pytest.mark.usefixtures("hasty")
    async def test_a_latency_timer_loses_nothing(self) -> None:
        trace = lissajous(frames=80)
        with Isdv4Tablet(latency_s=0.016) as tablet:
            pen = await opened(tablet)
            frames = await frames_of(pen, tablet, trace)
            assert_same_pen(frames, tablet.motion(trace), x_mm=0.00501, y_mm=0.00501, pressure=0.5 / 1023 + 1e-9)

    @pytest.mark.usefixtures("hasty")
    async def test_a_tablet_without_a_pen_is_refused(self) -> None:
        with Isdv4Tablet(size_mm=(0, 0)) as tablet:
            with pytest.raises(PenError, match="no pen"):
                await open_serial("isdv4", tablet.path)
            assert not tablet.streaming

    @pytest.mark.usefixtures("hasty")
    async def test_a_line_without_an_answer_is_given_up(self, silent_tty: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(isdv4, "ANSWER_LIMIT_S", 0.02)
        with pytest.raises(PenError) as given_up:
            await open_serial("isdv4", silent_tty)
        assert "19200 or 38400 baud" in given_up.value.problem
        assert given_up.value.remedy
        assert given_up.value.device == silent_tty

    @pytest.mark.usefixtures("hasty")
    async def test_a_tablet_that_speaks_another_protocol_is_given_up(self) -> None:
        with Protocol4Tablet() as tablet, pytest.raises(PenError, match="no ISDV4 tablet"):
            await open_serial("isdv4", tablet.path)


class TestProtocol4:
    """Greeting and reading a Protocol IV tablet."""

    @pytest.mark.usefixtures("hasty")
    @pytest.mark.parametrize("baud", [9600, 19_200, 38_400])
    async def test_a_signature_comes_through_from_whatever_speed_the_tablet_was_left_at(self, baud: int) -> None:
        trace = lissajous(frames=30)
        with Protocol4Tablet(baud=baud) as tablet:
            pen = await opened(tablet)
            assert pen.info.name == "Wacom Digitizer II"
            frames = await frames_of(pen, tablet, trace)
            assert_same_pen(frames, tablet.motion(trace), x_mm=0.0101, y_mm=0.0101, pressure=0.5 / 255 + 1e-9)

    @pytest.mark.usefixtures("hasty")
    async def test_the_graphire_has_two_more_bits_of_pressure_and_fixed_maxima(self) -> None:
        trace = lissajous(frames=30)
        with Protocol4Tablet(
            model_reply=b"~#ET-0405-R00,V1.0-3\r", size_mm=(127.5, 92.7), lines_per_inch=1016
        ) as tablet:
            pen = await opened(tablet)
            frames = await frames_of(pen, tablet, trace)
            assert_same_pen(frames, tablet.motion(trace), x_mm=0.0126, y_mm=0.0126, pressure=0.5 / 511 + 1e-9)

    @pytest.mark.usefixtures("hasty")
    async def test_replies_without_a_carriage_return_are_taken_after_the_time_limit(self) -> None:
        with Protocol4Tablet(model_reply=b"~#CT-0045-R00,V1.3-5\r", size_mm=(128, 96), lines_per_inch=1000) as tablet:
            pen = await opened(tablet)
            assert pen.info.name == "Wacom PenPartner"
            assert tablet.streaming
            pen.close()

    @pytest.mark.usefixtures("hasty")
    async def test_a_line_without_an_answer_is_given_up(self, silent_tty: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(protocol4, "ANSWER_LIMIT_S", 0.02)
        with pytest.raises(PenError, match="no Protocol IV tablet answered"):
            await open_serial("protocol4", silent_tty)


@pytest.fixture
def soon_resting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a pen rest while somebody still approaches, who takes 0.3 s for it."""
    monkeypatch.setattr(resting, "ARRIVED_S", 0.0)
    monkeypatch.setattr(packet_clock, "FIRST_LOOK", 4)


@pytest.mark.usefixtures("hasty", "soon_resting")
class TestResting:
    """The pen only hovers."""

    async def test_what_is_written_by_a_pen_that_rested_comes_through_all_the_same(self) -> None:
        trace = lissajous(lift=slice(25, 35))
        with Isdv4Tablet() as tablet:
            pen = await opened(tablet)
            batches: list[Frames] = []
            async with asyncio.timeout(PATIENCE_S):
                collecting = asyncio.create_task(collect(pen, batches))
                assert await asyncio.to_thread(tablet.play, trace)
                await eventually(lambda: batches and not batches[-1].near[-1])
                pen.close()
                with pytest.raises(PenError):
                    await collecting
            frames = joined(batches)
            assert_same_pen(frames, tablet.motion(trace), x_mm=0.00501, y_mm=0.00501, pressure=0.5 / 1023 + 1e-9)
            contact = next(index for index, batch in enumerate(batches) if batch.touching.any())
            assert sum(map(len, batches[:contact])) > contact
            assert not pen._rest.resting

    async def test_a_pen_that_rests_is_away_as_soon_as_it_is_pulled_out(self) -> None:
        with Isdv4Tablet() as tablet:
            pen = await opened(tablet)
            async with asyncio.timeout(PATIENCE_S):
                collecting = asyncio.create_task(collect(pen, []))
                await hovering(tablet, lambda: pen._rest.resting)
                await asyncio.to_thread(tablet.unplug)
                with pytest.raises(PenError):
                    await collecting
            pen.close()

    async def test_close_ends_its_rest(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(serial_line, "RESTING_POLL_S", 10 * PATIENCE_S)
        with Isdv4Tablet() as tablet:
            pen = await opened(tablet)
            async with asyncio.timeout(PATIENCE_S):
                collecting = asyncio.create_task(collect(pen, []))
                await hovering(tablet, lambda: pen._rest.resting and not pen._line._reading)
                pen.close()
                with pytest.raises(PenError, match="closed"):
                    await collecting


class TestLosing:
    """The tablet goes away."""

    @pytest.mark.usefixtures("hasty")
    async def test_a_pen_pulled_out_in_mid_signature_is_an_error_after_its_last_frames(self) -> None:
        trace = lissajous()
        with Isdv4Tablet() as tablet:
            pen = await opened(tablet)
            batches: list[Frames] = []

            async with asyncio.timeout(PATIENCE_S):
                collecting = asyncio.create_task(collect(pen, batches))
                assert await asyncio.to_thread(tablet.play, trace, until_s=0.2)
                await eventually(lambda: sum(map(len, batches)) == tablet.packets_sent)
                await asyncio.to_thread(tablet.unplug)
                with pytest.raises(PenError) as lost:
                    await collecting
            assert lost.value.device == tablet.path
            frames = joined(batches)
            assert frames.touching[-1]
            assert not frames.touching.all()
            pen.close()

    @pytest.mark.usefixtures("hasty")
    async def test_a_pen_plugged_in_again_is_opened_again_by_the_same_name(self) -> None:
        trace = lissajous(frames=20)
        with Isdv4Tablet() as tablet:
            first = await open_serial("isdv4", tablet.path)
            tablet.unplug()
            with pytest.raises(PenError, match="plug the tablet in"):
                await open_serial("isdv4", tablet.path)
            tablet.plug_in()
            second = await opened(tablet)
            assert len(await frames_of(second, tablet, trace)) > len(trace)
            first.close()

    @pytest.mark.usefixtures("hasty")
    async def test_a_pen_pulled_out_while_it_is_greeted_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(isdv4, "STOP_TIME_S", 0.3)
        with Isdv4Tablet() as tablet:
            async with asyncio.timeout(PATIENCE_S):
                opening = asyncio.create_task(open_serial("isdv4", tablet.path))
                await asyncio.sleep(0.05)
                await asyncio.to_thread(tablet.unplug)
                with pytest.raises(PenError):
                    await opening


class TestClosing:
    """penlatch goes away."""

    @pytest.mark.usefixtures("hasty")
    async def test_a_pen_that_touched_before_the_tablet_was_greeted_is_under_way(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(serial_frames, "UNDER_WAY_S", PATIENCE_S)
        with Isdv4Tablet() as tablet:
            pen = await opened(tablet)
            reading = pen.batches()
            touching = isdv4.PenPacket(x=1000, y=1000, pressure=500, near=True, tip=True)
            for under_way in (True, False):
                tablet.send(touching.to_bytes())
                assert (await anext(reading)).under_way is under_way
            pen.close()

    async def test_a_pen_that_touches_later_has_only_begun(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(serial_frames, "UNDER_WAY_S", 0.0)
        with Isdv4Tablet() as tablet:
            pen = await opened(tablet)
            tablet.send(isdv4.PenPacket(x=1000, y=1000, pressure=500, near=True, tip=True).to_bytes())
            assert not (await anext(pen.batches())).under_way
            pen.close()

    async def test_close_ends_a_waiting_reader_and_is_safe_twice(self) -> None:
        with Isdv4Tablet() as tablet:
            pen = await open_serial("isdv4", tablet.path)
            waiting = asyncio.create_task(collect(pen, []))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not waiting.done()
            pen.close()
            pen.close()
            async with asyncio.timeout(PATIENCE_S):
                with pytest.raises(PenError, match="closed"):
                    await waiting

    @pytest.mark.usefixtures("hasty")
    async def test_a_closed_pen_has_no_more_frames(self) -> None:
        with Isdv4Tablet() as tablet:
            pen = await open_serial("isdv4", tablet.path)
            pen.close()
            with pytest.raises(PenError, match="closed"):
                await anext(pen.batches())

    @pytest.mark.usefixtures("hasty")
    async def test_a_cancelled_opening_releases_the_line(self) -> None:
        with Isdv4Tablet() as tablet:
            opening = asyncio.create_task(open_serial("isdv4", tablet.path))
            await asyncio.sleep(0)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
            (await open_serial("isdv4", tablet.path)).close()


class MuteTablet(Isdv4Tablet):
    """A tablet that, once it is mute, hears and says nothing more."""

    mute = False

    def hear(self, data: bytes) -> None:
        if not self.mute:
            super().hear(data)


@pytest.mark.usefixtures("hasty")
class TestSilence:
    """A tablet that should speak and does not."""

    @pytest.mark.parametrize("make", [Isdv4Tablet, Protocol4Tablet])
    async def test_a_tablet_that_resets_itself_in_mid_packet_costs_one_signature_and_goes_on(
        self, make: type[Isdv4Tablet | Protocol4Tablet]
    ) -> None:
        with make() as tablet:
            pen = await opened(tablet)
            batches: list[Frames] = []
            collecting = asyncio.create_task(collect(pen, batches))
            trace = lissajous()
            assert await asyncio.to_thread(tablet.play, trace, until_s=0.2)
            await eventually(lambda: batches and batches[-1].touching[-1:].any())
            tablet.falter(tablet.packet(tablet.motion(trace), 30))
            await eventually(lambda: batches[-1].gap)
            await asyncio.to_thread(tablet.wait_started, PATIENCE_S)
            before = len(batches)
            assert await asyncio.to_thread(tablet.play, trace)
            await eventually(lambda: len(batches[-1]) and not batches[-1].near[-1])
            again = joined(batches[before:])
            assert len(again) == len(tablet.motion(trace).t)
            # The half packet is found to be one when the next begins: before the first contact, so nothing is lost.
            assert not any(batch.gap for batch in batches[before:] if batch.touching.any())
            pen.close()
            with pytest.raises(PenError):
                await collecting

    async def test_a_tablet_at_rest_that_answers_is_left_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(serial_line, "REST_SILENCE_S", 0.05)
        with Isdv4Tablet() as tablet:
            pen = await opened(tablet)
            batches: list[Frames] = []
            collecting = asyncio.create_task(collect(pen, batches))
            tablet.stream(on=False)
            await asyncio.to_thread(tablet.wait_started, PATIENCE_S)
            await asyncio.sleep(0.3)
            assert not collecting.done()
            assert not batches
            pen.close()
            with pytest.raises(PenError, match="closed"):
                await collecting

    async def test_a_tablet_that_answers_no_more_is_lost(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(serial_line, "REST_SILENCE_S", 0.05)
        monkeypatch.setattr(serial_line, "ANSWER_LIMIT_S", 0.2)
        with MuteTablet() as tablet:
            pen = await opened(tablet)
            tablet.mute = True
            async with asyncio.timeout(PATIENCE_S):
                with pytest.raises(PenError) as lost:
                    await collect(pen, [])
        assert lost.value.problem == "the tablet no longer answers"
        assert lost.value.remedy


@pytest.mark.usefixtures("hasty")
class TestDamage:
    """Bytes that were not what the tablet sent."""

    async def test_a_pen_that_jumps_across_the_tablet_is_told_as_damage(self) -> None:
        with Isdv4Tablet() as tablet:
            pen = await opened(tablet)
            reading = pen.batches()
            there = isdv4.PenPacket(x=1000, y=1000, pressure=500, near=True, tip=True)
            tablet.send(there.to_bytes())
            assert not (await anext(reading)).gap
            tablet.send(dataclasses.replace(there, x=20_000).to_bytes())
            assert (await anext(reading)).gap
            pen.close()

    async def test_damage_is_logged_but_not_for_every_byte(self, caplog: pytest.LogCaptureFixture) -> None:
        with Isdv4Tablet() as tablet:
            pen = await opened(tablet)
            reading = pen.batches()
            for _ in range(5):
                tablet.send(b"\x01\x02\x03")
                assert (await anext(reading)).gap
            pen.close()
        (line,) = [record.getMessage() for record in caplog.records if "damaged" in record.getMessage()]
        assert line.startswith(f"{pen.device}: bytes were damaged or lost (1 times")


class TestStandingStill:
    """The process was stopped for a moment, as a busy machine or a suspended one does it."""

    async def test_bytes_that_wait_when_patience_ends_are_no_silence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        near, host = os.openpty()
        tty.setraw(host)
        line = Line(os.ttyname(host), flow_control=False)
        wait = line._wait

        async def stopped(_: float) -> None:
            """The poll in which a process is stopped reports nothing when it goes on, also if bytes have come."""
            monkeypatch.setattr(line, "_wait", wait)
            os.write(near, b"here")
            assert select.select([host], [], [], PATIENCE_S)[0]

        monkeypatch.setattr(line, "_wait", stopped)
        async with asyncio.timeout(PATIENCE_S):
            assert await line.receive(patience_s=0.01) == b"here"
        line.close()
        os.close(near)
        os.close(host)

    async def test_nothing_when_patience_ends_is_silence(self, silent_tty: str) -> None:
        line = Line(silent_tty, flow_control=False)
        assert await line.receive(patience_s=0.01) == b""
        line.close()


class TestOpening:
    """The line itself cannot be used."""

    async def test_a_line_that_is_not_there_says_to_plug_it_in(self, tmp_path: Path) -> None:
        with pytest.raises(PenError) as absent:
            await open_serial("isdv4", tmp_path / "ttyUSB9")
        assert absent.value.remedy
        assert "plug" in absent.value.remedy

    @pytest.mark.parametrize("protocol", ["isdv4", "protocol4"])
    async def test_what_is_no_tty_is_refused(self, protocol: str) -> None:
        with pytest.raises(PenError, match="cannot be opened"):
            await open_serial(protocol, "/dev/null")  # type: ignore[arg-type] # mypy widens the parameter to str

    async def test_a_line_in_use_says_so(self, silent_tty: str) -> None:
        line = Line(silent_tty, flow_control=False)
        with pytest.raises(PenError, match="end the program"):
            Line(silent_tty, flow_control=False)
        line.close()

    async def test_a_command_that_the_line_does_not_take_is_an_error(self, silent_tty: str) -> None:
        line = Line(silent_tty, flow_control=False)
        with pytest.raises(PenError, match="jammed"):
            line.write(b"*" * 1_000_000)
        line.close()
