"""The dependent protocol with penlatch's own parts: nobody's test is learned from, and errors are counted right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from training.seeds.dependent import (
    DATASET,
    DEVELOPMENT,
    PAPER,
    Settings,
    Source,
    accuracy,
    evaluate,
    figures,
    run,
    score,
)
from training.seeds.evidence import User
from training.splits import fold_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

EACH = 20
RESULTS = Path(__file__).parents[3] / "models" / "results" / "seed-dependent.json"


def user(seed: int, apart: float = 1.0) -> User:
    """Make a user whose genuine signatures are nearer to the genuine ones, by `apart` noise's deviations of 0.2."""
    rng = np.random.default_rng(seed)
    genuine = np.arange(2 * EACH) < EACH
    to_genuine = genuine[:, None] == (np.arange(30) < 15)

    def table() -> NDArray[np.float64]:
        return np.asarray(np.exp(0.2 * rng.normal(size=(40, 30)) - 0.2 * apart * to_genuine))

    return User(EACH, {"plain": table()}, rng.normal(size=(40, 5)) + apart * genuine[:, None])


@pytest.fixture
def users() -> dict[str, User]:
    return {f"U{number:02d}": user(number) for number in range(1, 9)}


def test_what_separates_is_learned(users: dict[str, User]) -> None:
    found = evaluate(users, {name: user(50 + int(name[1:])) for name in users})
    assert found["tested"]["genuine"] == found["tested"]["forged"] == 8 * 5
    assert found["tested"]["accuracy"] > 90
    assert found["cross_validated"]["genuine"] == 8 * 5, "of the second sitting"
    assert found["cross_validated"]["forged"] == 8 * 15


def test_without_a_difference_half_is_wrong() -> None:
    both = [{f"U{number:02d}": user(first + number, apart=0.0) for number in range(1, 9)} for first in (0, 50)]
    found = evaluate(*both)
    assert 25 < found["tested"]["eer"] < 75


def test_nobody_is_judged_by_what_was_learned_of_his_fold(users: dict[str, User]) -> None:
    before = score(users, [Source(users, 1.0)])
    changed = dict(users)
    mine = [name for name in users if fold_of(name) == 1]
    changed[mine[0]] = user(99)
    after = score(changed, [Source(changed, 1.0)])
    np.testing.assert_array_equal(after.tested[mine[1]][0], before.tested[mine[1]][0])
    other = next(name for name in users if fold_of(name) == 2)
    assert (after.tested[other][0] != before.tested[other][0]).any()


def test_tested_signatures_are_learned_from_only_where_they_may(users: dict[str, User]) -> None:
    before = score(users, [Source(users)])
    spoilt = {}
    for name, known in users.items():
        distances = {one: table.copy() for one, table in known.distances.items()}
        distances["plain"][known.tested] *= 9
        spoilt[name] = User(EACH, distances, known.features)
    after = score(spoilt, [Source(spoilt)])
    for name in users:
        for one, other in zip(after.training[name], before.training[name], strict=True):
            np.testing.assert_array_equal(one, other)
    allowed = score(spoilt, [Source(spoilt, 1.0)])
    assert (allowed.training["U01"][0] != before.training["U01"][0]).any()


def test_errors_are_counted_at_half() -> None:
    # Logits: 0 is P = 0.5, and a match.
    genuine, forged = np.array([0.0, 2.0, -1.0, 3.0]), np.array([-2.0, -0.1, 0.0, 4.0])
    assert accuracy(genuine, forged) == pytest.approx(1 - (1 / 4 + 2 / 4) / 2)
    found = figures({"U01": (genuine, forged), "U02": (np.array([5.0]), np.array([-5.0]))})
    assert found["false_rejects_and_accepts"] == {"U01": [1, 2]}
    assert found["fnmr"] == 20
    assert found["fmr"] == 40


def test_a_database_without_the_protocol_is_refused() -> None:
    with pytest.raises(ValueError, match="svc2004-task2"):
        run(Settings("susig-blind", None, None, ""))


def test_the_committed_figures_beat_the_paper_and_say_where_they_come_from() -> None:
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert found["command"] == "scripts/reproduce dependent"
    assert {len(found["data"][database]) for database in (DATASET, DEVELOPMENT)} == {64}
    assert found["tested"]["genuine"] == found["tested"]["forged"] == 200
    assert found["tested"]["accuracy"] > PAPER["accuracy"]
    assert found["tested"]["eer"] < PAPER["eer"]
