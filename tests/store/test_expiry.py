"""Expiry: old decisions go in the order of their numbers, the audit says which, and no wrong clock takes a new one."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penlatch.errors import StoreError
from penlatch.store import expiry
from penlatch.store.expiry import last_old
from penlatch.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penlatch.messages import DecisionDraft
    from penlatch.store.vault import Vault

    Draft = Callable[..., DecisionDraft]

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
KEEP = timedelta(days=400)
OLD, NEW, UNSET, AHEAD = 500, 10, 20_000, -3000
"""Days before `NOW`."""


def at(days: float) -> str:
    return (NOW - timedelta(days=days)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def filled(store: Store, draft: Draft, *days: float, told: bool = True) -> None:
    for age in days:
        decision = store.record(draft(time=at(age)))
        if told:
            store.delivered(decision.seq)


def numbers(store: Store) -> list[int]:
    return [decision.seq for decision in reversed(store.decisions(limit=9999))]


def expired(path: Path) -> list[dict[str, int]]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT body FROM audit WHERE kind = 'expired' ORDER BY number").fetchall()
    return [msgspec.json.decode(body) for (body,) in rows]


def test_what_is_older_goes_and_the_audit_says_which(store: Store, draft: Draft, path: Path, vault: Vault) -> None:
    filled(store, draft, 500, 450, 401, 399, 10, 0)
    assert store.decisions_from() == 1
    assert store.expire(keep=KEEP, now=NOW) == 3
    assert (numbers(store), store.decisions_from()) == ([4, 5, 6], 4)
    assert expired(path) == [{"first": 1, "last": 3, "count": 3}]
    assert store.expire(keep=KEEP, now=NOW) == 0
    store.check_audit()
    assert store.record(draft()).seq == 7
    store.close()
    again = Store.open(path, vault)
    again.check_audit()
    assert again.expire(keep=KEEP, now=NOW + timedelta(days=3)) == 1
    again.check_audit()
    again.close()


def test_an_empty_one_says_which_number_comes_next(store: Store, draft: Draft) -> None:
    assert store.decisions_from() == 1
    filled(store, draft, OLD, OLD)
    assert store.expire(keep=KEEP, now=NOW) == 2
    assert (numbers(store), store.decisions_from()) == ([], 3)


def test_none_goes_that_waits_for_the_broker_nor_any_behind_it(store: Store, draft: Draft) -> None:
    filled(store, draft, OLD, OLD)
    filled(store, draft, OLD, told=False)
    filled(store, draft, OLD, OLD)
    assert store.expire(keep=KEEP, now=NOW) == 2
    assert store.expire(keep=KEEP, now=NOW) == 0
    assert numbers(store) == [3, 4, 5]
    store.delivered(3)
    assert store.expire(keep=KEEP, now=NOW) == 3
    store.check_audit()


@pytest.mark.parametrize(
    ("ages", "gone"),
    [
        ((OLD, NEW, OLD), 1),  # set back after 2: 3 is newer than 2, whatever it says
        ((NEW, UNSET, UNSET), 0),
        ((UNSET, UNSET), 0),  # a board whose clock was never set decided them, perhaps an hour ago
        ((OLD, UNSET), 1),
        ((UNSET, OLD, UNSET), 2),  # 1 is older than 2, which is old
        ((AHEAD, OLD, AHEAD), 2),
        ((AHEAD, AHEAD), 0),
        ((AHEAD, NEW), 0),
        ((OLD, OLD, NEW, NEW), 2),
        ((), 0),
    ],
)
def test_a_clock_that_was_wrong_takes_nothing_new(
    store: Store, draft: Draft, ages: tuple[float, ...], gone: int
) -> None:
    filled(store, draft, *ages)
    assert store.expire(keep=KEEP, now=NOW) == gone
    assert numbers(store) == list(range(gone + 1, len(ages) + 1))
    store.check_audit()


@given(st.lists(st.sampled_from([OLD, NEW, UNSET, AHEAD]), max_size=12))
def test_nothing_goes_at_or_behind_the_first_that_is_new(ages: list[int]) -> None:
    found = last_old([(seq, at(age)) for seq, age in enumerate(ages, 1)], oldest=at(400), now=at(0))
    first_new = next((seq for seq, age in enumerate(ages, 1) if age == NEW), len(ages) + 1)
    old = [seq for seq, age in enumerate(ages, 1) if age == OLD and seq < first_new]
    assert found == (max(old) if old else None)


def test_the_work_of_one_call_is_bounded(store: Store, draft: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "BATCH", 4)
    monkeypatch.setattr(expiry, "LOOK_AHEAD", 8)
    filled(store, draft, *[UNSET] * 5, *[OLD] * 5, NEW)
    assert [store.expire(keep=KEEP, now=NOW) for _ in range(4)] == [4, 4, 2, 0]
    assert numbers(store) == [11]
    store.check_audit()


def test_a_decision_that_did_not_expire_is_still_missed(store: Store, draft: Draft, path: Path, vault: Vault) -> None:
    filled(store, draft, OLD, OLD, NEW, NEW)
    store.expire(keep=KEEP, now=NOW)
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM decisions WHERE seq = 3")
    connection.close()
    with pytest.raises(StoreError, match="decision 3"):
        Store.open(path, vault)


@pytest.mark.parametrize("forged", ["entry", "kind", "number"])
def test_nobody_without_the_key_explains_a_missing_decision_away(
    store: Store, draft: Draft, path: Path, vault: Vault, forged: str
) -> None:
    filled(store, draft, OLD, OLD, NEW, NEW)
    store.expire(keep=KEEP, now=NOW)
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM decisions")
        if forged == "number":
            connection.execute("UPDATE meta SET value = 2 WHERE name = 'expired'")
        elif forged == "entry":
            connection.execute("""UPDATE audit SET body = '{"count":4,"first":1,"last":4}' WHERE kind = 'expired'""")
        else:
            connection.execute("UPDATE audit SET kind = 'expired' WHERE number = 2")
            connection.execute("UPDATE meta SET value = 2 WHERE name = 'expired'")
    connection.close()
    with pytest.raises(StoreError, match=r"audit|decision"):
        Store.open(path, vault)
