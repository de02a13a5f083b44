"""The fusion paper's protocol: pools, thresholds and tables, small enough to count; nobody is tuned on himself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from penlatch.verify.fusion import distances, prepare
from support.drawings import scrawl
from training.seeds.fusion import (
    EACH,
    Choice,
    Costs,
    Person,
    accuracy,
    costs,
    pools,
    settle,
    strict_matches,
    summary,
    sweep,
    table_1,
    table_row,
)
from training.splits import FOLDS

if TYPE_CHECKING:
    from numpy.typing import NDArray


def people(count: int) -> list[Person]:
    return [
        Person(
            f"U{number:02d}",
            genuine=[prepare(scrawl(100 * number + k)) for k in range(5)],
            skilled=[prepare(scrawl(100 * number + 50 + k)) for k in range(4)],
        )
        for number in range(count)
    ]


def pool(genuine: float, simple: float, skilled: float, people: int = 4) -> Costs:
    """Make costs that are the same for everybody."""
    row = np.repeat([genuine, simple, skilled], EACH)
    fixed = np.tile(row, (people, 1, 1)).astype(np.float64)
    return Costs(fixed, np.zeros_like(fixed))


def test_a_collection_is_a_reference_and_three_of_each_kind() -> None:
    everybody = people(5)
    first, second = pools(everybody, draws=2)
    for k, signatures in enumerate(first):
        assert len(signatures) == 1 + 3 * EACH
        assert signatures[: 1 + EACH] == everybody[k].genuine[: 1 + EACH]
        assert signatures[-EACH:] == everybody[k].skilled[:EACH]
        own = {id(s) for s in everybody[k].genuine}
        assert not any(id(s) in own for s in signatures[1 + EACH : -EACH]), "a simple forgery is by somebody else"
    assert [[id(s) for s in c] for c in first] != [[id(s) for s in c] for c in second]


def test_the_cost_is_the_one_that_runs() -> None:
    everybody = people(4)
    found = costs(everybody)
    for k, signatures in enumerate(next(pools(everybody, draws=1))):
        expected = [distances(query, signatures[:1])[0] for query in signatures[1:]]
        np.testing.assert_allclose(found.at(3.0)[k, 0], expected, rtol=1e-9)


@pytest.mark.parametrize(("segments", "samples"), [(3, 2), (30, 12)])
def test_finer_sampling_gives_costs_too(segments: int, samples: int) -> None:
    everybody = people(4)
    fine = costs(everybody, segments=segments, samples=samples).at(3.0)
    assert np.isfinite(fine).all()
    assert (fine > 0).all()
    assert not np.allclose(fine, costs(everybody).at(3.0))


def test_the_threshold_is_the_mean_genuine_cost_over_a() -> None:
    found = pool(0.3, 0.9, 0.6)
    assert settle(found, 3, 0.5).threshold == pytest.approx(0.6)
    assert accuracy(found, settle(found, 3, 0.6)) == 1.0
    # T = 0.75 lets the skilled forgeries in: three of nine verdicts are wrong.
    assert accuracy(found, settle(found, 3, 0.4)) == pytest.approx(2 / 3)


def test_w_divides_the_cost_of_angles() -> None:
    found = Costs(np.ones((1, 1, 9)), np.full((1, 1, 9), 6.0))
    np.testing.assert_allclose(found.at(2), 4)
    np.testing.assert_allclose(found.at(20), 1.3)
    assert {len(accuracies) for accuracies in sweep(found).values()} == {10}


def test_nobody_is_judged_by_a_choice_made_on_himself() -> None:
    rng = np.random.default_rng(0)
    found = Costs(rng.uniform(0.1, 1.0, (8, 2, 9)), rng.uniform(0.1, 1.0, (8, 2, 9)))
    folds = np.arange(8) % FOLDS
    _, choices = strict_matches(found, folds)
    mine = folds == 1
    changed = Costs(np.where(mine[:, None, None], 9.0, found.fixed), found.angles)
    _, others = strict_matches(changed, folds)
    assert others[1] == choices[1]
    assert others[0] != choices[0]


def matches(genuine: int, simple: int, skilled: int) -> NDArray[np.bool_]:
    """Let so many of three of each kind match, for one person."""
    return np.array([[[k < n for n in (genuine, simple, skilled) for k in range(EACH)]]])


def test_tables_count_false_acceptance_and_rejection() -> None:
    # One of three genuine refused, one of three simple and none of three skilled forgeries accepted.
    matched = matches(2, 1, 0)
    assert table_row(matched, "simple") == [33.33, 33.33, 33.33, 66.67]
    assert table_row(matched, "skilled") == [0, 33.33, 16.67, 83.33]
    assert table_row(matched, "both") == [16.67, 33.33, 25.0, 77.78]
    assert table_1(matched, 10) == [16.67, 33.33, 25.0, 77.78], "no more are drawn than there are"


def test_a_perfect_cost_has_no_errors() -> None:
    found = summary(pool(0.1, 0.9, 0.8), np.arange(4))
    assert found["eer_simple"] == found["eer_skilled"] == 0
    assert found["accuracy"] == 100
    assert Choice(3, 0.6, 0.1) != Choice(3, 0.6, 0.2)
