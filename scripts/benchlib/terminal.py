"""A terminal to measure: the real daemon, a tablet on its serial line, synthetic people who sign, and a broker."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from penlatch.capture import isdv4
from penlatch.sim.tablet import Isdv4Tablet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from benchlib.session import Session
    from penlatch.ink import Trace

IDLE_S = 0.4
"""The pen-up wait of the bench [s]: short, for a hundred signatures, and longer than any lift within one."""
HASTE = 3.0
"""How much faster than their writer signatures are played; none of their frames is left out."""
STARTED_LIMIT_S = 20.0
"""Longest wait until the daemon has greeted the tablet [s]."""
NAME = "bench"


@dataclass
class Bench:
    """What every measurement is given."""

    quick: bool

    @cached_property
    def session(self) -> Session:
        """The hundred verifications that more than one measurement looks at, run when first asked for."""
        from benchlib.session import run  # noqa: PLC0415 - the measurements that need none start no daemon

        return run(10 if self.quick else 100)


def write_config(folder: Path, *, device: str, mqtt_port: int | None, **more: Mapping[str, Any]) -> Path:
    """Write the configuration of a terminal that keeps everything in `folder`."""
    sections: dict[str, Mapping[str, Any]] = {
        "terminal": {"name": NAME},
        "pen": {"device": device},
        "segment": {"idle_s": IDLE_S},
        "store": {"path": str(folder / "penlatch.db")},
        "control": {"socket": str(folder / "penlatch.sock")},
        **({"mqtt": {"host": "127.0.0.1", "port": mqtt_port}} if mqtt_port else {}),
        **more,
    }
    lines = []
    for section, keys in sections.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    path = folder / "penlatch.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class Pen:
    """An emulated ISDV4 tablet on a pty, and the hand that writes on it."""

    def __init__(self, tablet: Isdv4Tablet) -> None:
        self.tablet = tablet
        self.uri = f"isdv4:{tablet.path}"

    def wait_until_asked(self) -> None:
        """Wait until the daemon has greeted the tablet and reads it."""
        self.tablet.wait_started(STARTED_LIMIT_S)

    def sign(self, trace: Trace) -> None:
        """Write `trace`, all its frames, `HASTE` times as fast as its writer did."""
        self.tablet.play(replace(trace, t=trace.t / HASTE))

    @contextlib.contextmanager
    def hovering(self, rate_hz: float) -> Iterator[None]:
        """Hold the pen over the tablet, in proximity and in motion, while the context lasts."""
        stop = threading.Event()
        thread = threading.Thread(target=self._hover, args=(rate_hz, stop))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _hover(self, rate_hz: float, stop: threading.Event) -> None:
        due, count = time.monotonic(), 0
        while not stop.wait(max(0.0, due - time.monotonic())):
            place = 5000 + 500 * (count % 8)
            self.tablet.send(isdv4.PenPacket(x=place, y=place, pressure=0, near=True, tip=False).to_bytes())
            due += 1 / rate_hz
            count += 1
        self.tablet.send(isdv4.PenPacket(x=0, y=0, pressure=0, near=False, tip=False).to_bytes())


@contextlib.contextmanager
def plugged_in() -> Iterator[Pen]:
    """Plug a tablet in for as long as the context lasts."""
    with Isdv4Tablet() as tablet:
        yield Pen(tablet)
