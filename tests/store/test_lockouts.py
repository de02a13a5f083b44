"""Failures in the database: with their decision or not at all, and never half read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from penlatch.errors import StoreError
from penlatch.messages import Failures, NearFailure, Row, Stamp, Way
from penlatch.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penlatch.messages import DecisionDraft
    from penlatch.store.vault import Vault

STAMP = Stamp(time="2026-03-01T08:00:00.000Z", boot_id="a", uptime_s=1.5)
FAILURES = Failures(
    ways={Way.MQTT: Row(count=3, last=STAMP), Way.IDENTIFY: Row(count=1, last=STAMP)},
    near=Row(count=4, last=STAMP),
    day=(NearFailure(way=Way.MQTT, at=STAMP),),
)


def test_failures_come_back_as_they_were(path: Path, vault: Vault, draft: Callable[..., DecisionDraft]) -> None:
    store = Store.open(path, vault)
    store.record(draft(), failures={"ada": FAILURES, "": Failures(day=FAILURES.day)})
    store.close()
    store = Store.open(path, vault)
    assert store.lockouts() == {"ada": FAILURES, "": Failures(day=FAILURES.day)}
    store.close()


def test_a_decision_that_is_not_written_leaves_no_failure(store: Store, draft: Callable[..., DecisionDraft]) -> None:
    with pytest.raises(ZeroDivisionError):
        store._journal.record(draft(), failures={"ada": FAILURES}, also=lambda _: 1 / 0)  # type: ignore[arg-type]  # a fault within the transaction
    assert store.lockouts() == {}
    assert store.last_seq() == 0


@pytest.mark.parametrize("state", ["{", "[]", '{"ways": {"window": {}}}', '{"near": 3}', "[" * 100_000])
def test_failures_that_cannot_be_read_are_a_fault_and_not_none(store: Store, state: str) -> None:
    with store._database.transaction() as connection:
        connection.execute("INSERT INTO lockouts (subject, count, last, state) VALUES ('ada', 5, '', ?)", (state,))
    with pytest.raises(StoreError, match="failures"):
        store.lockouts()


def test_unlocking_leaves_a_row_without_failures(store: Store, draft: Callable[..., DecisionDraft]) -> None:
    store.record(draft(), failures={"ada": FAILURES})
    store.unlock("ada", by="uid 0", time=STAMP.time)
    assert store.lockouts() == {}
    assert store._database.rows("SELECT subject, count FROM lockouts")[0][:] == ("ada", 0)
    assert store.check_audit() == store.audit_head().number
