"""Pens of many kinds, from the device node to the decision of the real daemon; and what happens to a pen meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import evdev
import numpy as np
import pytest

from penlatch.capture.evdev_events import EventDecoder
from penlatch.capture.evdev_pen import EvdevPen
from penlatch.capture.evdev_tablet import Normaliser
from penlatch.capture.replay.evemu import read_evemu
from penlatch.control.client import Client
from penlatch.messages import Reason, Verdict
from support.input_line import EVENT
from support.signing import (
    ADA,
    BEA,
    EVE,
    IDLE_S,
    LIMIT_S,
    PATIENT,
    SETTLED_S,
    acquaint,
    assert_known,
    decided,
    pen_found,
    pen_missed,
    signed,
    soon,
)
from support.terminal import Terminal
from support.uinput_pens import WACOM, PenModel, UinputPen, other_devices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penlatch.capture.frames import Frames

pytestmark = pytest.mark.guest("plain")

NOBODY: Final = 65534
"""User and group of a service to which nothing belongs."""
USUAL_HZ: Final = 100.0
KILOHERTZ: Final = 1000.0
SLOWER: Final = 5.0
"""Times slower than real that the guest writes at 1,000 Hz."""
REPORT: Final = EVENT.pack(0, 0, evdev.ecodes.EV_SYN, evdev.ecodes.SYN_REPORT, 0)
REPLUGS: Final = 100
HOUR_S: Final = 3600.0

MODELS: Final = [
    WACOM,
    PenModel("UC-Logic-like Pen", has_tool_key=False, pressure_max=8191),
    PenModel("A pen that never leaves", leaves=False),
    PenModel("A pen of unknown size", tells_resolution=False),
    PenModel("A worn pen", pressure_offset=0.03),
]


SECTIONS: Final[dict[str, dict[str, Any]]] = {
    "terminal": {"mode": "always"},
    **PATIENT,
    "segment": {"idle_s": IDLE_S},
    "enroll": {"timeout_s": 10 * LIMIT_S},
}


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """Return a running terminal that knows ada, was started without a pen and takes the only one that comes."""
    folder = tmp_path_factory.mktemp("uinput")
    acquaint(folder, "ada")
    with Terminal(folder, device="evdev:", sections=SECTIONS) as terminal:
        yield terminal


def assert_ada_is_known(terminal: Terminal, pen: UinputPen, *, rate_hz: float | None = None) -> None:
    assert_known(terminal, "ada", ADA, partial(pen.write, rate_hz=rate_hz))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_whoever_is_known_is_recognised_and_nobody_else(terminal: Terminal, model: PenModel) -> None:
    with UinputPen(model) as pen:
        assert model.name in pen_found(terminal)
        assert_ada_is_known(terminal, pen)
        stranger = decided(terminal, partial(pen.write, signed(EVE)))
        assert (stranger.verdict, stranger.user) == (Verdict.NO_MATCH, None)
    pen_missed(terminal)


@pytest.mark.parametrize("rate_hz", [100.0, 200.0])
def test_it_works_at_any_rate(terminal: Terminal, rate_hz: float) -> None:
    with UinputPen(WACOM) as pen:
        pen_found(terminal)
        assert_ada_is_known(terminal, pen, rate_hz=rate_hz)
    pen_missed(terminal)


def test_at_1000_hz_no_frame_is_lost() -> None:
    """Each burst of 8 ms comes as soon as the one before was read, for this processor is too slow for more."""
    with UinputPen(WACOM) as model:
        bursts = [events for _, events in model.bursts(signed(ADA), rate_hz=KILOHERTZ)]

        async def read() -> list[Frames]:
            pen = EvdevPen.open(model.path)
            batches: list[Frames] = []
            try:
                async with asyncio.timeout(LIMIT_S):
                    reading, seen, due = pen.batches(), 0, 0
                    for events in bursts:
                        model.send(events)
                        due += events.count(REPORT)
                        while seen < due:
                            batches.append(await anext(reading))
                            seen += len(batches[-1])
            finally:
                pen.close()
            return batches

        batches = asyncio.run(read())
    assert sum(map(len, batches)) == b"".join(bursts).count(REPORT) > KILOHERTZ
    assert not any(batch.gap for batch in batches)


def test_what_has_as_many_frames_as_at_1000_hz_is_decided(terminal: Terminal) -> None:
    """Written more slowly than it was, as this processor needs, it is nobody's; but it is judged, with every frame."""
    with UinputPen(WACOM) as pen:
        pen_found(terminal)
        decision = decided(terminal, partial(pen.dash, signed(ADA), rate_hz=KILOHERTZ, slower=SLOWER))
        assert decision.verdict in {Verdict.MATCH, Verdict.NO_MATCH}
    pen_missed(terminal)


