"""Template update, measured: the very rule of the daemon decides what becomes a reference."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from penlatch.config import Adapt
from penlatch.sim.writer import Writer
from penlatch.verify.verifier import Analysis, Verifier
from training.following import REFERENCES, Followed

START = datetime(2026, 1, 1, tzinfo=UTC)
MONTH = timedelta(days=31)


@pytest.fixture(scope="module")
def verifier() -> Verifier:
    return Verifier.load()


@pytest.fixture(scope="module")
def signed(verifier: Verifier) -> list[Analysis]:
    rng, writer = np.random.default_rng(5), Writer(21)
    return [verifier.analyse(writer.genuine(rng)) for _ in range(REFERENCES + 8)]


def test_a_template_follows_at_most_once_in_so_many_days(verifier: Verifier, signed: list[Analysis]) -> None:
    followed = Followed(verifier, signed[:REFERENCES], Adapt(max_adapted=2, min_probability=0.5))
    for hour, signature in enumerate(signed[REFERENCES:]):
        followed.visit(signature, START + MONTH + timedelta(hours=hour))
    assert followed.taken <= 1


def test_originals_stay_and_few_others_come(verifier: Verifier, signed: list[Analysis]) -> None:
    followed = Followed(verifier, signed[:REFERENCES], Adapt(max_adapted=2, min_probability=0.5))
    for month, signature in enumerate(signed[REFERENCES:]):
        followed.visit(signature, START + (month + 1) * MONTH)
    assert followed.taken >= 1
    assert followed.references[:REFERENCES] == signed[:REFERENCES]
    assert len(followed.references) <= REFERENCES + 2
    assert len(followed.template) == len(followed.references) == len(followed.notes)


def test_nothing_follows_where_it_is_off(verifier: Verifier, signed: list[Analysis]) -> None:
    followed = Followed(verifier, signed[:REFERENCES], Adapt(enabled=False))
    for month, signature in enumerate(signed[REFERENCES:]):
        followed.visit(signature, START + (month + 1) * MONTH)
    assert followed.taken == 0


def test_a_stranger_is_never_followed(verifier: Verifier, signed: list[Analysis]) -> None:
    rng, stranger = np.random.default_rng(6), Writer(22)
    followed = Followed(verifier, signed[:REFERENCES], Adapt(min_probability=0.5))
    for month in range(4):
        followed.visit(verifier.analyse(stranger.genuine(rng)), START + (month + 1) * MONTH)
    assert followed.taken == 0
    assert followed.failures == 4


def test_looking_changes_nothing(verifier: Verifier, signed: list[Analysis]) -> None:
    followed = Followed(verifier, signed[:REFERENCES], Adapt(min_probability=0.5))
    before = followed.template
    assert followed.probabilities(signed[REFERENCES:]).shape == (8,)
    assert followed.template is before
