"""A signal ends the demo where that is allowed, once; before and after it is remembered."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from penlatch.sim.demo.interrupts import HEARD, Interrupts

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    before = {number: signal.getsignal(number) for number in HEARD}
    interrupts = Interrupts()
    interrupts.listen()
    yield interrupts
    for number, handler in before.items():
        signal.signal(number, handler)


def test_one_inside_ends_the_block_and_later_ones_change_nothing(interrupts: Interrupts) -> None:
    with pytest.raises(KeyboardInterrupt), interrupts.allowed():
        os.kill(os.getpid(), signal.SIGINT)
    for number in HEARD:
        os.kill(os.getpid(), number)


def test_one_before_ends_the_block_at_its_begin(interrupts: Interrupts) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), interrupts.allowed():
        raise AssertionError("it began")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_others_end_it_with_a_status_that_names_them(interrupts: Interrupts, number: signal.Signals) -> None:
    with pytest.raises(SystemExit) as ended, interrupts.allowed():
        os.kill(os.getpid(), number)
    assert ended.value.code == 128 + number


def test_one_after_changes_nothing(interrupts: Interrupts) -> None:
    with interrupts.allowed():
        pass
    os.kill(os.getpid(), signal.SIGINT)


def test_in_the_end_they_are_ignored_by_the_interpreter_too(interrupts: Interrupts) -> None:
    interrupts.deafen()
    assert {signal.getsignal(number) for number in HEARD} == {signal.SIG_IGN}