def test_an_eraser_signs_nothing_and_the_pen_goes_on(terminal: Terminal) -> None:
    client = Client(terminal.socket)
    with UinputPen(replace(WACOM, has_eraser=True)) as pen:
        pen_found(terminal)
        before = client.decisions(limit=1)
        pen.write(signed(ADA), eraser=True)
        time.sleep(SETTLED_S)
        assert client.decisions(limit=1) == before
        assert_ada_is_known(terminal, pen)
    pen_missed(terminal)


def test_what_is_no_pen_is_not_taken_for_one(terminal: Terminal) -> None:
    others = other_devices()
    try:
        time.sleep(2)
        assert not Client(terminal.socket).status().pen.ok
        with UinputPen(WACOM) as pen:
            assert WACOM.name in pen_found(terminal)
            assert_ada_is_known(terminal, pen)
        pen_missed(terminal)
    finally:
        for device in others:
            device.close()


def test_of_two_tablets_none_is_chosen_by_chance(terminal: Terminal) -> None:
    with UinputPen(WACOM) as first:
        pen_found(terminal)
        with UinputPen(PenModel("Another pen")) as second:
            # The one that is read stays the one that is read.
            assert_ada_is_known(terminal, first)
            first.unplug()
            soon(lambda: "Another pen" in (Client(terminal.socket).status().pen.detail or ""), "the other is taken")
            assert_ada_is_known(terminal, second)
    pen_missed(terminal)


def test_a_grabbed_tablet_is_no_use_until_it_is_let_go(terminal: Terminal) -> None:
    with UinputPen(WACOM) as pen:
        holder = evdev.InputDevice(pen.path)
        holder.grab()
        time.sleep(2)
        holder.ungrab()
        holder.close()
        pen_found(terminal)
        assert_ada_is_known(terminal, pen)
    pen_missed(terminal)


def test_a_tablet_that_is_grabbed_while_it_is_read_is_told_and_read_again_when_it_is_let_go(terminal: Terminal) -> None:
    client = Client(terminal.socket)
    with UinputPen(WACOM) as pen:
        pen_found(terminal)
        holder = evdev.InputDevice(pen.path)
        holder.grab()
        soon(lambda: "grabbed" in (client.status().pen.detail or ""), "it is told")
        assert not client.status().pen.ok
        holder.close()
        pen_found(terminal)
        assert_ada_is_known(terminal, pen)
    pen_missed(terminal)


def test_a_tablet_that_is_pulled_out_while_somebody_enrols_costs_what_was_being_written(terminal: Terminal) -> None:
    rng = np.random.default_rng(1)
    with UinputPen(WACOM) as pen:
        pen_found(terminal)

        def sign() -> float:
            return pen.write(BEA.genuine(rng))

        def replug() -> None:
            pen.unplug()
            pen_missed(terminal)
            pen.plug_in()
            pen_found(terminal)

        def stop_halfway() -> None:
            pen.write(BEA.genuine(rng), until_s=0.8)
            time.sleep(0.2)
            replug()

        def begin_late() -> None:
            replug()
            sign()

        hands = chain([sign, stop_halfway, begin_late], repeat(sign))
        told = terminal.act("enroll", "bea", "--references", "3", hands=hands)
        assert told.status == 0, told.errors
        assert told.last["outcome"] == "enrolled"
        lost = [event for event in told.events if event.get("reason") == Reason.PEN_LOST]
        assert [event["outcome"] for event in lost] == ["retry"]
        assert_known(terminal, "bea", BEA, pen.write)
        Client(terminal.socket).delete_user("bea")
    pen_missed(terminal)


def test_a_tablet_that_the_service_may_open_only_later_is_read_as_soon_as_it_may() -> None:
    """As udev does it: the node comes as root's, and is given to the group of the service a moment later."""
    with tempfile.TemporaryDirectory(dir="/run") as folder, UinputPen(WACOM) as pen:
        Path(pen.path).chmod(0o600)
        acquaint(Path(folder), "ada")
        service = Terminal(
            Path(folder),
            device="evdev:",
            sections=SECTIONS,
            wrapper=["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"],
        )
        for path in (Path(folder), *Path(folder).iterdir()):
            os.chown(path, NOBODY, NOBODY)
        # Of the guest alone: the interpreter may lie in root's home, and the checkout in a folder of root's.
        for parent in {*Path(sys.executable).resolve().parents, *Path(sys.prefix).parents}:
            parent.chmod(parent.stat().st_mode | 0o011)
        before = os.umask(0)  # the socket by which it says READY is to take its word
        try:
            service.start()
        finally:
            os.umask(before)
        try:
            detail = Client(service.socket).status().pen.detail or ""
            assert "may not read" in detail
            os.chown(pen.path, 0, NOBODY)
            Path(pen.path).chmod(0o660)
            pen_found(service)
            assert_ada_is_known(service, pen)
        finally:
            service.close()


