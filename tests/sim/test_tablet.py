"""The emulated tablet answers and streams as a real one, seen by a plain serial port at the other end."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import serial
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.capture.isdv4 import PenPacket, QueryReply
from penlatch.errors import TraceError
from penlatch.sim.pty_tablet import TORN_S
from penlatch.sim.tablet import Faults, Isdv4Tablet, Protocol4Tablet
from support.figures import lissajous
from support.waiting import PATIENCE_S

SILENCE_S = 0.1
"""How long a test listens for what must not happen [s]."""


def host(tablet: Isdv4Tablet | Protocol4Tablet, baud: int | None = None) -> serial.Serial:
    return serial.Serial(tablet.path, baud or tablet.baud, timeout=PATIENCE_S)


def ask(port: serial.Serial, command: bytes, size: int) -> bytes:
    port.write(command)
    return bytes(port.read(size))


def started(port: serial.Serial, tablet: Isdv4Tablet) -> None:
    port.write(b"1")
    tablet.wait_started(PATIENCE_S)


def test_the_query_is_answered_with_the_maxima() -> None:
    with Isdv4Tablet(size_mm=(200.0, 120.0), pressure_max=255) as tablet, host(tablet) as port:
        assert QueryReply.from_bytes(ask(port, b"*", 11)) == QueryReply(x=20_000, y=12_000, pressure=255)


@pytest.mark.parametrize("command", [b"0", b"&"])
def test_start_starts_and_stop_and_reset_stop(command: bytes) -> None:
    with Isdv4Tablet() as tablet, host(tablet) as port:
        assert not tablet.streaming
        started(port, tablet)
        # The answer to the query proves that the command before it was obeyed.
        ask(port, command + b"*", 11)
        assert not tablet.streaming


def test_the_touch_query_stays_without_an_answer() -> None:
    with Isdv4Tablet() as tablet, host(tablet) as port:
        port.timeout = SILENCE_S
        assert ask(port, b"%", 1) == b""


def test_a_command_at_another_speed_is_not_understood() -> None:
    with Isdv4Tablet(baud=38_400) as tablet, host(tablet, 19_200) as port:
        port.timeout = SILENCE_S
        assert ask(port, b"*", 11) == b""


def test_what_is_played_arrives_packet_by_packet() -> None:
    trace = lissajous(frames=20, lift=slice(8, 12))
    with Isdv4Tablet() as tablet, host(tablet) as port:
        started(port, tablet)
        assert tablet.play(trace)
        motion = tablet.motion(trace)
        assert tablet.packets_sent == len(motion.t)
        packets = [PenPacket.from_bytes(port.read(9)) for _ in motion.t]
        assert [packet.x for packet in packets] == [round(100 * x) for x in motion.x]
        assert [packet.y for packet in packets] == [round(100 * y) for y in motion.y]
        assert [packet.pressure for packet in packets] == [round(1023 * p) for p in motion.p]
        assert [packet.tip for packet in packets] == motion.down.tolist()
        assert [packet.near for packet in packets] == motion.near.tolist()


def test_playing_takes_the_time_of_the_trace() -> None:
    trace = lissajous(frames=20)
    with Isdv4Tablet() as tablet:
        start = time.monotonic()
        tablet.play(trace)
        assert time.monotonic() - start >= tablet.motion(trace).t[-1]


def test_a_tablet_that_was_not_started_is_silent() -> None:
    with Isdv4Tablet() as tablet, host(tablet) as port:
        assert tablet.play(lissajous(frames=5))
        assert tablet.packets_sent == 0
        assert port.in_waiting == 0


def test_waiting_for_a_host_that_never_starts_ends() -> None:
    with Isdv4Tablet() as tablet, pytest.raises(TimeoutError):
        tablet.wait_started(0.01)


def test_play_can_stop_dead_in_contact() -> None:
    trace = lissajous(frames=50)
    with Isdv4Tablet() as tablet, host(tablet) as port:
        started(port, tablet)
        tablet.play(trace, until_s=0.1)
        packets = [PenPacket.from_bytes(port.read(9)) for _ in range(tablet.packets_sent)]
        assert packets[-1].tip
        assert sum(packet.tip for packet in packets) == 11


def test_unplugging_ends_a_play_and_hangs_up_the_host() -> None:
    with Isdv4Tablet() as tablet, host(tablet) as port:
        started(port, tablet)
        played: list[bool] = []
        playing = threading.Thread(target=lambda: played.append(tablet.play(lissajous(frames=1000))))
        playing.start()
        port.read(9)
        tablet.unplug()
        playing.join(PATIENCE_S)
        assert played == [False]
        with pytest.raises(serial.SerialException):
            port.read(9 * 1000)


def test_unplugging_is_safe_twice_and_takes_the_name_away() -> None:
    with Isdv4Tablet() as tablet:
        assert Path(tablet.path).exists()
        tablet.unplug()
        tablet.unplug()
        assert not Path(tablet.path).is_symlink()


def test_a_tablet_plugged_in_again_has_its_old_name_and_forgot_that_it_was_started() -> None:
    with Isdv4Tablet() as tablet:
        path = tablet.path
        with host(tablet) as port:
            started(port, tablet)
            tablet.unplug()
        tablet.plug_in()
        assert tablet.path == path
        assert not tablet.streaming
        with host(tablet) as port:
            assert len(ask(port, b"*", 11)) == 11


def test_nothing_is_left_behind() -> None:
    with Isdv4Tablet() as tablet:
        folder = Path(tablet.path).parent
    assert not folder.exists()


def test_a_trace_that_does_not_fit_is_refused_before_anything_is_sent() -> None:
    with Isdv4Tablet(size_mm=(30.0, 30.0)) as tablet, host(tablet) as port:
        started(port, tablet)
        with pytest.raises(TraceError, match="does not fit"):
            tablet.play(lissajous())
        assert tablet.packets_sent == 0


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_faults_are_repeatable_and_counted(garbage: float, loss: float, seed: int) -> None:
    def damaged() -> tuple[bytes, int]:
        tablet = Isdv4Tablet(faults=Faults(garbage=garbage, loss=loss, seed=seed))
        motion = tablet.motion(lissajous(frames=20))
        sent = b"".join(tablet._through_faults(tablet.packet(motion, row)) for row in range(20))
        return sent, tablet.packets_damaged

    sent, count = damaged()
    assert damaged() == (sent, count)
    clean = Isdv4Tablet()
    motion = clean.motion(lissajous(frames=20))
    assert (count == 0) == (sent == b"".join(clean.packet(motion, row) for row in range(20)))


def test_a_hand_that_the_machine_holds_up_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with Isdv4Tablet() as tablet, host(tablet):
        assert not tablet.torn
        wait = tablet._unplugged.wait

        def held_up(timeout_s: float) -> bool:
            time.sleep(2 * TORN_S)
            monkeypatch.setattr(tablet._unplugged, "wait", wait)
            return wait(timeout_s)

        monkeypatch.setattr(tablet._unplugged, "wait", held_up)
        assert tablet.play(lissajous(frames=10))
        assert tablet.torn


def test_a_latency_timer_lets_bytes_out_in_bunches() -> None:
    trace = lissajous(frames=40, period_s=0.005)
    with Isdv4Tablet(latency_s=0.05) as tablet, host(tablet) as port:
        started(port, tablet)
        sizes: list[int] = []
        playing = threading.Thread(target=tablet.play, args=(trace,))
        playing.start()
        while sum(sizes) < 9 * len(tablet.motion(trace).t):
            sizes.append(len(port.read(1)) + len(port.read(port.in_waiting)))
        playing.join(PATIENCE_S)
        assert np.median(sizes) >= 5 * 9


class TestProtocol4:
    """The Protocol IV tablet."""

    def test_the_queries_are_answered(self) -> None:
        with Protocol4Tablet() as tablet, host(tablet) as port:
            assert ask(port, b"~#", 21) == tablet.model_reply
            assert ask(port, b"~R\r", 27) == b"~RE202C900,002,02,1270,1270\r"[:27]
            port.read(1)
            assert ask(port, b"~C\r", 13) == b"~C15240,15240"

    def test_set_up_is_taken_and_start_starts(self) -> None:
        with Protocol4Tablet() as tablet, host(tablet) as port:
            port.write(b"MU1\rOC1\r~M0\r~M1\rIT0\rIN0\rSR\rZF1\rST\r")
            tablet.wait_started(PATIENCE_S)
            ask(port, b"SP\r~#", len(tablet.model_reply))
            assert not tablet.streaming

    def test_the_reset_brings_it_back_to_9600_baud(self) -> None:
        with Protocol4Tablet(baud=19_200) as tablet, host(tablet) as port:
            port.write(b"\r$")
            deadline = time.monotonic() + PATIENCE_S
            while tablet.baud != 9600 and time.monotonic() < deadline:
                time.sleep(0.005)
            port.baudrate = 9600
            assert ask(port, b"~#", len(tablet.model_reply)) == tablet.model_reply
