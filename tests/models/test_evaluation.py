"""The shipped models on real people: nothing of them is in the repository, so without the database this is skipped."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penlatch.verify.artefacts import default_directory
from penlatch.verify.verifier import Verifier
from training.datasets import DataMissingError
from training.evaluate import evaluate
from training.protocols import Person, unseen_people

PEOPLE = 30
"""Of 40: enough to fit calibrations to (with half as many, plain time warping may win), few enough for a test."""


@pytest.fixture(scope="module")
def people() -> list[Person]:
    try:
        return unseen_people("svc2004-task2")[:PEOPLE]
    except DataMissingError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def figures(people: list[Person]) -> dict[str, dict[str, Any]]:
    return evaluate(Verifier.load(), people)


def test_all_scorers_together_beat_plain_time_warping(figures: dict[str, dict[str, Any]]) -> None:
    assert figures["penlatch"]["eer_skilled"] < figures["dtw"]["eer_skilled"]
    assert figures["penlatch"]["eer_skilled"] < 9.0


def test_other_people_hardly_ever_match(figures: dict[str, dict[str, Any]]) -> None:
    assert figures["penlatch"]["eer_random"] < 2.0
    assert figures["penlatch"]["fmr_random"] < 1.0


def test_half_is_near_the_balance_point(figures: dict[str, dict[str, Any]]) -> None:
    assert abs(figures["penlatch"]["fnmr"] - figures["penlatch"]["fmr_skilled"]) < 8.0


def test_an_enrolment_takes_real_people_and_refuses_others(figures: dict[str, dict[str, Any]]) -> None:
    assert figures["enrolment"]["own_accepted"] > 93
    assert figures["enrolment"]["others_accepted"] < 2


def test_the_manifest_promises_better_than_plain_time_warping() -> None:
    metrics = json.loads((default_directory() / "manifest.json").read_text(encoding="utf-8"))["metrics"]
    assert metrics["penlatch"]["eer_skilled"] < min(9.0, metrics["dtw"]["eer_skilled"])
