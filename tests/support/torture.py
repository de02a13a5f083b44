"""Torture: a daemon that is killed again and again at random points, while its broker comes and goes, and worse.

It decides as fast as it can: identifications without a pen end at once, as `error`, and each is a decision that takes
the whole way from the asker over the disk to the broker.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from penlatch.control.client import Client
from penlatch.errors import PenlatchError, StoreError
from penlatch.messages import Decision
from penlatch.store.store import Store
from penlatch.store.vault import Vault
from support.broker import CONSUMER, Mosquitto
from support.door import broker_section
from support.small_disk import small_disk
from support.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAME: Final = "tortured"
START_S: Final = (0.0, 1.0)
"""When a daemon is killed that does not get to its work, from its start [s]."""
WORK_S: Final = (0.0, 0.5)
"""How long one works that does, before it is killed [s]."""
STILLBORN: Final = 0.3
"""Share of those that do not."""
START_LIMIT_S: Final = 5.0
"""How long one may take to get to its work [s]; one whose database is locked meanwhile may never."""
BROKER_UP_S: Final = (0.5, 3.0)
BROKER_DOWN_S: Final = (0.05, 1.0)
PAUSE_S: Final = 0.002
"""Between two questions, and where nobody answers [s]."""
DRAIN_LIMIT_S: Final = 30.0
"""How long the last daemon may take to tell everything [s]."""
FAKETIME: Final = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
STEADY: Final = {"DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
"""Has it leave the clock alone that never jumps."""


@dataclass
class Result:
    """What a tortured terminal came to."""

    kills: int
    promised: dict[int, Decision] = field(default_factory=dict)
    """What an asker was told, by its number."""
    seen: dict[int, list[Decision]] = field(default_factory=dict)
    """What a subscriber received, by its number, in the order of arrival."""
    kept: dict[int, Decision] = field(default_factory=dict)
    """What is in the database in the end."""
    audited: int = 0
    """Entries of the audit, all of them checked."""
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        told = sum(map(len, self.seen.values()))
        return (
            f"{self.kills} kills: {len(self.kept)} decisions, {len(self.promised)} of them heard by the asker; "
            f"{told} messages for {len(self.seen)} decisions; {self.audited} audit entries"
        )


class Subscriber:
    """A consumer whose session outlives its connections and those of the broker."""

    def __init__(self, port: int, seen: dict[int, list[Decision]]) -> None:
        self._seen = seen
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="consumer", protocol=paho.MQTTv5)
        self._client.username_pw_set(*CONSUMER)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(f"penlatch/{NAME}/decision", qos=1)
        self._client.on_message = self._take
        for_ever = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's own
        for_ever.SessionExpiryInterval = 0xFFFF_FFFF
        self._client.connect("127.0.0.1", port, clean_start=False, properties=for_ever)
        self._client.loop_start()

    def _take(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        decision = msgspec.json.decode(message.payload, type=Decision)
        self._seen.setdefault(decision.seq, []).append(decision)

    def close(self) -> None:
        """End it."""
        self._client.disconnect()
        self._client.loop_stop()


class Background:
    """Something that goes on in a thread of its own until it is closed."""

    def __init__(self, step: Callable[[random.Random], object], seed: int) -> None:
        self._stop = threading.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(step, random.Random(seed)), daemon=True)

    def _run(self, step: Callable[[random.Random], object], dice: random.Random) -> None:
        try:
            while not self._stop.is_set():
                step(dice)
        except BaseException as error:  # noqa: BLE001 - raised again where somebody sees it
            self.error = error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self.error:
            raise self.error


class Torture:
    """One terminal, one broker, one consumer, and what is done to them. Subclasses do more."""

    def __init__(self, folder: Path, *, seed: int) -> None:
        self._seed = seed
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.broker = Mosquitto(folder / "broker", options="max_queued_messages 0\nautosave_interval 1")
        self.state = folder / "state"
        self.state.mkdir()

    @contextlib.contextmanager
    def trouble(self) -> Iterator[None]:
        """Make more trouble for as long as this lasts."""
        yield

    def environment(self) -> dict[str, str]:
        """Return what the daemon sees beside this process's own environment."""
        return {}

    def run(self, kills: int) -> Result:
        """Kill the daemon so often, then let it tell everything; return what became of it."""
        result = Result(kills=kills)
        self.broker.start()
        subscriber = Subscriber(self.broker.port, result.seen)
        sections: dict[str, dict[str, Any]] = {
            "terminal": {"name": NAME},
            # No pen is there, so every decision is an error: all of them are to be stored.
            "store": {"path": self.state / "penlatch.db", "unjudged_per_day": 1_000_000},
            "mqtt": broker_section(self.broker, self.folder),
            "log": {"level": "warning"},
        }
        terminal = Terminal(self.folder / "terminal", device="isdv4:/dev/null", sections=sections)
        dice = random.Random(self._seed)
        try:
            with Background(self._flap, self._seed + 1), self.trouble():
                for _ in range(kills):
                    self._live_and_die(terminal, dice, result)
            self._settle(terminal, result)
        finally:
            subscriber.close()
            self.broker.stop()
        self._look(terminal, result)
        return result

    def _flap(self, dice: random.Random) -> None:
        time.sleep(dice.uniform(*BROKER_UP_S))
        # A broker that is killed forgets what it has acknowledged, which no sender can help.
        self.broker.stop()
        time.sleep(dice.uniform(*BROKER_DOWN_S))
        self.broker.start()

    def _live_and_die(self, terminal: Terminal, dice: random.Random, result: Result) -> None:
        with (self.folder / "journal.txt").open("ab") as journal:
            process = subprocess.Popen(
                [sys.executable, "-m", "penlatch", "run", "--config", str(terminal.config)],
                env=os.environ | self.environment(),
                stdout=journal,
                stderr=subprocess.STDOUT,
            )
        end = time.monotonic() + START_LIMIT_S
        if dice.random() < STILLBORN:
            end = time.monotonic() + dice.uniform(*START_S)
        working = False
        while process.poll() is None and time.monotonic() < end:
            if ask(terminal, result) and not working:
                working = True
                # In the middle of what comes next, wherever that is.
                killing = threading.Timer(dice.uniform(*WORK_S), process.kill)
                killing.start()
        process.kill()
        process.wait()
        if process.returncode != -signal.SIGKILL:
            result.problems.append(f"the daemon ended by itself, with status {process.returncode}")

    def _settle(self, terminal: Terminal, result: Result) -> None:
        with terminal:
            ask(terminal, result)
            client = Client(terminal.socket)
            end = time.monotonic() + DRAIN_LIMIT_S
            (newest,) = client.decisions(limit=1)
            # What was acknowledged is on its way to a consumer who may have to connect anew; the newest comes last.
            while (client.status().outbox_depth or newest.seq not in result.seen) and time.monotonic() < end:
                time.sleep(0.1)

    def _look(self, terminal: Terminal, result: Result) -> None:
        database = self.state / "penlatch.db"
        try:
            store = Store.open(database, Vault.load(database=database, environment={}))
        except StoreError as error:
            result.problems.append(str(error))
            return
        result.audited = store.check_audit()
        result.kept = {decision.seq: decision for decision in store.decisions(limit=1 << 30)}
        if waiting := store.outbox_depth():
            result.problems.append(f"{waiting} decisions still wait: {terminal.log()[-2000:]}")
        if dropped := store.dropped():
            result.problems.append(f"{dropped} decisions were dropped")
        store.close()


