"""The threshold: what was configured, or what a calibration supports; in any doubt the default, and never below it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penlatch.config import DEFAULT_THRESHOLD, Verify
from penlatch.service.threshold import settle
from support.examples import site_calibration

TARGET = Verify(target_fmr=0.001)


def test_without_a_target_it_is_what_is_configured() -> None:
    found = settle(Verify(threshold=0.7), site_calibration(), models="1a2b")
    assert (found.value, found.source, found.note) == (0.7, "configured", "")


@pytest.mark.parametrize("target", [0.001, 0.01])
def test_a_calibration_for_a_target_no_looser_is_used(target: float) -> None:
    found = settle(Verify(target_fmr=target), site_calibration(), models="1a2b")
    assert (found.value, found.source) == (0.8125, "calibrated")
    assert "60 people" in found.note


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"models": "other"}, "other models"),
        ({"target_fmr": 0.01}, "target of 0.01"),
        ({"proposed": None, "people": 5}, "5 people"),
    ],
)
def test_one_that_does_not_support_the_target_is_not(changed: dict[str, object], why: str) -> None:
    found = settle(TARGET, site_calibration(**changed), models="1a2b")
    assert (found.value, found.source) == (DEFAULT_THRESHOLD, "fallback")
    assert why in found.note


def test_without_any_it_is_the_default_and_says_so() -> None:
    found = settle(TARGET, None, models="1a2b")
    assert (found.value, found.source) == (DEFAULT_THRESHOLD, "fallback")
    assert "no calibration was applied" in found.note


@given(st.floats(0, 1))
def test_no_calibration_lowers_it_below_the_default(threshold: float) -> None:
    kept = site_calibration()
    assert kept.proposed is not None
    low = msgspec.structs.replace(kept, proposed=msgspec.structs.replace(kept.proposed, threshold=threshold))
    assert settle(TARGET, low, models="1a2b").value >= DEFAULT_THRESHOLD
