"""The whole main job: a signature on a pen line becomes a decision on the broker, and nothing else opens."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from typing import TYPE_CHECKING

import numpy as np
import pytest  # noqa: TC002 - the fixture type is read by pytest

from penlatch.control.client import Client
from penlatch.messages import Part
from penlatch.sim.pty_tablet import TORN_S
from support.broker import Observer
from support.leaks import leaks
from support.signing import ATTEMPTS
from support.terminal import Terminal
from support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from penlatch.sim.tablet import Isdv4Tablet
    from penlatch.sim.writer import Writer
    from support.door import Door

DECISION = "penlatch/door-1/decision"
STATE = "penlatch/door-1/state"
SPARE = 2
"""Signatures beyond the references of an enrolment, which may be refused as unlike the others."""


async def test_enrol_sign_forge_and_each_decision_reaches_a_subscriber(
    new_door: Door, ada: Writer, eve: Writer
) -> None:
    rng = np.random.default_rng(5)
    door = new_door
    async with Observer(door.broker.port) as observer:
        await asyncio.to_thread(door.switch_on)
        enrolled = await asyncio.to_thread(door.enroll, "ada", [ada.genuine(rng) for _ in range(SPARE + 5)])
        assert enrolled.status == 0, enrolled
        assert enrolled.last["outcome"] == "enrolled"

        signed = [
            await asyncio.to_thread(door.verify, "ada", trace)
            for trace in (ada.genuine(rng), ada.forgery(rng, eve), eve.genuine(rng))
        ]
        assert [acted.status for acted in signed] == [0, 1, 1], signed
        assert [acted.last["verdict"] for acted in signed] == ["match", "no_match", "no_match"]

        for acted in signed:
            message = await observer.next(DECISION, after=acted.last["seq"] - 1)
            told = dict(message.body)
            exact = acted.last["probability"]
            assert abs(told.pop("probability") - exact) < 0.0051
            assert [told[name] == acted.last[name] for name in told] == [True] * len(told)
            assert (message.qos, message.retain) == (1, False)
            assert message.body["historical"] is False
            assert message.body["latency_ms"] > 0
    assert await asyncio.to_thread(door.terminal.stop) == 0


async def test_a_scribble_is_a_retry_and_the_next_signature_counts(door: Door, ada: Writer) -> None:
    rng = np.random.default_rng(6)
    acted = await asyncio.to_thread(door.verify, "ada", ada.scribble(rng), ada.genuine(rng))
    told = [e for e in acted.events if e["kind"] == "decision"]
    assert [(d["verdict"], d["done"]) for d in told] == [("retry", False), ("match", True)]
    assert told[0]["reason"] in {"too_short", "too_few_points", "too_little_ink", "too_small"}
    assert acted.status == 0


async def test_whoever_the_machine_held_up_signs_again_when_the_terminal_asks(door: Door, ada: Writer) -> None:
    rng = np.random.default_rng(12)
    pieces = iter([(ada.scribble(rng), 2 * TORN_S), (ada.genuine(rng), 0.0)])

    def late() -> float:
        trace, late_s = next(pieces)
        return max(late_s, door.hand(trace)())

    acted = await asyncio.to_thread(door.terminal.act, "verify", "ada", hands=[late])
    assert [e["verdict"] for e in acted.events if e["kind"] == "decision"] == ["match"]
    assert not next(pieces, None)


async def test_a_pen_pulled_out_in_mid_signature_is_a_retry_and_comes_back(door: Door, ada: Writer) -> None:
    rng = np.random.default_rng(7)

    def pull_out() -> None:
        begun = ada.genuine(rng)
        door.tablet.play(begun, until_s=begun.duration / 2)
        door.tablet.unplug()
        door.tablet.plug_in()
        door.tablet.wait_started(30)

    genuine = door.hand(ada.genuine(rng))
    acted = await asyncio.to_thread(door.terminal.act, "verify", "ada", hands=[pull_out, genuine])
    told = [(e["verdict"], e["reason"]) for e in acted.events if e["kind"] == "decision"]
    assert told[0] == ("retry", "pen_lost")
    assert told[1][0] == "match"


async def test_a_request_over_mqtt_arms_the_pen(door: Door, ada: Writer) -> None:
    response = "penlatch/door-1/response/verify"
    rng = np.random.default_rng(8)
    async with Observer(door.broker.port) as observer:
        await observer.next(STATE)
        told = 0
        for _ in range(ATTEMPTS):
            observer.publish("penlatch/door-1/request/verify", json.dumps({"user": "ada", "transaction": "card-7"}))
            while (answer := (await observer.next(response, after=told)).body)["status"] == "progress":
                told += 1
                assert answer["transaction"] == "card-7"
                if answer["data"]["kind"] == "armed":
                    await asyncio.to_thread(door.hand(ada.genuine(rng)))
            told += 1
            if answer["data"]["verdict"] == "match" or not door.tablet.torn:
                break
        assert (answer["status"], answer["data"]["verdict"]) == ("ok", "match")
        decision = (await observer.next(DECISION, after=answer["data"]["seq"] - 1)).body
        assert decision == answer["data"]
        assert decision["transaction"] == "card-7"


async def test_enrolment_and_deletion_from_the_broker_are_off_by_default(door: Door) -> None:
    async with Observer(door.broker.port) as observer:
        await observer.next(STATE)
        for verb in ("enroll", "delete_user"):
            observer.publish(f"penlatch/door-1/request/{verb}", json.dumps({"user": "mallory"}))
            answer = (await observer.next(f"penlatch/door-1/response/{verb}")).body
            assert (answer["status"], answer["code"]) == ("error", "not_allowed")


async def test_birth_farewell_and_will(door: Door) -> None:
    async with Observer(door.broker.port) as observer:
        assert (await observer.next(STATE)).body["state"] == "online"
        assert await asyncio.to_thread(door.terminal.stop) == 0
        assert (await observer.next(STATE, after=1)).body["state"] == "offline"
        await asyncio.to_thread(door.terminal.start)
        birth = (await observer.next(STATE, after=2)).body
        instance = (await asyncio.to_thread(Client(door.terminal.socket).info)).instance
        assert birth == {"state": "online", "boot": 3, "conn": 1, "instance": instance}
        await asyncio.to_thread(door.terminal.kill)
        assert (await observer.next(STATE, after=3)).body == birth | {"state": "lost"}


async def test_decisions_wait_for_the_broker_and_arrive_once_in_order(door: Door, ada: Writer) -> None:
    rng = np.random.default_rng(9)
    door.broker.stop()
    for trace in (ada.genuine(rng), ada.genuine(rng)):
        signed = await asyncio.to_thread(door.verify, "ada", trace)
        assert signed.status == 0
    newest = signed.last["seq"]
    await asyncio.to_thread(door.terminal.kill)
    door.broker.start()
    async with Observer(door.broker.port) as observer:
        await asyncio.to_thread(door.terminal.start)
        await observer.next(DECISION, after=newest - 1)
        told = [message.body for message in observer.on(DECISION)]
        assert [d["seq"] for d in told] == list(range(1, newest + 1))
        assert all(d["historical"] for d in told), "a late decision must say so: nothing may open on it"


async def test_nothing_of_a_signature_is_on_the_disk_in_the_journal_or_on_the_broker(door: Door, ada: Writer) -> None:
    rng = np.random.default_rng(10)
    enrolled = ada.genuine(np.random.default_rng(0))
    signature = ada.genuine(rng)
    async with Observer(door.broker.port) as observer:
        assert (await asyncio.to_thread(door.verify, "ada", signature)).status == 0
        await observer.next(DECISION)
        told = b"".join(message.payload for message in observer.seen)
    running = b"".join(path.read_bytes() for path in door.terminal.folder.rglob("*") if path.is_file())
    door.terminal.stop()
    files = [path for path in door.terminal.folder.rglob("*") if path.is_file()]
    assert [path for path in files if path.parent.name == "backups"], "a backup is looked at, too"
    stored = b"".join(path.read_bytes() for path in files)
    for trace in (enrolled, signature):
        for data in (told, running, stored):
            assert leaks(trace, data) == []
    # What is looked for would be found.
    assert leaks(signature, signature.to_bytes())
    assert "tilt" not in door.terminal.log()
    with sqlite3.connect(door.terminal.database) as database:
        sealed = [bytes(row[0]) for row in database.execute('SELECT sealed FROM "references"')]
    assert len(sealed) == 5
    assert all(_entropy_bits(blob) > 7.5 for blob in sealed), "references are not sealed"


async def test_its_own_bolt_opens_for_a_match_and_for_nobody_else(
    new_door: Door, ada: Writer, eve: Writer, tmp_path: Path
) -> None:
    program, opened = tmp_path / "open", tmp_path / "opened"
    program.write_text(f'#!/bin/sh\necho "$PENLATCH_USER $PENLATCH_SEQ" >> {opened}\n')
    program.chmod(0o700)
    with new_door.terminal.config.open("a", encoding="utf-8") as config:
        config.write(f'[bolt]\ncommand = ["{program}"]\n')
    new_door.knows("ada", ada)
    rng = np.random.default_rng(11)
    try:
        new_door.switch_on()
        forged = await asyncio.to_thread(new_door.verify, "ada", eve.genuine(rng), purpose="door")
        checked = await asyncio.to_thread(new_door.verify, "ada", ada.genuine(rng), purpose="check")
        genuine = await asyncio.to_thread(new_door.verify, "ada", ada.genuine(rng), purpose="door")
        assert [a.last["verdict"] for a in (forged, checked, genuine)] == ["no_match", "match", "match"]
        await eventually(opened.exists)
        assert Client(new_door.terminal.socket).status().bolt == Part(ok=True, detail="shut")
    finally:
        new_door.terminal.close()
    assert opened.read_text() == f"ada {genuine.last['seq']}\n"


async def test_altered_models_verify_nobody(tmp_path: Path, door: Door, ada: Writer) -> None:
    door.terminal.stop()
    from penlatch.verify.artefacts import default_directory  # noqa: PLC0415 - only this test wants the files

    altered = tmp_path / "models"
    altered.mkdir()
    for path in default_directory().iterdir():
        if path.is_file():
            (altered / path.name).write_bytes(path.read_bytes())
    model = altered / "bilstm_se.tflite"
    damaged = bytearray(model.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    model.write_bytes(damaged)
    door.terminal.stop()
    config = door.terminal.config
    config.write_text(config.read_text() + f'[verify]\nmodels = "{altered}"\n')
    door.switch_on()
    acted = await asyncio.to_thread(door.verify, "ada", ada.genuine(np.random.default_rng(1)))
    assert acted.status == 3
    assert (acted.last["verdict"], acted.last["reason"]) == ("error", "model")
    status = door.terminal.command("status", "--json")
    health = json.loads(status.stdout)
    assert health["ok"] is False
    assert "bilstm_se.tflite" in health["models"]["detail"]


async def test_a_broken_database_is_told_and_verifies_nobody(door: Door) -> None:
    door.terminal.stop()
    door.terminal.database.write_bytes(b"no database at all" * 1000)
    door.terminal.start()
    assert door.verify("ada").status == 3
    health = json.loads(door.terminal.command("status", "--json").stdout)
    assert health["store"]["ok"] is False


async def test_the_watchdog_is_fed_while_all_goes_well(
    tmp_path: Path, tablet: Isdv4Tablet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    with Terminal(tmp_path / "door-1", device=f"isdv4:{tablet.path}") as terminal:
        for _ in range(3):
            terminal.wait_notified("WATCHDOG=1", 30)


async def test_a_second_daemon_on_the_same_state_refuses_to_open(door: Door) -> None:
    other = Terminal(door.terminal.folder / "other", device=f"isdv4:{door.tablet.path}-none")
    other.config.write_text(other.config.read_text().replace(str(other.database), str(door.terminal.database)))
    with other:
        health = json.loads(other.command("status", "--json").stdout)
        assert health["store"]["ok"] is False


def _entropy_bits(blob: bytes) -> float:
    share = np.bincount(np.frombuffer(blob, dtype=np.uint8), minlength=256) / len(blob)
    return float(-(share[share > 0] * np.log2(share[share > 0])).sum())
