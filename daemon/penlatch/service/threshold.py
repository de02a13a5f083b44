"""The threshold in use: as configured, or as `penlatch calibrate` found it for `verify.target_fmr`.

Fail closed: where there is a target and no calibration that supports it, the threshold is the default, and never one
below it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from penlatch.config import DEFAULT_THRESHOLD

if TYPE_CHECKING:
    from penlatch.config import Verify
    from penlatch.messages import SiteCalibration


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold and where it comes from."""

    value: float
    """P(genuine) from which on a signature matches."""
    source: Literal["configured", "calibrated", "fallback"]
    """As `messages.Info.threshold_from`."""
    note: str = ""
    """What should be known of it, for people; empty where there is nothing."""


def settle(verify: Verify, kept: SiteCalibration | None, *, models: str) -> Threshold:
    """Return the threshold to use.

    Args:
        verify: The section [verify] of the configuration.
        kept: The calibration that was applied last, None where there is none that can be used.
        models: Digest of the models in use.
    """
    target = verify.target_fmr
    if target is None:
        return Threshold(verify.threshold, "configured")
    if kept is None:
        problem = "no calibration was applied"
    elif kept.models != models:
        problem = f"the calibration of {kept.time} is for other models"
    elif kept.target_fmr > target:
        problem = f"the calibration of {kept.time} is for a target of {kept.target_fmr:g}"
    elif kept.proposed is None:
        problem = f"{kept.people} people could not show so small a rate"
    else:
        found = kept.proposed.threshold
        note = f"threshold {found:g}, calibrated on {kept.people} people at {kept.time}"
        return Threshold(max(found, DEFAULT_THRESHOLD), "calibrated", note)
    note = f"threshold {DEFAULT_THRESHOLD:g}, not calibrated for verify.target_fmr {target:g}: {problem}"
    return Threshold(DEFAULT_THRESHOLD, "fallback", note)
