"""The plan: nobody whom a model folder must not meet is met by any network that it is made with."""

from __future__ import annotations

from typing import get_args

import pytest

from support.folders import may_not_meet
from training.plan import DEVELOPMENT, FAMILIES, FOLDERS, SHIPPED, Left, all_networks, evidence_of, networks
from training.records import Database
from training.splits import FOLDS, fold_of

USERS = [f"U{number}" for number in range(1, 13)]
PEOPLE = [(database, user) for database in DEVELOPMENT for user in USERS]

every_folder = pytest.mark.parametrize("folder", FOLDERS)


def test_there_is_a_folder_for_every_fold_and_every_family() -> None:
    assert set(FOLDERS) == {
        SHIPPED,
        *(f"fold-{k}" for k in range(FOLDS)),
        *(f"without-{family}" for family in FAMILIES),
    }


def test_every_database_that_is_learned_from_can_be_left_out_and_exists() -> None:
    assert sorted(DEVELOPMENT) == sorted(database for family in FAMILIES.values() for database in family)
    assert set(DEVELOPMENT) <= set(get_args(Database))


@every_folder
def test_a_folder_meets_all_but_those_its_name_says(folder: str) -> None:
    for database, user in PEOPLE:
        assert FOLDERS[folder].allows(database, user) != may_not_meet(folder, database, user)


@every_folder
def test_nobody_whom_a_folder_must_not_meet_is_met_by_any_of_its_networks(folder: str) -> None:
    for network in networks(FOLDERS[folder]):
        assert not any(network.allows(*person) for person in PEOPLE if may_not_meet(folder, *person)), network.name


@every_folder
def test_evidence_of_somebody_is_by_a_network_that_has_not_met_them_and_is_made_with_the_folder(folder: str) -> None:
    left = FOLDERS[folder]
    for database, user in PEOPLE:
        if left.allows(database, user):
            by = evidence_of(left, fold_of(user))
            assert not by.allows(database, user)
            assert by in networks(left)


@every_folder
def test_networks_that_give_evidence_meet_all_others(folder: str) -> None:
    left = FOLDERS[folder]
    for fold in range(FOLDS):
        by = evidence_of(left, fold)
        for person in PEOPLE:
            assert by.allows(*person) == (left.allows(*person) and fold_of(person[1]) != fold)


def test_every_network_of_every_folder_is_trained_once() -> None:
    wanted = {network for left in FOLDERS.values() for network in networks(left)}
    assert set(all_networks()) == wanted
    assert len(all_networks()) == len(wanted) == len({network.name for network in wanted})


def test_networks_are_named_by_whom_they_have_not_met() -> None:
    assert Left().name == "everybody"
    assert Left(frozenset({3, 1})).name == "without-folds-1-3"
    assert Left(frozenset({2}), "susig").name == "without-susig-without-folds-2"


def test_people_of_both_tasks_and_of_both_parts_are_in_one_fold() -> None:
    left = Left(frozenset({fold_of("U7")}))
    for database in DEVELOPMENT:
        assert not left.allows(database, "U07")
        assert not left.allows(database, "7")
