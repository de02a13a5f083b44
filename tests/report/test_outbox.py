"""The outbox on its way out: what is late says so, by the clock that nobody sets."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penlatch.moment import Clocks, Made, Moment
from penlatch.report.outbox import Drain, is_historical
from support.examples import BOOT
from support.outboxes import MemoryOutbox, recent

if TYPE_CHECKING:
    from collections.abc import Callable

    from penlatch.report.delivery import Delivery

KERNEL = "this start"


def made() -> Made:
    return Made(recent(1), Moment(KERNEL, 1000.0))


def at(row: Made, *, later_s: float = 0.0, step_s: float = 0.0, kernel: str = KERNEL) -> Clocks:
    """Return the clocks `later_s` after a decision, whose time of day was set by `step_s` meanwhile."""
    time = datetime.fromisoformat(row.decision.time)
    return Clocks(
        moment=lambda: Moment(kernel, row.at.s + later_s), now=lambda: time + timedelta(seconds=later_s + step_s)
    )


@given(st.floats(min_value=0, max_value=1e6, allow_nan=False))
def test_a_decision_is_historical_when_it_is_old(age_s: float) -> None:
    row = made()
    gone_s = timedelta(seconds=age_s).total_seconds()
    assert is_historical(row, boot=BOOT, clocks=at(row, later_s=gone_s), after_s=10) == (gone_s > 10)


@given(st.floats(10.01, 1e6), st.floats(-2e6, 2e6))
def test_a_match_that_was_held_back_is_never_fresh_however_the_clock_was_set(age_s: float, step_s: float) -> None:
    row = made()
    assert is_historical(row, boot=BOOT, clocks=at(row, later_s=age_s, step_s=step_s), after_s=10)


@pytest.mark.parametrize("step_s", [-10.5, 10.5, 1e6])
def test_a_decision_is_historical_while_the_time_of_day_disagrees(step_s: float) -> None:
    row = made()
    assert is_historical(row, boot=BOOT, clocks=at(row, step_s=step_s), after_s=10)


def test_one_of_another_start_of_daemon_or_kernel_is_historical() -> None:
    row = made()
    assert is_historical(row, boot=BOOT + 1, clocks=at(row), after_s=10)
    assert is_historical(row, boot=BOOT, clocks=at(row, kernel="the next start"), after_s=10)
    assert not is_historical(row, boot=BOOT, clocks=at(row), after_s=10)


@pytest.mark.parametrize("time", ["", "yesterday", "2026-01-01T00:00:00"])
def test_a_decision_without_a_proper_time_is_historical(time: str) -> None:
    row = made()
    nowhen = Made(msgspec.structs.replace(row.decision, time=time), row.at)
    assert is_historical(nowhen, boot=BOOT, clocks=at(row), after_s=10)


async def test_one_that_waited_for_its_turn_says_so_when_it_leaves() -> None:
    """The window of the broker is full when it is handed over, and has room 60 s later."""
    later_s = 0.0
    row = made()
    sent: list[bytes | Callable[[], bytes]] = []
    clocks = Clocks(moment=lambda: at(row, later_s=later_s).moment(), now=lambda: at(row, later_s=later_s).now())

    class Full:
        def publish(self, _topic: str, payload: bytes | Callable[[], bytes]) -> asyncio.Future[Delivery]:
            sent.append(payload)
            return asyncio.get_running_loop().create_future()

    drain = Drain(MemoryOutbox(), topic="t", boot=BOOT, historical_after_s=10, problem=lambda *_: None, clocks=clocks)
    drain._send(Full(), row)  # type: ignore[arg-type] # a connection without a broker
    (payload,) = sent
    assert callable(payload)
    assert historical(payload()) is False
    later_s = 60.0
    assert historical(payload()) is True


def historical(payload: bytes) -> Any:
    return msgspec.json.decode(payload)["historical"]
