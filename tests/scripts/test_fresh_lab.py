"""A fresh, minimal Debian 13 takes the installation, shows the demo and passes tests."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "fresh-lab"
IMPOSSIBLE = 77


def test_a_fresh_debian_13_takes_all_three_commands() -> None:
    if suite := os.environ.get("PENLATCH_FRESH"):
        pytest.skip(f"this is a fresh {suite} of scripts/fresh-lab already")
    result = subprocess.run([SCRIPT, "--short", "trixie"], capture_output=True, text=True, check=False)
    if result.returncode == IMPOSSIBLE:
        pytest.skip(f"no fresh system: {result.stderr.strip().splitlines()[-1]}")
    assert result.returncode == 0, result.stderr


def test_its_help_names_every_form() -> None:
    result = subprocess.run([SCRIPT, "--help"], capture_output=True, text=True, check=True)
    for word in ("--short", "--shell", "bookworm", "trixie", "77"):
        assert word in result.stdout


def test_another_system_is_refused_by_name() -> None:
    result = subprocess.run([SCRIPT, "sid"], capture_output=True, text=True, check=False)
    assert (result.returncode, "there is no sid" in result.stderr) == (1, True)
