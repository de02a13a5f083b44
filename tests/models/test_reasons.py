"""Reasons on real people: what was changed about their signatures is named first. Needs the databases."""

from __future__ import annotations

import pytest

from penlatch.sim.disguise import DISGUISES
from penlatch.verify import reasons
from training.datasets import DataMissingError
from training.reasons import Confusion, measure_database, table, tilt_constants

NAMED_FIRST = 0.8
"""Least share of changed signatures whose change is named first."""
STEP = 3
"""Of the signatures of a person, one in so many is changed: the whole takes `scripts/reasons` a minute."""


@pytest.fixture(scope="module", params=["svc2004-task2", "susig-visual"])
def confusion(request: pytest.FixtureRequest) -> Confusion:
    try:
        return measure_database(request.param, step=STEP)
    except DataMissingError as missing:
        pytest.skip(str(missing))


def test_each_change_is_named_first(confusion: Confusion) -> None:
    measured = [disguise for disguise in DISGUISES if disguise.name in confusion.named]
    assert len(measured) >= 9
    for disguise in measured:
        first, n = confusion.share(disguise.name, disguise.aspect)
        assert n >= 80, disguise.name
        assert first >= NAMED_FIRST * n, table(confusion)


def test_the_constants_of_tilt_are_those_of_the_data() -> None:
    try:
        deviation, surprise, usual = tilt_constants()
    except DataMissingError as missing:
        pytest.skip(str(missing))
    assert pytest.approx(deviation, abs=1e-3) == reasons.TILT_DEVIATION
    assert pytest.approx(surprise, abs=0.01) == reasons.TILT_SURPRISE
    assert pytest.approx(usual, abs=0.01) == reasons.TILT_USUAL
