"""Real people: signatures of SVC2004 Task2 on a serial line; each decision of the daemon is the offline one.

Five people stand at five terminals of one fleet at the same time. Each enrols with five references and then signs five
times; five skilled forgeries follow. What a subscriber hears must equal what the shipped verifier, and so
`scripts/evaluate --shipped`, gives for the same trace.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from penlatch.sim.tablet import Isdv4Tablet
from penlatch.verify.verifier import Verifier
from support.broker import Observer
from support.door import Door, broker_section
from support.terminal import Terminal
from training.datasets import DataMissingError, by_user, load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penlatch.ink import Trace
    from penlatch.verify.template import Template
    from support.broker import Mosquitto
    from training.datasets import Kind

PEOPLE = ("U01", "U06", "U14", "U23", "U38")
"""Taken before any figure was known; two of them have signatures whose time stamps run backwards or repeat."""
REFERENCES = 5
GENUINE = slice(5, 10)
FORGERIES = slice(0, 5)

TOLERANCE = 0.05
"""How far P(genuine) may differ between a live capture and the same trace read from a file. What differs between the
two: time stamps recovered from the arrival of packets, and positions rounded to the tablet's 0.01 mm."""


@pytest.fixture(scope="module")
def people() -> dict[str, dict[Kind, list[Trace]]]:
    try:
        return by_user(load("svc2004-task2"))
    except DataMissingError as missing:
        pytest.skip(str(missing))


def offline(verifier: Verifier, traces: list[Trace]) -> Template:
    return verifier.template([verifier.analyse(trace) for trace in traces])


async def test_live_decisions_equal_offline_ones(
    people: dict[str, dict[Kind, list[Trace]]],
    tmp_path: Path,
    broker: Mosquitto,
    record_property: Callable[[str, object], None],
) -> None:
    verifier = Verifier.load()
    async with Observer(broker.port) as observer:
        results = await asyncio.gather(
            *(asyncio.to_thread(sign_at_a_door, name, people[name], tmp_path, broker) for name in PEOPLE)
        )
        differences: list[float] = []
        for name, (references, live) in zip(PEOPLE, results, strict=True):
            template = offline(verifier, references)
            topic = f"penlatch/door-{name}/decision"
            await observer.next(topic, after=len(live) - 1)
            heard = [message.body for message in observer.on(topic)]
            assert [d["seq"] for d in heard] == list(range(1, len(live) + 1))
            for trace, decision in zip(live, heard, strict=True):
                expected = verifier.verify(template, verifier.analyse(trace))
                assert decision["verdict"] in {"match", "no_match"}, decision
                differences.append(decision["probability"] - expected.probability)
                assert abs(differences[-1]) <= TOLERANCE, (name, decision, expected.probability)
                if abs(expected.probability - verifier.threshold) > TOLERANCE:
                    assert decision["verdict"] == ("match" if expected.match else "no_match")
        record_property("decisions", len(differences))
        record_property("largest difference in P(genuine)", max(map(abs, differences)))


def sign_at_a_door(
    name: str, traces: dict[Kind, list[Trace]], folder: Path, broker: Mosquitto
) -> tuple[list[Trace], list[Trace]]:
    """Enrol one person and have ten signatures decided; return the references and what was signed, in order."""
    references = traces["genuine"][:REFERENCES]
    signed = traces["genuine"][GENUINE] + traces["skilled"][FORGERIES]
    sections = {"terminal": {"name": f"door-{name}"}, "mqtt": broker_section(broker, folder / name)}
    with Isdv4Tablet() as tablet:
        door = Door(Terminal(folder / name, device=f"isdv4:{tablet.path}", sections=sections), tablet, broker)
        door.switch_on()
        try:
            enrolled = door.terminal.act("enroll", name, hands=[door.hand(trace) for trace in references])
            assert enrolled.status == 0, enrolled
            for trace in signed:
                door.verify(name, trace)
        finally:
            door.terminal.close()
    return references, signed
