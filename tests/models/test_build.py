"""Making the models: a calibration looks at nobody whom its folder must not meet, nor by a network that met them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("jax", reason="JAX is not installed: scripts/train makes .venv-train, which has it")

from support.folders import may_not_meet
from training.build import Workshop
from training.comparisons import Comparisons
from training.plan import DEVELOPMENT, FOLDERS, Left, networks
from training.splits import FOLDS, fold_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

USERS = [str(number) for number in range(8)]


class Everybody:
    """Evidence of all people of a fold whom a network has not met, as `training.evidence` gives it."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, Left]] = []
        self.kept_from: list[Left] = []
        """Whose signatures were taken out of the random forgeries, call by call."""

    def of(self, fold: int, by: Left) -> list[Comparisons]:
        self.asked.append((fold, by))
        nothing = np.empty(0)
        return [
            Comparisons(database, user, nothing.astype(str), nothing.astype(np.int64), {}, nothing)
            for database in DEVELOPMENT
            for user in USERS
            if fold_of(user) == fold and not by.allows(database, user)
        ]

    def without(self, people: Iterable[Comparisons], left: Left) -> list[Comparisons]:
        found = list(people)
        self.kept_from.append(left)
        assert all(left.allows(person.database, person.user) for person in found)
        return found


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Workshop, Everybody]:
    made, everybody = Workshop(tmp_path, None), Everybody()
    monkeypatch.setattr(made, "_evidence", everybody)
    return made, everybody


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_calibration_is_fitted_to_all_whom_its_folder_may_meet_and_to_nobody_else(
    folder: str, workshop: tuple[Workshop, Everybody]
) -> None:
    found = sorted((person.database, person.user) for person in workshop[0].people(FOLDERS[folder]))
    wanted = [(d, u) for d in DEVELOPMENT for u in USERS if not may_not_meet(folder, d, u)]
    assert found == sorted(wanted)
    assert workshop[1].kept_from == [FOLDERS[folder]]


@pytest.mark.parametrize("folder", FOLDERS)
def test_its_evidence_is_by_networks_that_have_met_neither_these_people_nor_those_left_out(
    folder: str, workshop: tuple[Workshop, Everybody]
) -> None:
    made, everybody = workshop
    made.people(FOLDERS[folder])
    for fold, by in everybody.asked:
        assert by in networks(FOLDERS[folder])
        for database in DEVELOPMENT:
            for user in USERS:
                if fold_of(user) == fold or may_not_meet(folder, database, user):
                    assert not by.allows(database, user)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_is_measured_on_all_whom_its_network_has_not_met_by_that_network(
    folder: str, workshop: tuple[Workshop, Everybody]
) -> None:
    made, everybody = workshop
    found = sorted((person.database, person.user) for person in made.strangers(FOLDERS[folder]))
    assert found == sorted((d, u) for d in DEVELOPMENT for u in USERS if may_not_meet(folder, d, u))
    assert everybody.asked == [(fold, FOLDERS[folder]) for fold in range(FOLDS)]


def test_only_networks_that_are_not_there_are_trained_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr("training.build._python", lambda *arguments, **_: ran.append(arguments))
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / "everybody.npz").touch()
    wanted: list[Any] = [Left(), Left(frozenset({1})), Left(frozenset({1})), Left(frozenset({2}))]
    made = Workshop(tmp_path, None)
    made.train(wanted, jobs=1)
    trained = [("training.train", left.name) for left in (wanted[1], wanted[3])]
    assert ran == [("training.train", "--pool"), *trained]
    ran.clear()
    made.train([Left()], jobs=1)
    assert ran == []


def test_only_networks_that_are_not_converted_are_converted_each_once_in_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr("training.build._python", lambda *arguments, **_: ran.append(arguments))
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / "everybody.tflite").touch()
    made = Workshop(tmp_path, None)
    one, two = Left(frozenset({1})), Left(frozenset({2}))
    made.convert([Left(), one, one, two])
    assert ran == [("training.convert", one.name, two.name)]
    made.convert([Left()])
    assert len(ran) == 1
