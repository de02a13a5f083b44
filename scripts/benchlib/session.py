"""One session at the terminal: a person enrols, then signs a hundred times, while the line to the broker is tapped."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from benchlib.people import REFERENCES, signatures
from benchlib.processes import Daemon, mosquitto, workplace
from benchlib.tap import Tap
from benchlib.terminal import plugged_in, write_config
from penlatch.control.client import Client
from penlatch.messages import Armed, Decision, Enrollment, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from benchlib.tap import Acknowledged
    from benchlib.terminal import Pen
    from penlatch.ink import Trace
    from penlatch.messages import Event


WARM_UP = 3
"""Verifications before the first that counts: caches of the processor, the allocator, the database."""


@dataclass
class Session:
    """What a session showed."""

    acknowledged: list[Acknowledged] = field(default_factory=list)
    """Every verification that was judged, in order."""
    memory_at_ready_kb: Mapping[str, int] = field(default_factory=dict)
    memory_kb: Mapping[str, int] = field(default_factory=dict)
    """After the last verification."""

    @property
    def matches(self) -> int:
        """How many were taken for genuine, which all of them were."""
        return sum(a.decision.verdict is Verdict.MATCH for a in self.acknowledged)

    def judged_ms(self) -> list[float]:
        """End of the pen-up wait → judged, as the daemon tells it [ms]."""
        return [a.decision.latency_ms for a in self.acknowledged if a.decision.latency_ms is not None]

    def total_ms(self) -> list[float]:
        """End of the pen-up wait → PUBACK [ms].

        The daemon's `latency_ms`, and from the decision's `time` to the PUBACK. That `time` is cut to whole
        milliseconds, so each value is too large by up to one, never too small.
        """
        return [
            a.decision.latency_ms + 1e3 * (a.acknowledged - datetime.fromisoformat(a.decision.time).timestamp())
            for a in self.acknowledged
            if a.decision.latency_ms is not None
        ]

    def delivery_ms(self) -> list[float]:
        """PUBLISH → PUBACK, as the tap sees it: the broker's share [ms]."""
        return [1e3 * (a.acknowledged - a.published) for a in self.acknowledged]


def run(n: int) -> Session:
    """Enrol one person and verify `n` of their genuine signatures."""
    session = Session()
    references, queries = (iter(traces) for traces in signatures(2 * REFERENCES, n + WARM_UP))
    with workplace() as folder, mosquitto(folder) as port, Tap(port) as tap, plugged_in() as pen:
        config = write_config(folder, device=pen.uri, mqtt_port=tap.listens_on)
        with Daemon(folder, config):
            pass  # the first start of all makes the database, and for that loads what no later one needs
        with Daemon(folder, config) as daemon:
            client = Client(folder / "penlatch.sock")
            pen.wait_until_asked()
            session.memory_at_ready_kb = daemon.memory_kb()
            last = _act(client.enroll("writer", references=REFERENCES), pen, references)
            if not (isinstance(last, Enrollment) and last.outcome == "enrolled"):
                raise SystemExit(f"bench: the writer could not be enrolled: {last}")
            while len(session.acknowledged) < n + WARM_UP:
                last = _act(client.verify("writer"), pen, queries)
                if not isinstance(last, Decision) or last.probability is None:
                    raise SystemExit(f"bench: a signature was not judged: {last}")
                session.acknowledged.append(tap.wait(last.seq))
                _progress(len(session.acknowledged), n + WARM_UP)
            session.memory_kb = daemon.memory_kb()
    del session.acknowledged[:WARM_UP]
    return session


def _act(events: Iterable[Event], pen: Pen, signatures: Iterator[Trace]) -> Event:
    """Sign whenever the terminal waits for it; return the last event of the action."""
    for event in events:
        if isinstance(event, Armed):
            pen.sign(next(signatures))
        elif event.done:
            return event
    raise SystemExit("bench: the daemon hung up")


def _progress(done: int, n: int) -> None:
    if done % 10 == 0 or done == n:
        print(f"\r  {done} of {n} verifications", end="\n" if done == n else "", file=sys.stderr, flush=True)
