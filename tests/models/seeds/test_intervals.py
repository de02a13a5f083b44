"""Intervals over people: wide where people differ, none where they do not."""

from __future__ import annotations

import numpy as np
import pytest

from training.metrics import eer
from training.seeds.intervals import bootstrap, of_attempts


def test_people_who_are_alike_leave_nothing_open() -> None:
    assert bootstrap(5, lambda drawn: float(np.ones(5)[drawn].mean())) == [100, 100]


def test_the_interval_of_a_share_of_people_is_the_binomial_one() -> None:
    half = np.arange(400) % 2
    # 1.96 sqrt(0.25 / 400) = 4.9 %
    assert bootstrap(400, lambda drawn: float(half[drawn].mean())) == pytest.approx([45.1, 54.9], abs=0.8)


def test_scores_of_people_who_are_drawn_are_pooled() -> None:
    right, wrong = (np.array([1.0]), np.array([0.0])), (np.array([0.0]), np.array([1.0]))
    assert of_attempts([right, right], eer) == [0, 0]
    assert of_attempts([right, wrong], eer) == [0, 100]
