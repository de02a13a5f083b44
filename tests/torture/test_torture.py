"""No decision is lost and none is doubled, whenever the daemon is killed and whatever else goes wrong meanwhile."""

from __future__ import annotations

import logging
import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from support.broker import mosquitto_program
from support.small_disk import NONE_HERE, may_mount
from support.torture import FAKETIME, FullDisk, JumpingClock, LockedDatabase, Result, Torture

if TYPE_CHECKING:
    from concurrent.futures import Future

    from penlatch.messages import Decision

log = logging.getLogger(__name__)

KILLS: Final = int(os.environ.get("PENLATCH_KILLS", "300"))
"""Of all terminals together; scripts/torture sets it."""
SEED: Final = int(os.environ.get("PENLATCH_SEED", "1"))
KINDS: Final = {Torture: 0.6, FullDisk: 0.13, LockedDatabase: 0.13, JumpingClock: 0.14}
"""With the share of the kills that each gets: a daemon that cannot begin is slow to kill."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[type[Torture], Future[Result]]:
    """All terminals, tortured side by side: of the time of each, most is waiting."""
    if mosquitto_program() is None:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    kinds = [kind for kind in KINDS if why_not(kind) is None]
    whole = sum(KINDS[kind] for kind in kinds)
    with ThreadPoolExecutor(len(kinds)) as pool:
        return {
            kind: pool.submit(
                kind(tmp_path_factory.mktemp(kind.__name__), seed=SEED + n).run, math.ceil(KILLS * KINDS[kind] / whole)
            )
            for n, kind in enumerate(kinds)
        }


def why_not(kind: type[Torture]) -> str | None:
    """Return why this kind cannot be had here."""
    if kind is FullDisk and not may_mount():
        return NONE_HERE
    if kind is JumpingClock and not FAKETIME.exists():
        return "libfaketime is missing: apt-get install faketime"
    return None


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def result(request: pytest.FixtureRequest, results: dict[type[Torture], Future[Result]]) -> Result:
    """What one of them came to."""
    if problem := why_not(request.param):
        pytest.skip(problem)
    found = results[request.param].result()
    log.info("%s: %s", request.param.__name__, found)
    return found


def fact(decision: Decision) -> Decision:
    """A decision but for how late it was told."""
    return msgspec.structs.replace(decision, historical=False)


def test_every_decision_is_told_and_none_is_two(result: Result) -> None:
    assert result.problems == []
    assert len(result.kept) > result.kills
    # Numbers without a gap.
    assert sorted(result.kept) == list(range(1, len(result.kept) + 1))
    # Whatever an asker heard is a fact.
    assert {seq: fact(d) for seq, d in result.promised.items()}.items() <= result.kept.items()
    # Whatever was decided is told, and always as the same.
    told = {seq: {msgspec.json.encode(fact(d)) for d in messages} for seq, messages in result.seen.items()}
    assert told == {seq: {msgspec.json.encode(d)} for seq, d in result.kept.items()}
    # Each has its entry in the audit.
    assert result.audited >= len(result.kept)


def test_decisions_are_first_told_in_their_order(result: Result) -> None:
    # A dict is in the order in which its keys came.
    assert list(result.seen) == sorted(result.seen)
