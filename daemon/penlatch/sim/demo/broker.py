"""An MQTT broker inside this process, for as long as the demo lasts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

from amqtt.broker import Broker as Amqtt
from amqtt.contexts import BrokerConfig, ListenerConfig

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

T = TypeVar("T")

HOST = "127.0.0.1"

_STOP_LIMIT_S = 5.0
"""How long a stop may take [s]; what hangs then is ended with the process."""


class Broker:
    """`with Broker(log) as broker:` listens on a free port of the loopback. MQTT 3.1.1 is all it speaks."""

    def __init__(self, log: Path) -> None:
        """Prepare a broker that writes what it has to say to the file `log`."""
        self.port = _free_port()
        handler = logging.FileHandler(log)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
        for name in ("amqtt", "transitions"):
            logger = logging.getLogger(name)
            logger.addHandler(handler)
            logger.propagate = False
            logger.setLevel(logging.WARNING)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="broker", daemon=True)

    def __enter__(self) -> Self:
        """Start; when this returns, it listens.

        Raises:
            OSError: if the port was taken in the meantime.
        """
        self._thread.start()
        self._broker = self._call(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, clients or not."""
        with contextlib.suppress(TimeoutError):
            self._call(self._broker.shutdown())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_LIMIT_S)

    async def _start(self) -> Amqtt:
        anyone = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
        listener = ListenerConfig(bind=f"{HOST}:{self.port}")
        broker = Amqtt(BrokerConfig(listeners={"default": listener}, plugins=anyone))
        await broker.start()
        return broker

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_STOP_LIMIT_S)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
