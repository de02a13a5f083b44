"""Health tells the truth: whatever is broken shows on the broker, locally and as a metric, by its part and no other.

What is mended is well again, and its last error stays known.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import sqlite3
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pytest

from penlatch.control.client import Client
from penlatch.messages import Health, Part
from penlatch.verify.artefacts import default_directory
from support.broker import CONSUMER, TERMINAL, Mosquitto, Observer
from support.certificates import Authority
from support.door import Door, broker_section
from support.signing import IDLE_S
from support.small_disk import NONE_HERE, may_mount, small_disk
from support.terminal import Terminal
from support.torture import FAKETIME
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from penlatch.sim.tablet import Isdv4Tablet
    from penlatch.sim.writer import Writer
    from support.fixtures import MakeBroker

HEALTH: Final = "penlatch/door-1/health"
DECISION: Final = "penlatch/door-1/decision"
PARTS: Final = tuple(name for name, kind in Health.__annotations__.items() if kind.startswith("Part"))

Sections = dict[str, dict[str, Any]]


def faulty(health: Health) -> dict[str, str]:
    """What does not work, and what is told of it."""
    parts = {name: getattr(health, name) for name in PARTS}
    return {name: part.detail for name, part in parts.items() if isinstance(part, Part) and not part.ok}


def told(observer: Observer) -> Health | None:
    """What the broker keeps of the terminal's health, None where it never heard of it."""
    seen = observer.on(HEALTH)
    return msgspec.json.decode(seen[-1].payload, type=Health) if seen else None


def assert_metrics_say(terminal: Terminal, parts: set[str]) -> None:
    """What Prometheus would read calls these parts faulty, and no others."""
    text = terminal.command("status", "--prometheus").stdout
    found = dict(re.findall(r'^penlatch_part_ok\{.*part="(\w+)"\} (\d)$', text, re.MULTILINE))
    assert {name for name, ok in found.items() if ok == "0"} == parts


# --- broken before the start --------------------------------------------------------------------------------


def alter(path: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def damage_pages(door: Door) -> Sections:
    content = bytearray(door.terminal.database.read_bytes())
    content[4096:] = b"\x55" * (len(content) - 4096)
    door.terminal.database.write_bytes(content)
    return {}


def take_the_key_away(door: Door) -> Sections:
    (door.terminal.folder / "store.key").unlink()
    return {}


def put_another_key_there(door: Door) -> Sections:
    (door.terminal.folder / "store.key").write_bytes(bytes(32))
    return {}


def alter_a_template(door: Door) -> Sections:
    alter(door.terminal.database, "UPDATE templates SET sealed = zeroblob(length(sealed))")
    return {}


def forge_an_entry_of_the_audit(door: Door) -> Sections:
    alter(door.terminal.database, "UPDATE audit SET body = '{}' WHERE number = 1")
    return {}


def write_as_a_later_penlatch(door: Door) -> Sections:
    alter(door.terminal.database, "UPDATE _sqlite_migrations SET name = '0099_later' WHERE name LIKE '0004%'")
    return {}


def put_an_older_database_there(door: Door) -> Sections:
    door.terminal.database.unlink()
    return {}


def damage_a_network(door: Door) -> Sections:
    folder = door.terminal.folder / "models"
    shutil.copytree(default_directory(), folder, ignore=shutil.ignore_patterns("training", "folds", "without-*"))
    network = next(folder.glob("*.tflite"))
    network.write_bytes(network.read_bytes()[:-1] + b"\0")
    return {"verify": {"models": folder}}


def name_a_bolt_that_is_not_there(_door: Door) -> Sections:
    return {"bolt": {"command": ["/usr/libexec/no-such-bolt"]}}


def leave_backups_no_place(door: Door) -> Sections:
    place = door.terminal.folder / "no-folder"
    place.write_text("")
    return {"backup": {"folder": place}}


def name_a_pen_that_is_not_there(_door: Door) -> Sections:
    return {"pen": {"device": "isdv4:/dev/no-such-tty"}}


FAULTS: Final[dict[Callable[[Door], Sections], tuple[str, str]]] = {
    damage_pages: ("store backup", "damaged"),
    take_the_key_away: ("store", "the key of .* is missing"),
    put_another_key_there: ("store", "another key"),
    alter_a_template: ("store", "ada.*altered data"),
    forge_an_entry_of_the_audit: ("store", "entry 1"),
    write_as_a_later_penlatch: ("store", "a later penlatch"),
    put_an_older_database_there: ("store", "an older database was put back"),
    damage_a_network: ("models", "not the one that|digest|altered|sha256"),
    name_a_bolt_that_is_not_there: ("bolt", "no such program"),
    leave_backups_no_place: ("backup", "none was made"),
    name_a_pen_that_is_not_there: ("pen", "no-such-tty"),
}


async def assert_shows(door: Door, which: str, problem: str) -> None:
    """Switch it on; it says which parts are faulty, why the first of them is, and that all else is well."""
    parts = set(which.split())
    first = which.split(maxsplit=1)[0]
    async with Observer(door.broker.port) as observer:
        await asyncio.to_thread(door.terminal.start)
        try:
            await eventually(lambda: (now := told(observer)) and faulty(now).keys() == parts)
            now = told(observer)
            assert now
            assert not now.ok
            assert re.search(problem, faulty(now)[first]), faulty(now)
            status = await asyncio.to_thread(door.terminal.command, "status", "--json")
            assert status.returncode == 1
            assert faulty(msgspec.json.decode(status.stdout, type=Health)) == faulty(now)
            await asyncio.to_thread(assert_metrics_say, door.terminal, parts)
        finally:
            await asyncio.to_thread(door.terminal.close)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__.replace("_", " "))
