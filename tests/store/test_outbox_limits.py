"""The outbox has an end: what it has no room for is dropped, oldest first, and never in silence."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from penlatch.store import journal
from penlatch.store.store import Limits, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from penlatch.messages import DecisionDraft
    from penlatch.store.vault import Vault

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def small(path: Path, vault: Vault) -> Iterator[Store]:
    """A store whose outbox holds three decisions, of at most a day."""
    store = Store.open(path, vault, Limits(decisions=3, age=timedelta(days=1)))
    yield store
    store.close()


@pytest.fixture
def clock_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "synchronised", lambda: True)


def at(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def waiting(store: Store) -> list[int]:
    return [made.decision.seq for made in store.pending(limit=99)]


def drops(path: Path) -> list[dict[str, int]]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT body FROM audit WHERE kind = 'dropped' ORDER BY number").fetchall()
    return [msgspec.json.decode(body) for (body,) in rows]


def test_of_more_than_it_holds_the_oldest_go(
    small: Store, path: Path, draft: Callable[..., DecisionDraft], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        small.record(draft(time=at(NOW)))
    assert waiting(small) == [3, 4, 5]
    assert small.dropped() == 2
    assert drops(path) == [{"count": 1, "first": 1, "last": 1}, {"count": 1, "first": 2, "last": 2}]
    assert "decisions 2 to 2 will never reach the broker" in caplog.text
    assert [decision.seq for decision in small.decisions(limit=9)] == [5, 4, 3, 2, 1]


def test_what_was_delivered_is_not_dropped(small: Store, draft: Callable[..., DecisionDraft]) -> None:
    for seq in range(1, 9):
        small.record(draft(time=at(NOW)))
        small.delivered(seq)
    assert (waiting(small), small.dropped()) == ([], 0)


@pytest.mark.usefixtures("clock_is_right")
def test_what_is_too_old_goes(small: Store, path: Path, draft: Callable[..., DecisionDraft]) -> None:
    small.record(draft(time=at(NOW)))
    small.record(draft(time=at(NOW + timedelta(hours=2))))
    small.record(draft(time=at(NOW + timedelta(hours=25))))
    assert waiting(small) == [2, 3]
    assert drops(path) == [{"count": 1, "first": 1, "last": 1}]


def test_nothing_is_too_old_while_nobody_keeps_the_clock_right(
    small: Store, draft: Callable[..., DecisionDraft], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "synchronised", lambda: False)
    small.record(draft(time=at(NOW)))
    small.record(draft(time=at(NOW + timedelta(days=9000))))
    assert waiting(small) == [1, 2]


@pytest.mark.usefixtures("clock_is_right")
@pytest.mark.parametrize("time", ["", "yesterday", "0001-01-01T00:00:00.000Z"])
def test_a_time_that_is_none_makes_nothing_old(small: Store, draft: Callable[..., DecisionDraft], time: str) -> None:
    small.record(draft(time=at(NOW)))
    small.record(draft(time=time))
    assert waiting(small) == [1, 2]


def test_it_can_be_made_smaller(path: Path, vault: Vault, draft: Callable[..., DecisionDraft]) -> None:
    store = Store.open(path, vault)
    for _ in range(10):
        store.record(draft())
    store.close()
    store = Store.open(path, vault, Limits(decisions=2))
    store.record(draft())
    assert waiting(store) == [10, 11]
    assert drops(path) == [{"count": 9, "first": 1, "last": 9}]
    store.close()
