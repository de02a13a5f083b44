"""Real people: signatures of SVC2004 Task2 on a serial line; each decision of the daemon is the offline one.

Five people stand at five terminals of one fleet at the same time. Each enrols with five references and then signs five
times; five skilled forgeries follow. What a subscriber hears must equal what the shipped verifier gives for the same
trace.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from penlatch.control.client import Client
from penlatch.messages import Armed, Decision, Enrollment
from penlatch.sim.pty_tablet import TORN_S
from penlatch.sim.tablet import Isdv4Tablet
from penlatch.verify.verifier import Verifier
from support.broker import Observer
from support.door import Door, broker_section
from support.terminal import Terminal
from training.datasets import DataMissingError, by_user, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from penlatch.ink import Trace
    from penlatch.messages import Event
    from support.broker import Mosquitto
    from training.datasets import Kind

PEOPLE = ("U01", "U06", "U14", "U23", "U38")
"""Chosen before any figure was known. Four of them have signatures in which time stamps repeat."""
REFERENCES = 5
GENUINE = slice(5, 10)
FORGERIES = slice(0, 5)

LATENESS_S = TORN_S
"""A packet that leaves so late after its time [s] was written by a busy machine, not by a person: such a signature is
signed again. The daemon restores the times of those that are less late."""
ATTEMPTS = 5
ENROLL_S = 60.0
"""How long five references may take, and five repetitions [s]."""

TOLERANCE = 0.05
"""How far P(genuine) may differ between a live capture and the same trace read from a file. What differs between the
two: time stamps recovered from the arrival of packets, and positions rounded to the tablet's 0.01 mm."""


@pytest.fixture(scope="module")
def people() -> dict[str, dict[Kind, list[Trace]]]:
    try:
        return by_user(load("svc2004-task2"))
    except DataMissingError as missing:
        pytest.skip(str(missing))


async def test_live_decisions_equal_offline_ones(
    people: dict[str, dict[Kind, list[Trace]]],
    tmp_path: Path,
    broker: Mosquitto,
    record_property: Callable[[str, object], None],
) -> None:
    verifier = Verifier.load()
    async with Observer(broker.port) as observer:
        doors = await asyncio.gather(
            *(asyncio.to_thread(sign_at_a_door, name, people[name], tmp_path, broker) for name in PEOPLE)
        )
        differences: list[float] = []
        for name, signed in zip(PEOPLE, doors, strict=True):
            template = verifier.template([verifier.analyse(trace) for trace in people[name]["genuine"][:REFERENCES]])
            topic = f"penlatch/door-{name}/decision"
            await observer.next(topic, after=max(seq for _, seq in signed) - 1)
            heard = {message.body["seq"]: message.body for message in observer.on(topic)}
            assert sorted(heard) == list(range(1, len(heard) + 1))
            for trace, seq in signed:
                decision = heard[seq]
                expected = verifier.verify(template, verifier.analyse(trace))
                assert decision["verdict"] in {"match", "no_match"}, decision
                differences.append(abs(decision["probability"] - expected.probability))
                assert differences[-1] <= TOLERANCE, (name, decision, expected.probability)
                if abs(expected.probability - verifier.threshold) > TOLERANCE:
                    assert decision["verdict"] == ("match" if expected.match else "no_match")
        record_property("decisions", len(differences))
        record_property("largest difference in P(genuine)", max(differences))


def sign_at_a_door(
    name: str, traces: dict[Kind, list[Trace]], folder: Path, broker: Mosquitto
) -> list[tuple[Trace, int]]:
    """Enrol one person and have ten signatures decided; return each with the number of its decision."""
    sections = {
        "terminal": {"name": f"door-{name}"},
        "mqtt": broker_section(broker, folder / name),
        # What was written too late is written again, and is the same recording.
        "replay": {"enabled": False},
        "lockout": {"enabled": False},
        "enroll": {"timeout_s": ENROLL_S},
    }
    with Isdv4Tablet() as tablet:
        door = Door(Terminal(folder / name, device=f"isdv4:{tablet.path}", sections=sections), tablet, broker)
        door.switch_on()
        client = Client(door.terminal.socket)
        try:
            for _ in range(ATTEMPTS):
                enrolled, in_time = act(client.enroll(name), tablet, traces["genuine"][:REFERENCES])
                if in_time:
                    break
                if isinstance(enrolled, Enrollment) and enrolled.outcome == "enrolled":
                    client.delete_user(name)
            assert in_time, "this machine is too busy for anybody to write"
            assert isinstance(enrolled, Enrollment)
            assert enrolled.outcome == "enrolled", enrolled
            return [
                (trace, decide(client, name, tablet, trace))
                for trace in traces["genuine"][GENUINE] + traces["skilled"][FORGERIES]
            ]
        finally:
            door.terminal.close()


def decide(client: Client, name: str, tablet: Isdv4Tablet, trace: Trace) -> int:
    """Have one signature decided, and return the number of its decision."""
    for _ in range(ATTEMPTS):
        decision, in_time = act(client.verify(name), tablet, [trace])
        if in_time:
            break
    assert isinstance(decision, Decision)
    return decision.seq


def act(events: Iterator[Event], tablet: Isdv4Tablet, traces: list[Trace]) -> tuple[Event, bool]:
    """Write one trace each time the terminal waits; return the last event, and whether all was written in time.

    After a retry the trace is written once more, if the machine held it up; else the action ends there.
    """
    remaining = iter(traces)
    trace: Trace | None = None
    worst_s = late_s = 0.0
    last: Event | None = None
    for event in events:
        if not isinstance(event, Armed):
            last = event
            if not _is_retry(event):
                worst_s, late_s = max(worst_s, late_s), 0.0
            continue
        trace = trace if late_s > LATENESS_S else next(remaining, None)
        if trace is None:
            break
        tablet.play(trace)
        late_s = tablet.lateness_s
    assert last
    return last, max(worst_s, late_s) <= LATENESS_S


def _is_retry(event: Event) -> bool:
    return "retry" in {getattr(event, "verdict", None), getattr(event, "outcome", None)}
