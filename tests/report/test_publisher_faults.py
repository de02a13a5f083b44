"""What becomes of decisions when broker, line or account fail: each arrives at least once, in order; all is told."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import TYPE_CHECKING

from penlatch.errors import StoreError
from penlatch.report import connection
from penlatch.report.backoff import Backoff
from support.broker import CONSUMER, TERMINAL, Observer, free_port
from support.examples import BOOT
from support.outboxes import MemoryOutbox, recent
from support.proxy import Line
from support.waiting import eventually

if TYPE_CHECKING:
    import pytest

    from penlatch.report.publisher import Publisher
    from support.broker import Mosquitto
    from support.fixtures import Launch, MakeBroker

DECISION = "penlatch/door/decision"
STATE = "penlatch/door/state"


async def settled(publisher: Publisher) -> None:
    """Wait until everything said so far is acknowledged."""
    await eventually(lambda: publisher.connected and not publisher._connection._in_flight)  # type: ignore[union-attr] # connected


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def numbers(observer: Observer) -> list[int]:
    return [seen.body["seq"] for seen in observer.on(DECISION)]


async def test_a_cut_line_makes_the_broker_say_lost_and_the_next_birth_counts_on(
    broker: Mosquitto, launch: Launch
) -> None:
    async with Line(broker.port) as line, Observer(broker.port) as observer:
        publisher = launch(line.port)
        await publisher.start()
        await observer.next(STATE)
        line.cut()
        lost = await observer.next(STATE, after=1)
        again = await observer.next(STATE, after=2)
    assert lost.body == {"state": "lost", "boot": BOOT, "conn": 1}
    assert lost.qos == 1
    assert again.body == {"state": "online", "boot": BOOT, "conn": 2}


async def test_the_will_is_retained(broker: Mosquitto, launch: Launch) -> None:
    async with Line(broker.port) as line, Observer(broker.port) as observer:
        publisher = launch(line.port)
        await publisher.start()
        await observer.next(STATE)
        line.answers.clear()  # so that no new birth follows
        line.cut()
        await observer.next(STATE, after=1)
        async with Observer(broker.port) as late:
            assert (await late.next(STATE)).retain
            assert late.on(STATE)[0].body["state"] == "lost"


async def test_what_was_in_flight_when_the_line_broke_is_sent_again_in_order(broker: Mosquitto, launch: Launch) -> None:
    outbox = MemoryOutbox()
    async with Line(broker.port) as line, Observer(broker.port) as observer:
        publisher = launch(line.port, outbox=outbox)
        await publisher.start()
        await settled(publisher)
        line.answers.clear()  # the broker takes decisions, and we never hear of it
        outbox.add(*(recent(seq) for seq in range(1, 31)))
        publisher.wake()
        await observer.until(lambda _: len(numbers(observer)) == 20)
        assert outbox.delivered_order == []
        line.cut()
        line.answers.set()
        await eventually(lambda: not outbox.rows)
        await observer.until(lambda _: len(numbers(observer)) == 50)
    assert numbers(observer) == [*range(1, 21), *range(1, 31)]


async def test_no_more_than_twenty_decisions_are_in_flight(broker: Mosquitto, launch: Launch) -> None:
    outbox = MemoryOutbox()
    async with Line(broker.port) as line, Observer(broker.port) as observer:
        publisher = launch(line.port, outbox=outbox)
        await publisher.start()
        await settled(publisher)
        line.answers.clear()
        outbox.add(*(recent(seq) for seq in range(1, 101)))
        publisher.wake()
        await observer.until(lambda _: len(numbers(observer)) == 20)
        observer.publish("mark", "")
        await observer.next("mark")
        assert numbers(observer) == list(range(1, 21))


async def test_decisions_taken_while_the_broker_is_away_are_drained_in_order(broker: Mosquitto, launch: Launch) -> None:
    outbox = MemoryOutbox()
    publisher = launch(broker.port, outbox=outbox)
    await publisher.start()
    await eventually(lambda: publisher.connected)
    broker.stop()
    await eventually(lambda: not publisher.connected)
    assert not publisher.health().ok
    for seq in range(1, 61):
        outbox.add(recent(seq))
        publisher.wake()
    await asyncio.sleep(0)
    assert len(outbox.rows) == 60
    broker.start()
    async with Observer(broker.port) as observer:  # it may have missed some of them
        await eventually(lambda: not outbox.rows)
        assert outbox.delivered_order == list(range(1, 61))
        assert numbers(observer) == sorted(numbers(observer))


async def distinct(observer: Observer, *, least: int) -> None:
    """Wait until so many different decisions were seen."""
    await observer.until(lambda _: len(set(numbers(observer))) >= least)


async def test_every_decision_is_seen_however_often_the_line_breaks(
    broker: Mosquitto, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Backoff, "next", lambda _self: 0.01)
    outbox = MemoryOutbox()
    async with Line(broker.port) as line, Observer(broker.port) as observer:
        publisher = launch(line.port, outbox=outbox)
        await publisher.start()
        for cut in range(1, 11):
            outbox.add(*(recent(seq) for seq in range(100 * cut - 99, 100 * cut + 1)))
            publisher.wake()
            await distinct(observer, least=100 * cut - 50)
            line.cut()
        await eventually(lambda: not outbox.rows)
        await observer.until(lambda _: set(numbers(observer)) == set(range(1, 1001)))
    assert len(numbers(observer)) <= 1000 + 10 * 20, "a cut doubles no more than what was in flight"
    assert line.connections >= 10


async def test_a_killed_broker_takes_nothing_out_of_the_outbox_but_what_it_acknowledged(
    broker: Mosquitto, launch: Launch
) -> None:
    outbox = MemoryOutbox(*(recent(seq) for seq in range(1, 1001)))
    publisher = launch(broker.port, outbox=outbox)
    async with Observer(broker.port) as observer:
        await publisher.start()
        await observer.until(lambda _: len(numbers(observer)) >= 50)
        broker.kill()
        await eventually(lambda: not publisher.connected)
        left = sorted(outbox.rows)
        assert left == list(range(left[0], 1001))
        assert outbox.delivered_order == list(range(1, left[0]))
    broker.start()
    await eventually(lambda: not outbox.rows)
    assert outbox.delivered_order == list(range(1, 1001))


async def test_a_frozen_broker_is_given_up(broker: Mosquitto, launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ACK_TIMEOUT_S", 0.2)
    outbox = MemoryOutbox()
    publisher = launch(broker.port, outbox=outbox)
    await publisher.start()
    await eventually(lambda: publisher.connected)
    broker.pause()
    outbox.add(recent(1))
    publisher.wake()
    await eventually(lambda: "no acknowledgement" in publisher.last_error)
    assert not publisher.connected
    broker.resume()
    await eventually(lambda: not outbox.rows)


async def test_a_refused_decision_is_kept_and_told_and_tried_again(make_broker: MakeBroker, launch: Launch) -> None:
    rights = f"user {TERMINAL[0]}\ntopic read penlatch/door/request/+\ntopic write penlatch/door/state\n"
    broker = make_broker(acl=f"{rights}user {CONSUMER[0]}\ntopic readwrite #\n")
    outbox = MemoryOutbox(recent(1), recent(2))
    publisher = launch(broker.port, outbox=outbox)
    async with Observer(broker.port) as observer:
        await publisher.start()
        await observer.next(STATE)
        await eventually(lambda: publisher.last_error)
        assert "refused decision" in publisher.last_error
        assert "Not authorized" in publisher.last_error
        assert publisher.connected
        assert not publisher.health().ok
        assert sorted(outbox.rows) == [1, 2]
        assert numbers(observer) == []

        (broker.folder / "acl").write_text(f"{rights}topic write {DECISION}\nuser {CONSUMER[0]}\ntopic readwrite #\n")
        broker.reload()
        await eventually(lambda: not outbox.rows)
        assert outbox.delivered_order == [1, 2]
        await eventually(lambda: not publisher.last_error)


async def test_a_wrong_password_is_never_a_connection(broker: Mosquitto, launch: Launch) -> None:
    publisher = launch(broker.port, username=CONSUMER[0])
    await publisher.start()
    await eventually(lambda: publisher.last_error)
    assert not publisher.connected
    assert "refused the connection" in publisher.last_error
    assert "Not authorized" in publisher.last_error


async def test_the_password_is_read_anew_at_every_try(
    broker: Mosquitto, launch: Launch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("secrets") / "password"
    publisher = launch(broker.port, password_file=path)
    await publisher.start()
    await eventually(lambda: publisher.last_error)
    assert "No such file" in publisher.last_error
    assert str(path) in publisher.last_error
    path.write_text(TERMINAL[1])
    await eventually(lambda: publisher.connected)


async def test_the_password_comes_from_a_systemd_credential(
    broker: Mosquitto, launch: Launch, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("credentials")
    (folder / "mqtt.password").write_text(TERMINAL[1])
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    publisher = launch(broker.port, password_file=None)
    await publisher.start()
    await eventually(lambda: publisher.connected)


async def test_two_terminals_of_one_name_are_told_so(broker: Mosquitto, launch: Launch) -> None:
    first, second = launch(broker.port), launch(broker.port)
    errors: list[str] = []
    first._changed = lambda: errors.append(first.last_error)
    await first.start()
    await eventually(lambda: first.connected)
    await second.start()
    await eventually(lambda: any("is this terminal's name used twice?" in error for error in errors))


async def test_a_broken_database_is_told_and_survived(broker: Mosquitto, launch: Launch) -> None:
    outbox = MemoryOutbox(recent(1))
    outbox.fault = StoreError(path="penlatch.db", problem="disk I/O error")
    publisher = launch(broker.port, outbox=outbox)
    await publisher.start()
    await eventually(lambda: "disk I/O error" in publisher.last_error)
    assert publisher.connected
    outbox.fault = None
    await eventually(lambda: not outbox.rows)
    await eventually(lambda: not publisher.last_error)


async def test_a_dead_broker_fills_no_journal(
    launch: Launch, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[float] = []

    def at_once(_self: Backoff) -> float:
        tries.append(0.0)
        return 0.0

    monkeypatch.setattr(Backoff, "next", at_once)
    await launch(free_port()).start()
    await eventually(lambda: len(tries) >= 10)
    assert caplog.text.count("cannot be reached") == 1


async def test_a_fault_of_ours_costs_a_connection_and_no_more(
    broker: Mosquitto, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = MemoryOutbox(recent(1))
    pending = outbox.pending
    monkeypatch.setattr(outbox, "pending", lambda **_: 1 / 0)
    publisher = launch(broker.port, outbox=outbox)
    await publisher.start()
    await eventually(lambda: "ZeroDivisionError" in publisher.last_error)
    monkeypatch.setattr(outbox, "pending", pending)
    await eventually(lambda: not outbox.rows)


async def test_failed_tries_leak_no_files(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def at_once(_self: Backoff) -> float:
        waits.append(0.0)
        return 0.0

    monkeypatch.setattr(Backoff, "next", at_once)
    publisher = launch(free_port())
    gc.disable()
    try:
        await publisher.start()
        await eventually(lambda: len(waits) >= 5)
        before = open_files()
        await eventually(lambda: len(waits) >= 60)
        assert open_files() <= before + 4
    finally:
        gc.enable()
    await publisher.stop()