def test_a_recording_made_beside_the_daemon_gives_the_frames_that_were_read_and_grabs_nothing(
    terminal: Terminal, tmp_path: Path
) -> None:
    file = tmp_path / "pen.evemu"
    with UinputPen(WACOM) as pen:
        pen_found(terminal)
        recorder = subprocess.Popen(
            [sys.executable, "-m", "penlatch", "record", file, "--device", f"evdev:{pen.path}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert recorder.stderr
        for line in recorder.stderr:
            if line.startswith("Recording "):
                break
        before = Client(terminal.socket).status().decisions
        trace = signed(ADA)
        sent = b"".join(events for _, events in UinputPen(WACOM).bursts(trace, rate_hz=USUAL_HZ))
        pen.dash(trace, rate_hz=USUAL_HZ)
        soon(lambda: Client(terminal.socket).status().decisions > before, "the daemon has heard it, too")
        recorder.send_signal(signal.SIGINT)
        out, errors = recorder.communicate(timeout=LIMIT_S)
        assert recorder.returncode == 0, out + errors
    pen_missed(terminal)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    recording = read_evemu(file)
    (wanted,) = map(Normaliser(recording.tablet).frames, EventDecoder().feed(sent))
    (got,) = recording.frames()
    for column in ("x", "y", "p", "near", "touching", "tilt_x", "tilt_y"):
        np.testing.assert_array_equal(getattr(got, column), getattr(wanted, column))
    assert not got.gap


def test_a_hundred_replugs_leave_a_terminal_that_works(terminal: Terminal) -> None:
    pen = UinputPen(WACOM)
    trace = signed(ADA)
    for number in range(REPLUGS):
        with pen:
            match number % 4:
                case 0:
                    pen_found(terminal)
                case 1:
                    pen.report(50, 50, 0.5, touching=True)
                case 2:
                    pen.write(trace, until_s=0.1)
                case _:
                    pass
    with pen:
        pen_found(terminal)
        assert_ada_is_known(terminal, pen)
    pen_missed(terminal)


def test_a_pen_pulled_out_in_mid_signature_is_a_retry(terminal: Terminal) -> None:
    client = Client(terminal.socket)
    with UinputPen(WACOM) as pen:
        pen_found(terminal)
        before = client.decisions(limit=1)[0].seq
        pen.write(signed(ADA), until_s=0.8)
        time.sleep(0.2)
    soon(lambda: client.decisions(limit=1)[0].seq > before, "it is told")
    told = client.decisions(limit=1)[0]
    assert (told.verdict, told.reason) == (Verdict.RETRY, Reason.PEN_LOST)


def test_events_that_were_dropped_cost_one_signature_and_not_the_next(terminal: Terminal) -> None:
    client = Client(terminal.socket)
    with UinputPen(WACOM) as pen:
        pen_found(terminal)
        before = client.decisions(limit=1)[0].seq
        assert terminal.process
        with ThreadPoolExecutor(1) as hand:
            writing = hand.submit(pen.write, signed(ADA))
            time.sleep(0.5)
            terminal.process.send_signal(signal.SIGSTOP)
            try:
                time.sleep(1.0)
            finally:
                terminal.process.send_signal(signal.SIGCONT)
            writing.result()
        soon(lambda: client.decisions(limit=1)[0].seq > before, "it is told")
        told = client.decisions(limit=1)[0]
        assert (told.verdict, told.reason) == (Verdict.RETRY, Reason.EVENTS_LOST)
        assert_ada_is_known(terminal, pen)
    pen_missed(terminal)


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S])
def test_a_clock_that_jumps_hurts_no_signature(terminal: Terminal, jump_s: float) -> None:
    with UinputPen(WACOM) as pen:
        pen_found(terminal)
        time.clock_settime(time.CLOCK_REALTIME, time.time() + jump_s)
        assert_ada_is_known(terminal, pen)
    pen_missed(terminal)
