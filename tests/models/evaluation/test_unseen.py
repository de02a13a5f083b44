"""Who is judged by which models: never by any that have met them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from penlatch.verify.artefacts import default_directory
from training.evaluation.options import DATASETS
from training.evaluation.unseen import FAMILY, ModelsMissingError, choose, notes
from training.splits import FOLDS, fold_of

if TYPE_CHECKING:
    from pathlib import Path

    from training.records import Database

USERS = [f"{number:03d}" for number in range(1, 20)]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """The shipped models with all folds, each only as much as is looked at."""
    shipped = tmp_path / "models"
    for name in ("", *(f"folds/fold-{k}" for k in range(FOLDS)), *(f"folds/without-{f}" for f in FAMILY.values())):
        (shipped / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(default_directory() / "manifest.json", shipped / name)
    return shipped


@pytest.mark.parametrize("dataset", FAMILY)
def test_everybody_is_judged_by_the_models_made_without_their_fold(models: Path, dataset: Database) -> None:
    chosen = choose(dataset, USERS, models=models)
    assert list(chosen) == USERS
    for user, choice in chosen.items():
        assert choice.folder == models / "folds" / f"fold-{fold_of(user)}"
        assert not choice.has_met(user)


def test_random_forgers_of_other_folds_are_known_to_have_been_met(models: Path) -> None:
    choice = choose("svc2004-task2", ["U04"], models=models)["U04"]
    assert [choice.has_met(user) for user in ("U04", "U08", "U05", "U06", "U07")] == [False, False, True, True, True]


@pytest.mark.parametrize("dataset", FAMILY)
def test_a_database_never_seen_is_judged_by_models_made_without_it(models: Path, dataset: Database) -> None:
    chosen = choose(dataset, USERS, models=models, unseen_database=True)
    assert {choice.folder for choice in chosen.values()} == {models / "folds" / f"without-{FAMILY[dataset]}"}
    assert not any(choice.has_met(user) for user, choice in chosen.items())


def test_the_shipped_models_judge_only_what_they_were_never_trained_on(models: Path) -> None:
    for dataset in DATASETS:
        for unseen in (False, True):
            folders = {c.folder for c in choose(dataset, USERS, models=models, unseen_database=unseen).values()}
            assert (models in folders) == (dataset in {"index", "sigcomp2011-dutch"})


def test_people_of_an_index_need_no_numbers(models: Path) -> None:
    choices = choose("index", ["ada", "bob"], models=models)
    assert {choice.folder for choice in choices.values()} == {models}
    assert any("if these people are" in note for note in notes("index", choices.values()))


def test_models_that_are_not_there_are_never_replaced_by_others(models: Path) -> None:
    shutil.rmtree(models / "folds" / "fold-3")
    shutil.rmtree(models / "folds" / "without-susig")
    assert choose("svc2004-task2", ["U01"], models=models)
    with pytest.raises(ModelsMissingError, match="scripts/train --fold 3"):
        choose("svc2004-task2", ["U01", "U03"], models=models)
    with pytest.raises(ModelsMissingError, match="without-susig"):
        choose("susig-blind", ["001"], models=models, unseen_database=True)
    with pytest.raises(ModelsMissingError, match="holds no models"):
        choose("index", ["ada"], models=models, told=models / "folds")


def test_models_as_told_are_said_aloud_to_be_no_proof(models: Path) -> None:
    chosen = choose("svc2004-task2", ["U01"], models=models, told=models)
    assert chosen["U01"].has_met("U01")
    assert any("no error rates" in note for note in notes("svc2004-task2", chosen.values()))


@pytest.mark.parametrize("unseen_database", [False, True])
def test_the_report_says_who_judged(models: Path, *, unseen_database: bool) -> None:
    chosen = choose("svc2004-task2", ["U01"], models=models, unseen_database=unseen_database)
    (note,) = notes("svc2004-task2", chosen.values())
    assert ("met nobody of svc2004" if unseen_database else "fold models") in note
