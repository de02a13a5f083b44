"""Pen-up wait over → decision acknowledged by the broker, beside the same chain without database and outbox."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from benchlib.figures import Figure
from benchlib.people import REFERENCES, signatures
from benchlib.processes import mosquitto, workplace
from penlatch.verify.verifier import Verifier

if TYPE_CHECKING:
    from benchlib.terminal import Bench

TARGET_MS = 15.0


def measure(bench: Bench) -> list[Figure]:
    """Take the session's times, and those of the plain chain for as many signatures."""
    session = bench.session
    total, judged, delivery = session.total_ms(), session.judged_ms(), session.delivery_ms()
    plain = _plain(len(total))
    how = (
        "real daemon, ISDV4 tablet on a pty, Mosquitto on loopback through a tap; latency_ms of the decision plus its "
        "`time` to the PUBACK, too large by up to 1 ms; "
        f"{session.matches} of {len(total)} genuine signatures matched"
    )
    plain_how = "in one process, from the trace: analyse, verify, paho publish, PUBACK; no database, no outbox"
    return [
        Figure(
            name="pen-up wait over to PUBACK, p50",
            value=_percentile(total, 50),
            unit="ms",
            n=len(total),
            how=how,
            plain=_percentile(plain, 50),
            plain_how=plain_how,
        ),
        Figure(
            name="pen-up wait over to PUBACK, p99",
            value=_percentile(total, 99),
            unit="ms",
            n=len(total),
            how=how,
            plain=_percentile(plain, 99),
            plain_how=plain_how,
            target=TARGET_MS,
        ),
        Figure(
            name="  of it: judged, p50",
            value=_percentile(judged, 50),
            unit="ms",
            n=len(judged),
            how="latency_ms of the decision: end of the pen-up wait to the judgement",
        ),
        Figure(
            name="  of it: judged, p99",
            value=_percentile(judged, 99),
            unit="ms",
            n=len(judged),
            how="the same",
        ),
        Figure(
            name="  of it: PUBLISH to PUBACK, p50",
            value=_percentile(delivery, 50),
            unit="ms",
            n=len(delivery),
            how="as seen between daemon and Mosquitto",
        ),
    ]


def _percentile(values: list[float], share: float) -> float:
    return float(np.percentile(values, share))


def _plain(n: int) -> list[float]:
    """Judge and publish `n` signatures as a script would."""
    verifier = Verifier.load()
    references, queries = signatures(REFERENCES, n)
    template = verifier.template([verifier.analyse(trace) for trace in references])
    acknowledged = threading.Event()

    def on_publish(*_: Any) -> None:
        acknowledged.set()

    times = []
    with workplace() as folder, mosquitto(folder) as port:
        client = Client(CallbackAPIVersion.VERSION2)
        client.on_publish = on_publish
        client.connect("127.0.0.1", port)
        client.loop_start()
        for trace in queries:
            acknowledged.clear()
            started = time.monotonic()
            judgement = verifier.verify(template, verifier.analyse(trace))
            told = {"match": judgement.match, "probability": judgement.probability, "reason": judgement.reason}
            client.publish("plain/decision", msgspec.json.encode(told), qos=1)
            if not acknowledged.wait(10):
                raise SystemExit("bench: a plain publish was not acknowledged")
            times.append(1e3 * (time.monotonic() - started))
        client.disconnect()
        client.loop_stop()
    return times
