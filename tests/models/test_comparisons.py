"""Comparisons: who claims to be whom, and every claim compared once, from which evidence for any references is read."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest

from penlatch.signal.features import FEATURES
from penlatch.verify import dtw, multichannel
from penlatch.verify.verifier import analyse
from support.drawings import scrawl
from support.figures import lissajous
from training.comparisons import (
    CANDIDATES,
    LEAST_GENUINE,
    MOST_GENUINE,
    MOST_RANDOM,
    MOST_SKILLED,
    Claims,
    Comparisons,
    claims,
    compare,
)
from training.records import MIN_POINTS, Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.records import Kind

SCORERS = ("multichannel", "dtw")


def signed(user: str, kind: Kind, count: int, *, session: int = 1) -> list[Record]:
    return [Record("susig-visual", user, kind, session, k + 1, lissajous()) for k in range(count)]


def of(found: Sequence[Claims], user: str) -> Claims:
    (one,) = (person for person in found if person.user == user)
    return one


# --- Claims -----------------------------------------------------------------------------------------------


def test_claims_are_genuine_ones_then_forgeries_then_other_people() -> None:
    records = [*signed("4", "skilled", 3), *signed("4", "genuine", 8), *signed("8", "genuine", 7)]
    person = of(list(claims(records)), "4")
    assert Counter(person.kinds.tolist()) == {"genuine": 8, "skilled": 3, "random": 1}
    assert list(person.kinds) == sorted(person.kinds, key=["genuine", "skilled", "random"].index)
    for record, kind in zip(person.records, person.kinds, strict=True):
        assert (record.user == "4") == (kind != "random")
        assert record.kind == ("skilled" if kind == "skilled" else "genuine")
    assert (person.database, person.fold) == ("susig-visual", 0)


def test_genuine_signatures_come_by_sitting_and_number() -> None:
    records = [*signed("1", "genuine", 5, session=2), *signed("1", "genuine", 5)][::-1]
    (person,) = claims(records)
    assert [(r.session, r.index) for r in person.records] == [(s, k) for s in (1, 2) for k in range(1, 6)]


def test_whoever_has_too_few_genuine_signatures_claims_nothing_but_may_be_a_random_forger() -> None:
    found = list(claims([*signed("4", "genuine", LEAST_GENUINE), *signed("8", "genuine", LEAST_GENUINE - 1)]))
    assert [person.user for person in found] == ["4"]
    assert found[0].records[-1].user == "8"


def test_what_a_terminal_would_ask_to_be_signed_again_is_no_claim() -> None:
    short = Record("susig-visual", "4", "genuine", 1, 0, lissajous(frames=MIN_POINTS - 1))
    (person,) = claims([short, *signed("4", "genuine", LEAST_GENUINE)])
    assert short not in person.records


def test_there_are_no_more_of_a_kind_than_are_worth_their_time() -> None:
    records = [*signed("0", "genuine", MOST_GENUINE + 1), *signed("0", "skilled", MOST_SKILLED + 1)]
    records += [record for other in range(1, MOST_RANDOM + 9) for record in signed(str(4 * other), "genuine", 1)]
    (person,) = claims(records)
    count = Counter(person.kinds.tolist())
    assert count == {"genuine": MOST_GENUINE, "skilled": MOST_SKILLED, "random": MOST_RANDOM}
    assert len({record.user for record in person.records}) == 1 + MOST_RANDOM


def test_random_forgers_are_the_same_every_time() -> None:
    records = [record for user in range(60) for record in signed(str(user), "genuine", LEAST_GENUINE)]
    first, second = ([[id(r) for r in person.records] for person in claims(records)] for _ in range(2))
    assert first == second


# --- Comparisons ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def person() -> Claims:
    """Someone with more genuine signatures than may be references; two forgeries, and two strangers."""
    records = [Record("index", "1", "genuine", 1 + k // 12, k, scrawl(k)) for k in range(CANDIDATES + 3)]
    records += [Record("index", "1", "skilled", 0, k, scrawl(100 + k)) for k in range(2)]
    records += [Record("index", other, "genuine", 1, 0, scrawl(200 + k)) for k, other in enumerate(("5", "9"))]
    (found,) = claims(records)
    return found


@pytest.fixture(scope="module")
def compared(person: Claims) -> Comparisons:
    (found,) = compare([person], None, SCORERS)
    return found


def test_every_claim_is_compared_with_every_candidate(person: Claims, compared: Comparisons) -> None:
    assert compared.candidates == CANDIDATES
    assert (compared.database, compared.user, compared.fold) == ("index", "1", 1)
    assert compared.features.shape == (len(person.records), len(FEATURES))
    np.testing.assert_array_equal(compared.sessions, [record.session for record in person.records])
    for scorer, module in (("multichannel", multichannel), ("dtw", dtw)):
        assert compared.distances[scorer].shape == (len(person.records), CANDIDATES)
        analyses = [analyse(record.trace, None, (scorer,)).prepared[scorer] for record in person.records]
        for place in (0, CANDIDATES + 1, len(person.records) - 1):
            expected = module.distances(analyses[place], analyses[:CANDIDATES])
            np.testing.assert_allclose(compared.distances[scorer][place], expected, rtol=1e-6)


def test_evidence_is_what_a_template_of_these_references_would_say(compared: Comparisons) -> None:
    chosen = [7, 2, 11]
    evidence = compared.evidence(chosen)
    for scorer in SCORERS:
        table = compared.distances[scorer]
        np.testing.assert_array_equal(evidence.to_references[scorer], table[:, [7, 2, 11]])
        np.testing.assert_array_equal(evidence.between_references[scorer], table[np.ix_([7, 2, 11], [7, 2, 11])])
        np.testing.assert_allclose(np.diag(evidence.between_references[scorer]), 0)
    np.testing.assert_array_equal(evidence.reference_features, compared.features[chosen])
    assert evidence.features.shape == compared.features.shape


def test_comparisons_by_other_scorers_stand_beside_them(person: Claims, compared: Comparisons) -> None:
    parts = [next(compare([person], None, (scorer,))) for scorer in SCORERS]
    together = parts[0].beside(parts[1])
    assert together.distances.keys() == set(SCORERS)
    for scorer in SCORERS:
        np.testing.assert_array_equal(together.distances[scorer], compared.distances[scorer])