async def test_what_is_broken_at_the_start_shows(
    new_door: Door, ada: Writer, fault: Callable[[Door], Sections]
) -> None:
    new_door.knows("ada", ada)
    new_door.terminal.configure(fault(new_door))
    await assert_shows(new_door, *FAULTS[fault])


async def test_a_clock_that_cannot_be_right_shows(new_door: Door) -> None:
    if not FAKETIME.exists():
        pytest.skip("libfaketime is missing: apt-get install faketime")
    new_door.terminal.wrapper = (
        "env",
        f"LD_PRELOAD={FAKETIME}",
        "FAKETIME=@2020-01-01 00:00:00",
        "DONT_FAKE_MONOTONIC=1",
    )
    await assert_shows(new_door, "clock", "before this release")


async def test_a_disk_that_fills_up_shows(new_door: Door, tmp_path: Path) -> None:
    if not may_mount():
        pytest.skip(NONE_HERE)
    state = tmp_path / "state"
    state.mkdir()
    with small_disk(state, size_mb=8):
        new_door.terminal.configure({"store": {"path": state / "penlatch.db"}})
        await assert_shows(new_door, "disk", "MiB free")


async def test_a_certificate_that_is_about_to_end_shows(
    make_broker: MakeBroker, tablet: Isdv4Tablet, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "authority")
    pair = authority.issue("door-1")
    encrypted = make_broker(tls=authority.issue("broker"), client_ca=authority.certificate)
    tls = {"ca_file": authority.certificate, "cert_file": pair.certificate, "key_file": pair.key}
    sections: Sections = {"mqtt": broker_section(encrypted, tmp_path), "mqtt.tls": tls}
    with Terminal(tmp_path / "door-1", device=f"isdv4:{tablet.path}", sections=sections) as terminal:
        client = Client(terminal.socket)
        await eventually(lambda: faulty(client.status()).keys() == {"certificate"})
        assert "it ends on" in faulty(client.status())["certificate"]


# --- broken in the middle of life ---------------------------------------------------------------------------


async def assert_mended(observer: Observer, part: str, was: str) -> None:
    """The broker hears that all is well again, and what was wrong."""
    await eventually(lambda: (now := told(observer)) and now.ok)
    now = told(observer)
    assert now
    last = getattr(now, part).last_error
    assert isinstance(last, str)
    assert re.search(was, last), last


async def test_a_pen_that_is_pulled_out_shows_and_one_that_comes_back(door: Door) -> None:
    async with Observer(door.broker.port) as observer:
        await eventually(lambda: (now := told(observer)) and now.ok)
        door.tablet.unplug()
        await eventually(lambda: (now := told(observer)) and faulty(now).keys() == {"pen"})
        await asyncio.to_thread(assert_metrics_say, door.terminal, {"pen"})
        door.tablet.plug_in()
        # Whichever was met last: the cable that went, the tty that was gone, or one on which nobody answered yet.
        await assert_mended(observer, "pen", "hung up|failed|cannot be opened|answered")


async def test_a_broker_that_is_away_shows_with_what_waits_for_it(door: Door, ada: Writer) -> None:
    client = Client(door.terminal.socket)
    async with Observer(door.broker.port) as observer:
        await eventually(lambda: (now := told(observer)) and now.ok)
        observer.expect_reconnect()
        door.broker.stop()
        signature = ada.genuine(np.random.default_rng(6))
        assert (await asyncio.to_thread(door.verify, "ada", signature)).status == 0
        away = client.status()
        assert faulty(away).keys() == {"broker", "outbox"}
        assert away.outbox_depth == 1
        await asyncio.to_thread(assert_metrics_say, door.terminal, {"broker", "outbox"})
        await eventually(lambda: (client.status().outbox_age_s or 0) > 0.1)
        door.broker.start()
        await observer.subscribed()
        await assert_mended(observer, "broker", r"\w")  # the operating system's words, of which there are several
        now = told(observer)
        assert now
        assert (now.outbox_depth, now.outbox_age_s) == (0, None)


