"""`penlatch calibrate`: what was found, how sure it is, and whether it can be relied on by a script."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from penlatch.cli.checks import threshold
from penlatch.errors import RequestError
from penlatch.messages import Calibration, SiteCalibration
from support.examples import INFO, site_calibration

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from support.verbs import ScriptedVerbs

    Invoke = Callable[..., Result]


def steps(found: SiteCalibration) -> list[Calibration | RequestError]:
    return [
        Calibration(done=False, progress=0.0),
        Calibration(done=False, progress=0.5),
        Calibration(done=True, progress=1.0, result=found),
    ]


def test_a_proposal_is_status_0_with_its_rates_and_their_intervals(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    verbs.calibration = steps(site_calibration())
    result = penlatch("calibrate", "--apply", "--target-fmr", "0.001")
    assert result.exit_code == 0
    assert verbs.asked == [("calibrate", 0.001, True)]
    assert "60 people, 300 references" in result.stdout
    assert "proposed for a rate of 0.001: threshold 0.8125" in result.stdout
    assert "0.00565 % (1 of 17700; 95 %:" in result.stdout
    assert "note: no forger took part" in result.stdout
    assert "applied" in result.stdout
    assert result.stderr == "", "how far it is, is for who watches"


def test_what_so_few_people_cannot_show_is_status_1(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    verbs.calibration = steps(site_calibration(proposed=None, applied=False, smallest_fmr=0.0327))
    result = penlatch("calibrate")
    assert result.exit_code == 1
    assert verbs.asked == [("calibrate", None, False)]
    assert "0.033 at best" in result.stdout
    assert "applied" not in result.stdout


def test_json_is_every_step(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    verbs.calibration = steps(site_calibration())
    lines = [json.loads(line) for line in penlatch("calibrate", "--json").stdout.splitlines()]
    assert [(line["kind"], line["done"]) for line in lines] == [("calibration", done) for done in (False, False, True)]
    assert lines[-1]["result"]["proposed"]["threshold"] == 0.8125


@pytest.mark.parametrize("target", ["0", "0.2", "-1"])
def test_a_target_that_is_none_is_wrong_usage(penlatch: Invoke, target: str) -> None:
    assert penlatch("calibrate", "--target-fmr", target).exit_code == 2


def test_a_refusal_is_one_sentence_and_status_3(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    verbs.calibration = [RequestError(code="bad_request", problem="two enrolled people at least")]
    result = penlatch("calibrate")
    assert (result.exit_code, result.stderr) == (3, "penlatch: two enrolled people at least\n")


def test_a_daemon_that_stops_in_between_is_status_3(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    verbs.calibration = [Calibration(done=False, progress=0.5)]
    assert penlatch("calibrate").exit_code == 3


# --- The doctor -----------------------------------------------------------------------------------------------


def test_a_threshold_that_no_calibration_supports_is_a_warning(socket: Path) -> None:
    info = threshold.ask(socket)
    assert info == INFO
    finding = threshold.for_target(0.001, info)
    assert finding.state == "warn"
    assert "penlatch calibrate" in (finding.remedy or "")


def test_a_calibrated_one_is_fine(socket: Path, verbs: ScriptedVerbs) -> None:
    verbs.information = msgspec.structs.replace(INFO, threshold=0.8, threshold_from="calibrated")
    finding = threshold.for_target(0.001, threshold.ask(socket))
    assert (finding.state, finding.detail) == ("ok", "0.8, calibrated for a rate of 0.001")


def test_without_the_daemon_it_is_not_known(tmp_path: Path) -> None:
    assert threshold.ask(tmp_path / "absent.sock") is None
    assert threshold.for_target(0.001, None).state == "warn"
