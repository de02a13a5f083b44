"""Protocols, on synthetic people: who is enrolled with what, and that nothing is tested that was a reference."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from support.crowd import crowd
from training.evaluation import protocols
from training.evaluation.protocols import ProtocolError, first, official, sittings
from training.records import Loaded, Unusable

if TYPE_CHECKING:
    from training.evaluation.protocols import Plan


@pytest.fixture(scope="module")
def people() -> Loaded:
    """Five people who signed six times each in two sittings, and were forged four times."""
    return crowd(5, genuine=6, skilled=4, sittings=2)


@pytest.fixture(scope="module")
def competition() -> Loaded:
    """Three people with as many signatures as SVC2004 has."""
    return crowd(3, genuine=20, skilled=2, sittings=2)


def without(loaded: Loaded, user: str, keep: int) -> Loaded:
    """Return the database as if a person had signed `keep` times only."""
    kept = [r for r in loaded.records if r.user != user or r.kind == "skilled" or r.index <= keep]
    return Loaded.of(kept, loaded.unusable, sha256=loaded.sha256)


def plans(people: Loaded, competition: Loaded) -> list[Plan]:
    return [
        first(people, 3),
        sittings(people, 3),
        official(competition, 5, seed=0),
        protocols.fusion(people, seed=0),
    ]


def test_no_reference_is_tested_and_no_forgery_is_a_reference(people: Loaded, competition: Loaded) -> None:
    for plan in plans(people, competition):
        assert plan.trials
        for trial in plan.trials:
            claims = [*trial.genuine, *trial.skilled, *trial.random]
            assert not {id(r) for r in trial.references} & {id(r) for r in claims}
            assert {(r.user, r.kind) for r in trial.references} == {(trial.user, "genuine")}
            assert {(r.user, r.kind) for r in trial.genuine} == {(trial.user, "genuine")}
            assert {(r.user, r.kind) for r in trial.skilled} == {(trial.user, "skilled")}
            assert {r.kind for r in trial.random} == {"genuine"}
            assert trial.user not in {r.user for r in trial.random}
            assert len({id(r) for r in claims}) == len(claims), "nothing counts twice"


def test_first_tests_everything_that_is_left(people: Loaded) -> None:
    plan = first(people, 2)
    trial = plan.trials[1]
    assert trial.user == "U02"
    assert [r.index for r in trial.references] == [1, 2]
    assert [r.index for r in trial.genuine] == [3, 4, 5, 6]
    assert len(trial.skilled) == 4
    assert [(r.user, r.index) for r in trial.random] == [("U01", 1), ("U03", 1), ("U04", 1), ("U05", 1)]


def test_whoever_has_too_few_signatures_is_left_out_and_forges_nobody(people: Loaded) -> None:
    plan = first(without(people, "U03", 3), 3)
    assert plan.left_out == {"U03": "fewer than 4 genuine signatures"}
    assert plan.not_enrolled == {}
    assert "U03" not in {r.user for trial in plan.trials for r in trial.random}


def test_whoever_lacks_signatures_because_some_are_spoilt_is_a_failure_to_enrol(people: Loaded) -> None:
    poor = without(people, "U03", 3)
    plan = first(dataclasses.replace(poor, unusable=(Unusable(user="U03", kind="genuine"),)), 3)
    assert list(plan.not_enrolled) == ["U03"]
    assert plan.left_out == {}
    assert "U03" not in {trial.user for trial in plan.trials}


def test_sittings_takes_references_from_both(people: Loaded) -> None:
    trial = sittings(people, 3).trials[0]
    assert [(r.session, r.index) for r in trial.references] == [(1, 1), (1, 2), (2, 4)]
    assert [r.index for r in trial.genuine] == [3, 5, 6]


def test_sittings_of_svc2004_is_s1_to_s3_and_s11_to_s12(competition: Loaded) -> None:
    for trial in sittings(competition, 5).trials:
        assert [r.index for r in trial.references] == [1, 2, 3, 11, 12]
        assert len(trial.genuine) == 15


def test_sittings_leaves_out_who_signed_in_one(people: Loaded) -> None:
    assert list(sittings(without(people, "U03", 3), 4).left_out) == ["U03"]


def test_sittings_is_refused_where_there_was_one_or_for_one_reference(people: Loaded) -> None:
    with pytest.raises(ProtocolError, match="two sittings"):
        sittings(crowd(2, genuine=4, skilled=1), 2)
    with pytest.raises(ProtocolError, match="two at least"):
        sittings(people, 1)


def test_official_draws_ten_times_from_the_first_ten_and_tests_the_second(competition: Loaded) -> None:
    plan = official(competition, 5, seed=0)
    mine = [trial for trial in plan.trials if trial.user == "U01"]
    assert [trial.draw for trial in mine] == list(range(10))
    assert all(r.index <= 10 for trial in mine for r in trial.references)
    assert len({tuple(r.index for r in trial.references) for trial in mine}) > 5
    assert all([r.index for r in trial.genuine] == list(range(11, 21)) for trial in mine)
    assert all(sorted(r.user for r in trial.random) == ["U02", "U03"] for trial in mine)


def test_official_repeats_itself_by_seed(competition: Loaded) -> None:
    def drawn(seed: int) -> list[list[str]]:
        return [[r.name for r in (*t.references, *t.random)] for t in official(competition, 5, seed=seed).trials]

    assert drawn(1) == drawn(1) != drawn(2)


def test_official_is_for_svc2004_only() -> None:
    with pytest.raises(ProtocolError, match="SVC2004"):
        official(crowd(2, genuine=12, skilled=1, database="index"), 5, seed=0)


def test_fusion_compares_one_reference_with_three_of_each_kind(people: Loaded) -> None:
    for trial in protocols.fusion(people, seed=0).trials:
        assert [r.index for r in trial.references] == [1]
        assert [len(pool) for pool in (trial.genuine, trial.skilled, trial.random)] == [3, 3, 3]
        assert len({r.user for r in trial.random}) == 3


def test_fusion_leaves_out_who_was_not_forged(people: Loaded) -> None:
    unforged = Loaded.of([r for r in people.records if r.user != "U02" or r.kind == "genuine"], [], sha256="")
    plan = protocols.fusion(unforged, seed=0)
    assert plan.left_out == {"U02": "fewer than 3 skilled forgeries"}


def test_nobody_with_enough_signatures_is_an_error(people: Loaded) -> None:
    with pytest.raises(ProtocolError, match="12 references"):
        first(people, 12)
