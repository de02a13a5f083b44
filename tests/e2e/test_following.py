"""A template that follows its person, on the real daemon: a month later one signature is learned, and dropped again."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from penlatch.store.vault import Vault
from support.altering import rewrite
from support.broker import Observer
from support.waiting import eventually

if TYPE_CHECKING:
    from penlatch.sim.writer import Writer
    from support.door import Door

ATTEMPTS = 6


def shown(door: Door) -> dict[str, Any]:
    """What `penlatch user show ada` says."""
    user: dict[str, Any] = json.loads(door.terminal.command("user", "show", "ada", "--json").stdout)
    return user


def origins(door: Door) -> list[tuple[str, int]]:
    return [(sitting["origin"], sitting["references"]) for sitting in shown(door)["sittings"]]


async def test_a_month_later_one_signature_is_learned_and_dropped_again(door: Door, ada: Writer) -> None:
    rng = np.random.default_rng(21)
    async with Observer(door.broker.port) as observer:
        await asyncio.to_thread(door.terminal.stop)
        path = door.terminal.database
        vault = Vault.load(database=path, environment={})
        rewrite(path, vault, "UPDATE users SET changed = '2020-01-01T00:00:00.000Z'")
        await asyncio.to_thread(door.switch_on)
        for _ in range(ATTEMPTS):
            acted = await asyncio.to_thread(door.verify, "ada", ada.genuine(rng))
            if acted.last["reason"] == "agrees" and acted.last["probability"] > 0.9:
                break
        await eventually(lambda: ("adapted", 1) in origins(door))
        assert origins(door) == [("enrolled", 5), ("adapted", 1)]
        told = (await observer.next("penlatch/door-1/decision", after=acted.last["seq"] - 1)).body
        assert [found["excess"] for found in told["reasons"]] == sorted(
            (found["excess"] for found in told["reasons"]), reverse=True
        )
    assert f"adapted ada: the signature of decision {acted.last['seq']} became a reference" in door.terminal.log()

    door.terminal.kill()
    await asyncio.to_thread(door.switch_on)
    assert origins(door) == [("enrolled", 5), ("adapted", 1)], "it survives a power cut"
    reverted = door.terminal.command("user", "revert", "ada", "--yes", "--json")
    assert json.loads(reverted.stdout)["dropped"] == 1
    assert origins(door) == [("enrolled", 5)]
    assert (await asyncio.to_thread(door.verify, "ada", ada.genuine(rng))).last["verdict"] in {"match", "no_match"}
