"""On ARM, as `scripts/arm-lab` has it under emulation: what is installed there judges as it does here.

They run under scripts/arm-lab, which puts the package of this checkout there first; elsewhere they are skipped. Nothing
here is about time: emulation says nothing about it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).parents[2]
PROGRAM = Path("tests/support/programs/tell_scores.py")
USERLANDS = Path(os.environ.get("PENLATCH_USERLANDS", "build/arm"))
"""Relative to the checkout."""
CHECKOUT = Path("/checkout")
"""Where a userland has the checkout."""
PATIENCE_S = 600

# Tolerances are five times what was measured, and more (docs/arm.md), for other releases of the runtime and of NumPy.
SAME_PROBABILITY: Final = 1e-3
SAME_NETWORK_DISTANCE: Final = 5e-3
"""Of a scorer that the quantized network has a part in, in its unit."""
SAME_DISTANCE: Final = 1e-6
"""Of any other."""
SAME_FEATURE: Final = 1e-6
CONFIGURATION: Final = """
[terminal]
name = "arm"
"""
GOLDEN_COSINE: Final = 0.999
NETWORK_SCORERS: Final = ("alignment", "bilstm_se")


class Kind(NamedTuple):
    """What a userland is expected to be."""

    machine: str
    python: str
    runtime: str


KINDS: Final[Mapping[str, Kind]] = {
    "bookworm-arm64": Kind("aarch64", "3.11.", "tflite-runtime 2.14."),
    "trixie-arm64": Kind("aarch64", "3.13.", "ai-edge-litert "),
    "bookworm-armhf": Kind("armv7l", "3.11.", "tflite-runtime 2.14."),
}


class Userland(NamedTuple):
    """One that is there, with what penlatch tells of itself in it."""

    name: str
    kind: Kind
    told: Mapping[str, Any]

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        return run_in(self.name, *command)


def run_in(name: str, *command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / "arm-lab", "--in", name, *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def here_is(*arguments: str | Path) -> str:
    """Run the program here, on the package of the checkout, and return what it tells."""
    return subprocess.run(
        [sys.executable, ROOT / PROGRAM, *arguments],
        env={"PYTHONPATH": f"{ROOT / 'models'}:{ROOT / 'daemon'}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    ).stdout


@pytest.fixture(scope="module", autouse=True)
def lab() -> None:
    if "PENLATCH_USERLANDS" not in os.environ:
        pytest.skip("ARM under emulation takes minutes: scripts/arm-lab runs this")


@pytest.fixture(scope="module")
def signatures(lab: None) -> Path:  # noqa: ARG001 - nothing is drawn where it is skipped
    """A file of signatures that both sides judge, where a userland sees it too; relative to the checkout."""
    path = USERLANDS / "signatures"
    (ROOT / USERLANDS).mkdir(parents=True, exist_ok=True)
    here_is("--draw", ROOT / path)
    return path


@pytest.fixture(scope="module", params=KINDS)
def userland(request: pytest.FixtureRequest, signatures: Path) -> Userland:
    name: str = request.param
    finished = run_in(
        name, "env", f"PYTHONPATH={CHECKOUT / 'models'}", "python", CHECKOUT / PROGRAM, CHECKOUT / signatures
    )
    assert finished.returncode == 0, finished.stderr
    return Userland(name, KINDS[name], json.loads(finished.stdout))


@pytest.fixture(scope="module")
def here(signatures: Path) -> Mapping[str, Any]:
    told: Mapping[str, Any] = json.loads(here_is(ROOT / signatures))
    return told


def test_it_is_another_processor_with_the_runtime_that_the_metadata_ask_for(userland: Userland) -> None:
    assert userland.told["machine"] == userland.kind.machine
    assert userland.told["python"].startswith(userland.kind.python)
    assert userland.told["runtime"].startswith(userland.kind.runtime)


def test_what_runs_is_the_installed_package_and_all_it_requires_is_there(userland: Userland) -> None:
    assert userland.told["package"].startswith("/opt/penlatch/lib/")
    checked = userland.run("pip", "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_evdev_was_compiled_for_it(userland: Userland) -> None:
    assert "arm" in userland.told["evdev_module"] or "aarch64" in userland.told["evdev_module"]
    assert userland.told["key_of_a_pen"] == 0x140


def test_the_same_models_prove_themselves(userland: Userland, here: Mapping[str, Any]) -> None:
    assert userland.told["models"] == here["models"]


def test_golden_traces_come_out_as_here(userland: Userland, here: Mapping[str, Any]) -> None:
    for there, golden in zip(userland.told["golden"], here["golden"], strict=True):
        assert there["features"] == pytest.approx(golden["features"], abs=SAME_FEATURE)
        assert float(np.dot(there["embedding"], golden["embedding"])) > GOLDEN_COSINE


def test_every_scorer_measures_the_same_distances(
    userland: Userland, here: Mapping[str, Any], record_property: Callable[[str, object], None]
) -> None:
    for scorer in here["scores"][0]["distances"]:
        difference = largest_difference(
            [score["distances"][scorer] for score in userland.told["scores"]],
            [score["distances"][scorer] for score in here["scores"]],
        )
        record_property(f"largest difference of {scorer}", difference)
        assert difference <= (SAME_NETWORK_DISTANCE if scorer in NETWORK_SCORERS else SAME_DISTANCE), scorer


def test_the_verifier_gives_the_same_probabilities(
    userland: Userland, here: Mapping[str, Any], record_property: Callable[[str, object], None]
) -> None:
    expected = [score["probability"] for score in here["scores"]]
    found = [score["probability"] for score in userland.told["scores"]]
    assert min(expected) < 0.5 < max(expected), "people who all look alike would prove nothing"
    difference = largest_difference(found, expected)
    record_property("largest difference in P(genuine)", difference)
    assert difference <= SAME_PROBABILITY
    assert [p >= 0.5 for p in found] == [p >= 0.5 for p in expected]


def test_the_reasons_are_the_same(userland: Userland, here: Mapping[str, Any]) -> None:
    assert [score["reason"] for score in userland.told["scores"]] == [score["reason"] for score in here["scores"]]


def test_who_is_enrolled_in_a_database_is_judged_after_it_was_opened_again(
    userland: Userland, here: Mapping[str, Any]
) -> None:
    assert userland.told["kept"] == pytest.approx(here["kept"], abs=SAME_PROBABILITY)


def test_the_command_says_its_version(userland: Userland) -> None:
    finished = userland.run("penlatch", "--version")
    assert finished.returncode == 0, finished.stderr
    assert "0." in finished.stdout


def test_doctor_finds_the_models_well(userland: Userland) -> None:
    configuration = USERLANDS / "doctor.toml"
    (ROOT / configuration).write_text(CONFIGURATION, encoding="utf-8")
    examined = userland.run("penlatch", "doctor", "--json", "--config", CHECKOUT / configuration)
    findings = [json.loads(line) for line in examined.stdout.splitlines()]
    models = [finding for finding in findings if finding["name"] == "models"]
    assert [finding["state"] for finding in models] == ["ok"], findings


def test_the_daemon_enrols_and_decides(userland: Userland) -> None:
    if userland.kind.machine == "armv7l":
        pytest.skip(
            "argon2-cffi-bindings, which the demo's broker needs, did not compile in 32 bit: it is not installed there"
        )
    finished = userland.run("python", "-m", "penlatch.sim.demo")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    told = json.loads(finished.stdout.splitlines()[-1])
    assert told["ok"] is True
    assert told["genuine"] == {"n": 3, "match": 3}
    assert told["skilled"] == {"n": 2, "match": 0}


def largest_difference(some: list[float], others: list[float]) -> float:
    return float(np.abs(np.array(some) - np.array(others)).max())
