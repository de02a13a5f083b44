"""The shipped image pair network keeps on real people what its card says. They are of fold 0, which it never met."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from penlatch.signal.preprocess import clean
from support import pair_runtime
from training.datasets import by_user, load
from training.sources import DataMissingError

FOLD, FOLDS = 0, 4
SIGNATURES = 6


def test_unseen_writers_are_told_apart_at_one_half() -> None:
    try:
        records = load("svc2004-task2")
    except DataMissingError as error:
        pytest.skip(str(error))
    pair = pair_runtime.shipped()
    people = {
        user: [pair.prepare(clean(trace)) for trace in kinds["genuine"][:SIGNATURES]]
        for user, kinds in by_user(records).items()
        if int(user[1:]) % FOLDS == FOLD
    }
    assert len(people) == 10
    own = [pair.probability(a, b) for features in people.values() for a, b in combinations(features, 2)]
    others = [
        pair.probability(a, b) for one, two in combinations(people.values(), 2) for a, b in zip(one, two, strict=True)
    ]
    assert np.mean([p >= 0.5 for p in own]) > 0.9
    assert np.mean([p < 0.5 for p in others]) > 0.9
