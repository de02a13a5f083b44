"""Process start → READY=1, beside a bare Python that only imports numpy and the inference runtime."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from benchlib.figures import Figure
from benchlib.processes import Daemon, mosquitto, python_until, workplace
from benchlib.terminal import plugged_in, write_config

if TYPE_CHECKING:
    from benchlib.terminal import Bench

TARGET_S = 0.4
RUNTIME = """
try:
    import numpy, tflite_runtime.interpreter
except ImportError:
    import numpy, ai_edge_litert.interpreter
"""
"""What every program that judges with these models has to import."""


def measure(bench: Bench) -> list[Figure]:
    """Start the daemon several times with a tablet on its line, a broker and an existing database."""
    n = 3 if bench.quick else 5
    with workplace() as folder, mosquitto(folder) as port, plugged_in() as tablet:
        config = write_config(folder, device=tablet.uri, mqtt_port=port)
        with Daemon(folder, config):
            pass  # the first start makes the database and its key
        times = []
        for _ in range(n):
            with Daemon(folder, config) as daemon:
                times.append(daemon.ready_s)
    python_until(RUNTIME)  # the first one warms the page cache, as the first daemon did
    plain = [python_until(RUNTIME)[0] for _ in range(n)]
    return [
        Figure(
            name="start to READY=1, median",
            value=statistics.median(times),
            unit="s",
            n=n,
            how="from just before fork to the READY=1 datagram; warm page cache, existing database",
            plain=statistics.median(plain),
            plain_how="bare Python from fork until numpy and the inference runtime are imported",
            target=TARGET_S,
        )
    ]
