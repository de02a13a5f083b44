"""A terminal in mode `always` with a tablet on evdev: whoever signs is identified, and a subscriber hears who it was.

umockdev stands between the daemon and /dev. A recording, which needs no tablet, is judged in the same way.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pytest

from penlatch.capture.replay.inkml import write_inkml
from penlatch.control.client import Client
from penlatch.messages import Action
from penlatch.sim.pty_tablet import TORN_S
from penlatch.verify.verifier import Verifier
from support.broker import Observer
from support.door import broker_section, know
from support.evdev_tablet import NAME, NODE, EvdevTablet, reported
from support.signing import ATTEMPTS, IDLE_S, PATIENT, SETTLED_S
from support.terminal import Terminal
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from penlatch.ink import Trace
    from penlatch.sim.writer import Writer
    from support.broker import Mosquitto

DECISION = "penlatch/door-1/decision"
TOLERANCE = 1e-6
"""How far P(genuine) may differ between what the daemon captured and what the tablet told. What differs between the
two: time stamps cut off at microseconds."""


@pytest.fixture
def tablet(tmp_path: Path) -> Iterator[EvdevTablet]:
    """Return a tablet that is plugged in."""
    folder = tmp_path / "devices"
    folder.mkdir()
    with EvdevTablet(folder) as tablet:
        yield tablet


@pytest.fixture
def references(ada: Writer) -> list[Trace]:
    """Return five signatures of ada as the tablet tells them."""
    rng = np.random.default_rng(0)
    return [reported(ada.genuine(rng)) for _ in range(5)]


def always(folder: Path, device: str, broker: Mosquitto, wrapper: Sequence[str] = ()) -> Terminal:
    """Return a terminal that is not switched on yet."""
    sections: dict[str, dict[str, Any]] = {
        "terminal": {"mode": "always"},
        "segment": {"idle_s": IDLE_S},
        **PATIENT,
        "mqtt": broker_section(broker, folder),
    }
    return Terminal(folder / "door-1", device=device, sections=sections, wrapper=wrapper)


@pytest.fixture
async def door(
    tmp_path: Path, tablet: EvdevTablet, references: list[Trace], broker: Mosquitto
) -> AsyncIterator[Terminal]:
    """Return a running terminal that knows ada, and has found its tablet: what was written before is not for it."""
    terminal = always(tmp_path, "evdev:", broker, tablet.wrapper)
    know(terminal, "ada", references)
    with terminal:
        await eventually(lambda: Client(terminal.socket).status().pen.ok)
        yield terminal
        tablet.leave()


async def heard(door: Terminal, observer: Observer, tablet: EvdevTablet, trace: Trace) -> dict[str, Any]:
    """Have `trace` signed, and return the decision that a subscriber hears; again if the machine tore it.

    A decision is told a moment before the terminal waits for the next signature.
    """
    client = Client(door.socket)
    for _ in range(ATTEMPTS):
        await eventually(lambda: client.status().action is Action.IDLE)
        before = len(observer.on(DECISION))
        late_s = await asyncio.to_thread(tablet.write, trace)
        message = await observer.next(DECISION, after=before)
        if late_s <= TORN_S:
            break
        await asyncio.sleep(SETTLED_S)
    assert (message.qos, message.retain) == (1, False)
    body: dict[str, Any] = message.body
    return body


async def test_the_only_pen_present_is_found_beside_a_mouse(door: Terminal) -> None:
    assert Client(door.socket).status().pen.detail == f"{NAME} at {NODE}"


async def test_whoever_is_known_is_recognised(
    door: Terminal, tablet: EvdevTablet, broker: Mosquitto, ada: Writer
) -> None:
    async with Observer(broker.port) as observer:
        decision = await heard(door, observer, tablet, ada.genuine(np.random.default_rng(5)))
    assert (decision["verdict"], decision["user"], decision["done"]) == ("match", "ada", True)
    assert (decision["action"], decision["historical"]) == ("identify", False)
    assert decision["pen"] == NAME


async def test_a_doubtful_signature_is_as_doubtful_as_offline(
    door: Terminal, tablet: EvdevTablet, references: list[Trace], broker: Mosquitto, ada: Writer
) -> None:
    verifier = Verifier.load()
    template = verifier.template([verifier.analyse(trace) for trace in references])

    def probability(trace: Trace) -> float:
        return verifier.verify(template, verifier.analyse(reported(trace))).probability

    genuine = ada.genuine(np.random.default_rng(5))
    # Where the curve is steep: written more and more slowly, a signature becomes another's.
    slower = [replace(genuine, t=slowness * genuine.t) for slowness in np.linspace(1.2, 2.4, 13)]
    doubtful = min(slower, key=lambda trace: abs(probability(trace) - 0.5))
    assert 0.2 < probability(doubtful) < 0.8
    async with Observer(broker.port) as observer:
        decision = await heard(door, observer, tablet, doubtful)
    # Rounded for the broker, exact for who asks the terminal itself.
    (exact,) = await asyncio.to_thread(Client(door.socket).decisions, limit=1)
    assert exact.seq == decision["seq"]
    assert exact.probability == pytest.approx(probability(doubtful), abs=TOLERANCE)


async def test_whoever_is_not_known_is_turned_away_without_a_name(
    door: Terminal, tablet: EvdevTablet, broker: Mosquitto, ada: Writer, eve: Writer
) -> None:
    rng = np.random.default_rng(6)
    async with Observer(broker.port) as observer:
        for trace in (eve.genuine(rng), ada.forgery(rng, eve)):
            decision = await heard(door, observer, tablet, trace)
            assert (decision["verdict"], decision["user"], decision["done"]) == ("no_match", None, True)
            assert decision["probability"] < decision["threshold"]


async def test_a_scribble_is_a_retry_and_the_next_signature_counts(
    door: Terminal, tablet: EvdevTablet, broker: Mosquitto, ada: Writer
) -> None:
    rng = np.random.default_rng(8)
    async with Observer(broker.port) as observer:
        scribbled = await heard(door, observer, tablet, ada.scribble(rng))
        signed = await heard(door, observer, tablet, ada.genuine(rng))
    assert (scribbled["verdict"], scribbled["done"], scribbled["probability"]) == ("retry", False, None)
    assert (signed["verdict"], signed["user"]) == ("match", "ada")
    assert "Traceback" not in door.log()


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
async def test_a_recording_is_judged_like_a_signature(
    tmp_path: Path,
    references: list[Trace],
    broker: Mosquitto,
    ada: Writer,
    eve: Writer,
    *,
    known: bool,
) -> None:
    trace = reported((ada if known else eve).genuine(np.random.default_rng(7)))
    recording = tmp_path / "a signature?.inkml"
    recording.write_text(write_inkml(trace), encoding="utf-8")
    terminal = always(tmp_path, f"replay:{quote(str(recording))}?pace=fast", broker)
    know(terminal, "ada", references)
    async with Observer(broker.port) as observer:
        with terminal:
            decision = (await observer.next(DECISION)).body
    assert decision["pen"] == NAME
    assert decision["verdict"] == ("match" if known else "no_match")
    assert decision["user"] == ("ada" if known else None)
