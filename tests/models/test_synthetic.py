"""Synthetic writers for training: the same every time, and forged by others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from training.synthetic import DATABASE, FORGERIES, FORGERS, GENUINE, people

if TYPE_CHECKING:
    from training.samples import Signature


@pytest.fixture(scope="module")
def some() -> list[Signature]:
    return people(3, processes=1)


def test_everybody_signs_and_is_forged(some: list[Signature]) -> None:
    assert {signature.database for signature in some} == {DATABASE}
    for user in ("0", "1", "2"):
        own = [signature.genuine for signature in some if signature.user == user]
        assert own == [True] * GENUINE + [False] * FORGERS * FORGERIES


def test_the_number_of_processes_and_of_people_changes_nothing(some: list[Signature]) -> None:
    more = people(4, processes=2)
    for a, b in zip(some, more, strict=False):
        assert (a.user, a.genuine) == (b.user, b.genuine)
        np.testing.assert_array_equal(a.ink.x, b.ink.x)


def test_no_two_signatures_are_alike(some: list[Signature]) -> None:
    assert len({signature.ink.x.tobytes() for signature in some}) == len(some)
