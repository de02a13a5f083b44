"""Evidence with known forgers: what a training signature may be compared with, and that tests leak nowhere."""

from __future__ import annotations

import numpy as np
import pytest

from penlatch.signal.preprocess import clean
from support.drawings import scrawl
from training.seeds.evidence import ALIGNMENTS, TRAINED, User, compare, scales, spread_of_features, terms

EACH = 20
TRAINS = [*range(15), *range(20, 35)]


@pytest.fixture
def user() -> User:
    rng = np.random.default_rng(0)
    return User(
        genuine=EACH,
        distances={"one": rng.uniform(0.5, 1.5, (40, 30)), "other": rng.uniform(0.5, 1.5, (40, 30))},
        features=rng.normal(size=(40, 7)),
    )


def test_the_first_fifteen_of_both_kinds_train(user: User) -> None:
    assert user.trains.tolist() == TRAINS
    assert user.tested.tolist() == [*range(15, 20), *range(35, 40)]


def test_a_training_signature_is_compared_with_neither_itself_nor_its_forgers_other_work(user: User) -> None:
    may = user.comparable()
    assert np.flatnonzero(~may[3]).tolist() == [3]
    # S25 to S28 are by one forger: rows 24 to 27, columns 19 to 22.
    assert np.flatnonzero(~may[25]).tolist() == [19, 20, 21, 22]


def test_a_tested_signature_is_compared_with_all(user: User) -> None:
    assert user.comparable()[user.tested].all()


def test_terms_of_training_signatures_know_nothing_of_the_tested_ones(user: User) -> None:
    spread = spread_of_features([user])
    before = terms(user, spread)
    features, distances = user.features.copy(), {name: table.copy() for name, table in user.distances.items()}
    features[user.tested] = 99.0
    for table in distances.values():
        table[user.tested] = 99.0
    changed = User(EACH, distances, features)
    np.testing.assert_array_equal(spread_of_features([changed]), spread)
    np.testing.assert_array_equal(terms(changed, spread)[TRAINS], before[TRAINS])


def test_terms_ignore_what_may_not_be_compared(user: User) -> None:
    spread = spread_of_features([user])
    distances = {name: np.where(user.comparable(), table, 1e-9) for name, table in user.distances.items()}
    np.testing.assert_array_equal(terms(User(EACH, distances, user.features), spread), terms(user, spread))


def test_near_to_the_genuine_ones_and_far_from_the_forged_is_seen_as_such() -> None:
    inks = [clean(scrawl(1 if k < EACH else 2, hz=100.0 + k % EACH)) for k in range(2 * EACH)]
    known = compare(inks, scales([inks], genuine=EACH), genuine=EACH)
    assert set(known.distances) == {"plain", *ALIGNMENTS}
    for table in known.distances.values():
        assert table.shape == (2 * EACH, 2 * TRAINED)
        assert table[:EACH, :TRAINED].max() < table[:EACH, TRAINED:].min()
    table = terms(known, spread_of_features([known]))
    assert np.isfinite(table).all()
    assert (table[:EACH].mean(axis=0) < table[EACH:].mean(axis=0))[:3].all()
