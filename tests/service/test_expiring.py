"""Expiring: batch after batch until nothing is left, then info says what is still here; a fault ends nothing."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from penlatch import clock
from penlatch.config import Config, Store
from penlatch.errors import StoreError
from penlatch.messages import Action, DecisionDraft, Reason, Verdict
from penlatch.service import expiring
from penlatch.service.expiring import expire_for_ever
from penlatch.service.judge import Judge
from support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path


async def test_it_goes_on_until_nothing_is_left_and_then_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiring, "PAUSE_S", 0.0)
    monkeypatch.setattr(expiring, "LOOK_S", 0.01)
    left: list[int | StoreError] = [500, 500, StoreError(path="db", problem="busy"), 3, 0, 0, 0]
    told: list[int] = []

    async def batch() -> int:
        step = left.pop(0) if left else 0
        if isinstance(step, StoreError):
            raise step
        return step

    async def done() -> None:
        told.append(len(left))

    task = asyncio.create_task(expire_for_ever(batch, done=done))
    await eventually(lambda: not left)
    task.cancel()
    assert told == [2]


@pytest.mark.parametrize("right", [False, True])
def test_only_a_clock_that_is_kept_right_takes_decisions_away(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    right: bool,  # noqa: FBT001 - of the test
) -> None:
    monkeypatch.setattr(clock, "synchronised", lambda: right)
    judge = Judge(Config(store=Store(path=tmp_path / "penlatch.db", keep_days=30)))
    judge.open_store()
    try:
        old = (datetime.now(UTC) - timedelta(days=31)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        store = judge._need_store()
        made = store.record(
            DecisionDraft(
                terminal="door", time=old, action=Action.VERIFY, user="ada", verdict=Verdict.MATCH, done=True,
                reason=Reason.AGREES,
            )
        )  # fmt: skip
        judge.delivered(made.seq, unheard=True)
        assert judge.counts().outbox_unheard == 1
        assert judge.expire() == int(right)
        assert judge.decisions_from() == (2 if right else 1)
        assert judge.history(made.instance, 1, 9, limit=9) == ([] if right else [made])
    finally:
        judge.close()
