"""Evidence: of each fold of people, by a network that has not met them, and computed once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from support.figures import lissajous
from training import evidence
from training.comparisons import Claims, Comparisons, claims
from training.evidence import NETWORK_SCORERS, OTHER_SCORERS, Evidence
from training.plan import FOLDERS, Left, evidence_of
from training.records import Database, Record
from training.splits import FOLDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

USERS = [str(number) for number in range(8)]
NETWORK: Any = ("a manifest", b"a network")


def everybody(_: Path | None) -> tuple[Claims, ...]:
    databases: tuple[Database, ...] = ("svc2004-task2", "susig-blind")
    records = [
        [Record(database, user, "genuine", 1, k, lissajous()) for user in USERS for k in range(8)]
        for database in databases
    ]
    return tuple(person for one in records for person in claims(one))


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let comparing give numbers out of the air; return by which scorers it was done."""
    done: list[str] = []

    def compare(people: Sequence[Claims], network: object, scorers: tuple[str, ...]) -> list[Comparisons]:
        assert bool(network) == (scorers == NETWORK_SCORERS)
        done.append(" ".join(scorers))
        return [
            Comparisons(
                database=person.database,
                user=person.user,
                kinds=person.kinds,
                sessions=np.ones(len(person.kinds), dtype=np.int64),
                distances={scorer: np.zeros((len(person.kinds), 8)) for scorer in scorers},
                features=np.zeros((len(person.kinds), 3)),
            )
            for person in people
        ]

    monkeypatch.setattr(evidence, "everybody", everybody)
    monkeypatch.setattr(evidence, "_compare", compare)
    return done


@pytest.mark.usefixtures("compared")
@pytest.mark.parametrize("folder", FOLDERS)
def test_it_is_of_people_of_the_fold_whom_the_network_has_not_met(folder: str, tmp_path: Path) -> None:
    left = FOLDERS[folder]
    asked: list[Left] = []

    def network(by: Left) -> Any:
        asked.append(by)
        return NETWORK

    for fold in range(FOLDS):
        by = evidence_of(left, fold)
        found = Evidence(tmp_path, None, network).of(fold, by)
        assert {person.user for person in found} == {user for user in USERS if int(user) % FOLDS == fold}
        assert not any(by.allows(person.database, person.user) for person in found)
        assert asked[-1] == by


@pytest.mark.usefixtures("compared")
def test_nobody_is_left_where_the_network_has_met_everybody(tmp_path: Path) -> None:
    assert Evidence(tmp_path, None, lambda _: NETWORK).of(0, Left()) == []


@pytest.mark.usefixtures("compared")
def test_it_holds_what_asks_the_network_and_what_asks_none(tmp_path: Path) -> None:
    person, *_ = Evidence(tmp_path, None, lambda _: NETWORK).of(1, Left(frozenset({1})))
    assert person.distances.keys() == {*NETWORK_SCORERS, *OTHER_SCORERS}


def test_it_is_computed_once(compared: list[str], tmp_path: Path) -> None:
    for left in (Left(frozenset({1})), Left(frozenset({1, 2})), Left(frozenset({1}))):
        Evidence(tmp_path, None, lambda _: NETWORK).of(1, left)
    assert sorted(compared) == sorted([" ".join(OTHER_SCORERS), *2 * [" ".join(NETWORK_SCORERS)]])


def test_what_no_door_runs_is_of_everybody_of_the_fold_and_kept_apart(compared: list[str], tmp_path: Path) -> None:
    made = Evidence(tmp_path, None, lambda _: NETWORK)
    made.of(1, Left(frozenset({1})))
    for _ in range(2):
        found = made.also(1, ("fusion",))
        assert {person.user for person in found} == {user for user in USERS if int(user) % FOLDS == 1}
        assert all(person.distances.keys() == {"fusion"} for person in found)
    assert compared.count("fusion") == 1


@pytest.mark.usefixtures("compared")
def test_whoever_is_left_out_is_nobody_s_random_forger(tmp_path: Path) -> None:
    """A tested person's signature must not teach a calibration what strangers are like, either."""
    left = Left(frozenset({3}))
    made = Evidence(tmp_path, None, lambda _: NETWORK)
    for fold in (0, 1, 2):
        whole = made.of(fold, evidence_of(left, fold))
        for before, after in zip(whole, made.without(whole, left), strict=True):
            forgers = [user for user in USERS if user != before.user]
            assert (before.kinds == "random").sum() == len(forgers)
            assert (after.kinds == "random").sum() == sum(int(user) % FOLDS != 3 for user in forgers)
            assert (after.kinds == "genuine").sum() == (before.kinds == "genuine").sum() == 8
            assert all(len(table) == len(after.kinds) for table in after.distances.values())
            assert len(after.features) == len(after.sessions) == len(after.kinds)