async def test_a_database_that_takes_no_more_shows(door: Door, ada: Writer) -> None:
    async with Observer(door.broker.port) as observer:
        with contextlib.closing(sqlite3.connect(door.terminal.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            acted = await asyncio.to_thread(door.verify, "ada", ada.genuine(np.random.default_rng(6)))
            assert acted.status != 0, "what cannot be recorded opens nothing"
            await eventually(lambda: (now := told(observer)) and faulty(now).keys() == {"store"})
        acted = await asyncio.to_thread(door.verify, "ada", ada.genuine(np.random.default_rng(7)))
        assert acted.status == 0
        await assert_mended(observer, "store", "locked")


async def test_decisions_that_the_broker_refuses_show(
    make_broker: MakeBroker, tmp_path: Path, tablet: Isdv4Tablet, ada: Writer
) -> None:
    rights = f"user {TERMINAL[0]}\n" + "".join(
        f"topic {right} penlatch/door-1/{topic}\n"
        for right, topic in (("read", "request/+"), ("write", "state"), ("write", "info"), ("write", "health"))
    )
    others = f"user {CONSUMER[0]}\ntopic readwrite #\n"
    broker = make_broker(acl=rights + others)
    with at(broker, tmp_path, tablet, {}) as door:
        door.knows("ada", ada)
        await asyncio.to_thread(door.switch_on)
        async with Observer(broker.port) as observer:
            await asyncio.to_thread(door.verify, "ada", ada.genuine(np.random.default_rng(6)))
            await eventually(lambda: (now := told(observer)) and faulty(now).keys() == {"broker", "outbox"})
            now = told(observer)
            assert now
            assert "refused decision" in faulty(now)["broker"]
            (broker.folder / "acl").write_text(f"{rights}topic write {DECISION}\n{others}")
            broker.reload()
            await assert_mended(observer, "broker", "refused decision")
            assert [seen.body["seq"] for seen in observer.on(DECISION)] == [1]


async def test_a_lockout_shows(
    make_broker: MakeBroker, tmp_path: Path, tablet: Isdv4Tablet, ada: Writer, eve: Writer
) -> None:
    broker = make_broker()
    with at(broker, tmp_path, tablet, {"lockout": {"failures": 1}}) as door:
        door.knows("ada", ada)
        await asyncio.to_thread(door.switch_on)
        async with Observer(broker.port) as observer:
            await asyncio.to_thread(door.verify, "ada", eve.genuine(np.random.default_rng(6)))
            await eventually(lambda: (now := told(observer)) and now.lockouts)
            now = told(observer)
            assert now
            assert "ada" in {locked.user for locked in now.lockouts}
            metrics = (await asyncio.to_thread(door.terminal.command, "status", "--prometheus")).stdout
            assert re.search(r"^penlatch_lockouts\{.*\} [12]$", metrics, re.MULTILINE)


async def test_decisions_that_were_dropped_show(make_broker: MakeBroker, tmp_path: Path, tablet: Isdv4Tablet) -> None:
    broker = make_broker()
    broker.stop()
    tablet.unplug()  # an action without a pen ends at once, by an error, which is a decision, too
    with at(broker, tmp_path, tablet, {"store": {"outbox_decisions": 2}}) as door:
        await asyncio.to_thread(door.terminal.start)
        client = Client(door.terminal.socket)
        for _ in range(5):
            list(client.identify())
        broker.start()
        async with Observer(broker.port) as observer:
            await eventually(lambda: (now := told(observer)) and now.broker.ok and not now.outbox_depth)
            now = told(observer)
            assert now
            assert now.outbox_dropped == 3
            assert "3 dropped" in now.outbox.detail
            assert [seen.body["seq"] for seen in observer.on(DECISION)] == [4, 5]


@contextlib.contextmanager
def at(broker: Mosquitto, folder: Path, tablet: Isdv4Tablet, more: Sections) -> Iterator[Door]:
    """Have a terminal with more in its configuration, which is off at the end."""
    sections = {"segment": {"idle_s": IDLE_S}, "mqtt": broker_section(broker, folder), **more}
    terminal = Terminal(folder / "door-1", device=f"isdv4:{tablet.path}", sections=sections)
    try:
        yield Door(terminal, tablet, broker)
    finally:
        terminal.close()