def ask(terminal: Terminal, result: Result) -> bool:
    """Have one decision made, remember what was promised, and tell whether anything was."""
    before = len(result.promised)
    try:
        for event in Client(terminal.socket).identify():
            if isinstance(event, Decision):
                result.promised[event.seq] = event
    except PenlatchError:
        time.sleep(PAUSE_S)
    return len(result.promised) > before


class FullDisk(Torture):
    """The disk of the state is small, and somebody else fills it now and then."""

    SIZE_MB: Final = 12

    @contextlib.contextmanager
    def trouble(self) -> Iterator[None]:
        with Background(self._fill, self._seed + 2):
            yield

    def run(self, kills: int) -> Result:
        with small_disk(self.state, size_mb=self.SIZE_MB):
            return super().run(kills)

    def _fill(self, dice: random.Random) -> None:
        filler = self.state / "filler"
        with contextlib.suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(b"\0" * (1 << dice.randrange(8, 17)))
                file.flush()
        time.sleep(dice.uniform(0.0, 1.0))
        filler.unlink()
        time.sleep(dice.uniform(0.0, 1.0))


class LockedDatabase(Torture):
    """Another process holds the database locked now and then, sometimes for longer than anybody waits."""

    @contextlib.contextmanager
    def trouble(self) -> Iterator[None]:
        with Background(self._lock, self._seed + 2):
            yield

    def _lock(self, dice: random.Random) -> None:
        time.sleep(dice.uniform(0.0, 1.0))
        database = self.state / "penlatch.db"
        if not database.exists():
            return
        other = sqlite3.connect(database, isolation_level=None)
        with contextlib.closing(other), contextlib.suppress(sqlite3.OperationalError):
            other.execute("BEGIN IMMEDIATE")
            time.sleep(dice.choice([0.01, 0.3, 1.0, 6.0]))


class JumpingClock(Torture):
    """The time of day jumps, by up to years."""

    @contextlib.contextmanager
    def trouble(self) -> Iterator[None]:
        with Background(self._jump, self._seed + 2):
            yield

    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self.folder / "offset"),
            "FAKETIME_CACHE_DURATION": "1",
            **STEADY,
        }

    def _jump(self, dice: random.Random) -> None:
        draft = self.folder / "offset.draft"
        draft.write_text(dice.choice(["+0", "+400d", "-400d", "+1h", "-1h", "-10y"]) + "\n")
        draft.replace(self.folder / "offset")
        time.sleep(dice.uniform(0.0, 2.0))
