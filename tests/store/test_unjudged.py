"""Errors and retries: so many a day are stored, the others are counted, and judgements are always stored."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.errors import UnstoredError
from penlatch.messages import Action, DecisionDraft, Reason, Verdict
from penlatch.moment import Moment
from penlatch.store.store import Limits, Store
from penlatch.store.unjudged import DAY_S
from penlatch.store.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from penlatch.messages import Decision

PER_DAY = 5
NOON = "2026-03-01T12:00:00.000Z"


@pytest.fixture
def bounded(path: Path, vault: Vault) -> Iterator[Store]:
    """A store that keeps five errors and retries a day."""
    opened = Store.open(path, vault, Limits(unjudged=PER_DAY))
    yield opened
    opened.close()


def at(s: float, kernel: str = "this start") -> Moment:
    return Moment(kernel, s)


def after(s: float) -> str:
    return (datetime.fromisoformat(NOON) + timedelta(seconds=s)).isoformat(timespec="milliseconds")


def record(store: Store, draft: Callable[..., DecisionDraft], s: float = 0.0, **more: Any) -> Decision | None:
    """Record an error `s` after noon; return None for one that was counted and not stored."""
    moment = more.pop("made", at(s))
    way = more.pop("way", "mqtt")
    made = draft(**({"verdict": Verdict.ERROR, "reason": Reason.CANCELLED, "time": after(s)} | more))
    try:
        return store.record(made, made=moment, way=way)
    except UnstoredError:
        return None


def stored(store: Store, draft: Callable[..., DecisionDraft], count: int, s: float = 0.0, **more: Any) -> int:
    return sum(record(store, draft, s, **more) is not None for _ in range(count))


def entries(store: Store) -> list[dict[str, Any]]:
    rows = store._database.rows("SELECT body FROM audit WHERE kind = 'unjudged' ORDER BY number")
    return [msgspec.json.decode(row["body"]) for row in rows]


def test_so_many_are_stored_and_the_others_are_counted(bounded: Store, draft: Callable[..., DecisionDraft]) -> None:
    assert stored(bounded, draft, 20) == PER_DAY
    assert bounded.unstored() == 15
    assert bounded.last_seq() == PER_DAY
    assert len(bounded.pending(limit=99)) == PER_DAY
    bounded.check_audit()


def test_one_that_is_not_stored_says_which_it_was(bounded: Store, draft: Callable[..., DecisionDraft]) -> None:
    stored(bounded, draft, PER_DAY, way="")
    with pytest.raises(UnstoredError) as caught:
        bounded.record(draft(verdict=Verdict.ERROR, reason=Reason.TIMEOUT), made=at(0))
    assert (caught.value.code, caught.value.verdict, caught.value.reason) == ("unavailable", "error", "timeout")


def test_errors_and_retries_count_together(bounded: Store, draft: Callable[..., DecisionDraft]) -> None:
    assert stored(bounded, draft, 3) == 3
    assert stored(bounded, draft, 9, verdict=Verdict.RETRY, reason=Reason.TOO_SMALL, done=False) == 2


@pytest.mark.parametrize("verdict", [Verdict.MATCH, Verdict.NO_MATCH])
def test_what_was_judged_is_always_stored_under_the_next_number(
    bounded: Store, draft: Callable[..., DecisionDraft], verdict: Verdict
) -> None:
    stored(bounded, draft, 20)
    judged = [record(bounded, draft, verdict=verdict, reason=Reason.SHAPE) for _ in range(20)]
    assert [decision.seq for decision in judged if decision] == list(range(PER_DAY + 1, PER_DAY + 21))


def test_a_flood_of_one_way_leaves_room_for_the_others(bounded: Store, draft: Callable[..., DecisionDraft]) -> None:
    stored(bounded, draft, 1000, way="mqtt")
    assert stored(bounded, draft, 20, way="local") == stored(bounded, draft, 20, way="pad") == PER_DAY


def test_the_audit_says_when_the_bound_was_reached_and_how_many_came_after(
    bounded: Store, draft: Callable[..., DecisionDraft]
) -> None:
    stored(bounded, draft, 12)
    assert entries(bounded) == [{"way": "mqtt", "stored": PER_DAY}]
    assert record(bounded, draft, DAY_S) is not None
    assert entries(bounded)[1:] == [{"way": "mqtt", "since": after(0), "stored": PER_DAY, "beyond": 7}]
    assert bounded.unstored() == 0


def test_a_day_that_is_over_is_told_without_another_error(bounded: Store, draft: Callable[..., DecisionDraft]) -> None:
    ago = Moment.now()
    stored(bounded, draft, 12, made=Moment(ago.kernel, ago.s - DAY_S))
    bounded.heartbeat()
    assert bounded.unstored() == 0
    assert [entry.get("beyond") for entry in entries(bounded)] == [None, 7]


def test_a_new_day_has_its_own_bound(bounded: Store, draft: Callable[..., DecisionDraft]) -> None:
    assert [stored(bounded, draft, 20, s) for s in (0, DAY_S - 1, DAY_S, 2 * DAY_S - 1, 2 * DAY_S)] == [5, 0, 5, 0, 5]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.floats(0, DAY_S / 20), st.integers(-(10**8), 10**8)), max_size=15))
def test_no_setting_of_the_time_of_day_begins_a_new_day(
    tmp_path_factory: pytest.TempPathFactory, settings: list[tuple[float, int]]
) -> None:
    path = tmp_path_factory.mktemp("clock") / "penlatch.db"
    store = Store.open(path, Vault.load(database=path, environment={}), Limits(unjudged=PER_DAY))

    def draft(**changed: Any) -> DecisionDraft:
        usual: dict[str, Any] = {"terminal": "door-1", "action": Action.VERIFY, "user": "ada", "done": True}
        return DecisionDraft(**(usual | changed))

    s, count = 0.0, 0
    for passed_s, set_s in settings:
        s += passed_s
        count += stored(store, draft, 2, s, time=after(s + set_s))
    assert count <= PER_DAY
    store.close()


def test_a_new_start_of_the_kernel_goes_on_counting(bounded: Store, draft: Callable[..., DecisionDraft]) -> None:
    assert stored(bounded, draft, 3) == 3
    assert stored(bounded, draft, 9, 60, made=at(7.0, "the next start")) == 2
    assert stored(bounded, draft, 9, 120, made=at(5.0, "a third")) == 0
    assert stored(bounded, draft, 9, DAY_S + 1, made=at(5.0, "a fourth")) == PER_DAY


def test_a_restart_of_the_daemon_goes_on_counting(
    path: Path, vault: Vault, draft: Callable[..., DecisionDraft]
) -> None:
    for expected in (PER_DAY, 0, 0):
        store = Store.open(path, vault, Limits(unjudged=PER_DAY))
        assert stored(store, draft, 9) == expected
        store.close()


def test_a_flood_adds_a_bounded_number_of_rows(bounded: Store, draft: Callable[..., DecisionDraft]) -> None:
    stored(bounded, draft, 2000)
    count = """SELECT (SELECT count(*) FROM decisions), (SELECT count(*) FROM outbox), (SELECT count(*) FROM audit),
        (SELECT count(*) FROM unjudged)"""
    # Two entries more: a start, and the bound.
    assert tuple(bounded._database.rows(count)[0]) == (PER_DAY, PER_DAY, PER_DAY + 2, 1)
