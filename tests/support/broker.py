"""A real Mosquitto for one test, on a free port of the loopback, and a client that sees what consumers see."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import msgspec
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from paho.mqtt.properties import Properties

    from support.certificates import Pair

TERMINAL = ("terminal", "open sesame")
"""User and password of the daemon."""
CONSUMER = ("consumer", "only looking")
"""User and password of whoever listens and asks."""


def mosquitto_program() -> str | None:
    """Return the path of Mosquitto, None where it is not installed. It lives in sbin, which few have in PATH."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    """Return a TCP port of the loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Mosquitto:
    """The broker process. `start` and `stop` as often as you like: it keeps its port and its retained messages."""

    folder: Path
    acl: str | None = None
    """Text of an ACL file; None allows everything to both users."""
    tls: Pair | None = None
    """The broker's own certificate; None for plain TCP."""
    client_ca: Path | None = None
    """Clients must show a certificate of this authority."""
    options: str = ""
    """Further lines of mosquitto.conf."""
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        program = mosquitto_program()
        assert program is not None, "mosquitto is not installed: apt-get install mosquitto"
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / "mosquitto.log"
        with log.open("ab") as sink:
            self._process = subprocess.Popen(
                [program, "-c", str(self._configure())], stdout=sink, stderr=subprocess.STDOUT
            )
        until = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"mosquitto did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.005)

    def stop(self) -> None:
        """Stop it as systemd would."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE_S)
            self._process = None

    def kill(self) -> None:
        """Kill it: no DISCONNECT, no PUBACK, nothing written."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)
            self._process = None

    def reload(self) -> None:
        """Have it read its ACL and its passwords anew."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def pause(self) -> None:
        """Freeze it: sockets stay open, nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Thaw it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _configure(self) -> Path:
        passwords = self.folder / "passwords"
        if not passwords.exists():
            passwords.touch(mode=0o600)
            for user, password in (TERMINAL, CONSUMER):
                subprocess.run(["mosquitto_passwd", "-b", passwords, user, password], check=True, capture_output=True)
        lines = [
            f"listener {self.port} 127.0.0.1",
            "allow_anonymous false",
            f"password_file {passwords}",
            "set_tcp_nodelay true",
            "persistence true",
            f"persistence_location {self.folder}/",
            "log_type all",
        ]
        if os.geteuid() == 0:
            lines.append("user root")  # or it drops to a user who may not read the test's folder
        if self.acl is not None:
            acl = self.folder / "acl"
            acl.write_text(self.acl)
            acl.chmod(0o600)
            lines.append(f"acl_file {acl}")
        if self.tls is not None:
            lines += [f"certfile {self.tls.certificate}", f"keyfile {self.tls.key}"]
        if self.client_ca is not None:
            lines += [f"cafile {self.client_ca}", "require_certificate true"]
        path = self.folder / "mosquitto.conf"
        path.write_text("\n".join([*lines, self.options, ""]))
        return path


@dataclass(frozen=True)
class Seen:
    """A message as a subscriber received it."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: Properties | None = None

    @property
    def body(self) -> Any:
        """The payload, decoded from JSON."""
        return msgspec.json.decode(self.payload)

    @property
    def correlation(self) -> bytes | None:
        """The MQTT 5 property Correlation Data, None without it."""
        data: bytes | None = getattr(self.properties, "CorrelationData", None)  # paho makes its attributes as it reads
        return data


class Observer:
    """A subscriber with a thread of its own; used from the loop that entered it."""

    def __init__(
        self, port: int, *, user: tuple[str, str] | None = CONSUMER, version: MQTTProtocolVersion = paho.MQTTv5
    ) -> None:
        self.seen: list[Seen] = []
        """Everything received, in order."""
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._subscribed = asyncio.Event()
        self._version = version
        self._port = port
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=version)
        self._client.reconnect_delay_set(1, 1)
        if user is not None:
            self._client.username_pw_set(*user)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    async def __aenter__(self) -> Self:
        self._client.connect_async("127.0.0.1", self._port)
        self._client.loop_start()
        await self.subscribed()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    async def subscribed(self) -> None:
        """Wait until the subscription stands, anew after `expect_reconnect`."""
        async with asyncio.timeout(PATIENCE_S):
            await self._subscribed.wait()

    def expect_reconnect(self) -> None:
        """Forget that the subscription stands: the broker is about to go."""
        self._subscribed.clear()

    def publish(
        self, topic: str, payload: bytes | str, *, retain: bool = False, properties: Properties | None = None
    ) -> None:
        """Publish with QoS 1."""
        info = self._client.publish(topic, payload, qos=1, retain=retain, properties=properties)
        assert info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS

    async def until(self, condition: Callable[[list[Seen]], bool]) -> None:
        """Wait until `condition` holds for everything received."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition(self.seen):
                self._news.clear()
                await self._news.wait()

    async def next(self, topic: str, *, after: int = 0) -> Seen:
        """Return the first message on `topic`, leaving out the first `after` of them, as soon as it is there."""
        await self.until(lambda seen: sum(message.topic == topic for message in seen) > after)
        return self.on(topic)[after]

    def on(self, topic: str) -> list[Seen]:
        """Return what was received on `topic` so far."""
        return [message for message in self.seen if message.topic == topic]

    def _on_connect(self, client: paho.Client, *_: object) -> None:
        if self._version is paho.MQTTv5:
            client.subscribe("#", options=SubscribeOptions(qos=1, retainAsPublished=False))
        else:
            client.subscribe("#", qos=1)

    def _on_subscribe(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._subscribed.set)

    def _on_message(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        properties = message.properties
        seen = Seen(message.topic, bytes(message.payload), message.qos, bool(message.retain), properties)

        def add() -> None:
            self.seen.append(seen)
            self._news.set()

        self._loop.call_soon_threadsafe(add)


@contextlib.asynccontextmanager
async def amqtt_broker() -> AsyncIterator[int]:
    """Run amqtt, which speaks MQTT 3.1.1 and nothing else, on this loop; yield its port."""
    from amqtt.broker import Broker  # noqa: PLC0415 - an optional package, asked for by the tests that need it
    from amqtt.contexts import BrokerConfig, ListenerConfig  # noqa: PLC0415 - likewise

    port = free_port()
    config = BrokerConfig(
        listeners={"default": ListenerConfig(bind=f"127.0.0.1:{port}")},
        plugins={"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    )
    broker = Broker(config)
    await broker.start()
    try:
        yield port
    finally:
        await broker.shutdown()
