"""The threshold: does the running daemon use what the configuration asks for?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penlatch.cli.checks.finding import Finding
from penlatch.control.client import Client
from penlatch.errors import RequestError

if TYPE_CHECKING:
    from pathlib import Path

    from penlatch.messages import Info


def ask(path: Path) -> Info | None:
    """Return what the daemon tells of itself, None where it cannot be asked."""
    try:
        return Client(path).info()
    except RequestError:
        return None


def for_target(target: float, info: Info | None) -> Finding:
    """Judge the threshold where `verify.target_fmr` asks for a rate of false matches."""
    if info is None:
        remedy = "penlatch calibrate, when the daemon runs"
        return Finding.warn("threshold", f"for a rate of {target:g}: only the daemon knows", remedy=remedy)
    if info.threshold_from == "calibrated":
        return Finding.ok("threshold", f"{info.threshold:g}, calibrated for a rate of {target:g}")
    return Finding.warn(
        "threshold",
        f"{info.threshold:g}: no calibration of these models supports a rate of {target:g}",
        remedy="penlatch calibrate says what so many people can show; with --apply it keeps it",
    )
