"""Backoff and negotiation: how often to try, and in which version of MQTT."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from paho.mqtt.enums import MQTTProtocolVersion as Version

from penlatch.report.backoff import FIRST_S, LONGEST_S, Backoff
from penlatch.report.negotiation import CLOSES, Negotiation

if TYPE_CHECKING:
    from collections.abc import Callable


def test_delays_double_up_to_the_longest_and_never_shrink_below_half() -> None:
    backoff = Backoff()
    limit = FIRST_S
    for _ in range(20):
        assert limit / 2 <= backoff.next() <= limit
        limit = min(2 * limit, LONGEST_S)
    assert limit == LONGEST_S


def test_success_begins_anew() -> None:
    backoff = Backoff()
    for _ in range(10):
        backoff.next()
    backoff.reset()
    assert backoff.next() <= FIRST_S


def test_terminals_do_not_try_in_step() -> None:
    assert len({Backoff().next() for _ in range(20)}) > 1


def test_version_5_comes_first_and_silence_of_a_known_broker_does_not_cost_it() -> None:
    negotiation = Negotiation()
    assert negotiation.version is Version.MQTTv5
    assert negotiation.answered()
    for _ in range(10):
        assert not negotiation.closed()
        assert not negotiation.silent()
    assert negotiation.version is Version.MQTTv5


def test_a_broker_that_knows_neither_is_not_asked_without_pause() -> None:
    negotiation = Negotiation()
    assert negotiation.unsupported()
    assert negotiation.stepped_down
    assert not negotiation.unsupported()
    assert not negotiation.stepped_down


def test_a_version_that_was_refused_is_not_asked_for_again() -> None:
    negotiation = Negotiation()
    negotiation.unsupported()
    assert negotiation.answered()
    for _ in range(10):
        negotiation.closed()
    assert negotiation.stepped_down


def test_silence_towards_both_versions_tries_them_in_turn() -> None:
    negotiation = Negotiation()
    tried = []
    for _ in range(4 * CLOSES):
        tried.append(negotiation.version)
        assert not negotiation.closed()
    assert tried == ([Version.MQTTv5] * CLOSES + [Version.MQTTv311] * CLOSES) * 2


def test_a_broker_that_was_only_starting_gets_version_5_after_all() -> None:
    negotiation = Negotiation()
    negotiation.silent()
    assert negotiation.stepped_down
    assert not negotiation.answered()
    assert negotiation.confirming
    assert negotiation.version is Version.MQTTv5
    assert negotiation.answered()
    assert not negotiation.confirming


@pytest.mark.parametrize("says", [Negotiation.closed, Negotiation.silent, Negotiation.unsupported])
def test_a_broker_that_is_awake_and_silent_again_keeps_3_1_1(says: Callable[[Negotiation], bool]) -> None:
    negotiation = Negotiation()
    negotiation.silent()
    negotiation.answered()
    assert says(negotiation)
    assert negotiation.stepped_down
    assert negotiation.answered()
    for _ in range(10):
        negotiation.silent()
    assert negotiation.stepped_down
