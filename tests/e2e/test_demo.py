"""The demo: the real daemon, enrolment and verification of synthetic people, all of it as promised and cleaned up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("amqtt", reason="the demo's broker, extra `demo`, is not installed")

ROOT = Path(__file__).parents[2]
PATIENCE_S = 300


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "penlatch.sim.demo", *arguments],
        env=os.environ | {"TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # With a short name, for the path of a Unix socket may not be long.
    return tmp_path_factory.mktemp("demo")


def daemons(folder: Path) -> list[str]:
    """Command lines of all processes that use `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found


def test_all_of_it_happens_as_it_should(folder: Path) -> None:
    demo = start(folder)
    shown, complaints = demo.communicate(timeout=PATIENCE_S)
    assert demo.returncode == 0, shown + complaints
    assert complaints == ""
    told = json.loads(shown.splitlines()[-1])
    assert told["ok"] is True
    assert told["enrolled"]["references"] == 5
    assert told["genuine"] == {"n": 3, "match": 3}
    assert told["skilled"] == {"n": 2, "match": 0}
    assert told["random"] == {"n": 2, "match": 0}
    assert told["retry"] == {"n": 2, "retry": 2}
    for part in (
        "penlatch enroll ada",
        "P(genuine)",
        "too_short",
        "pen_lost",
        "ms after the pen-up wait",
        "MQTT 3.1.1",
    ):
        assert part in shown
    assert list(folder.iterdir()) == []
    assert daemons(folder) == []


def test_ctrl_c_leaves_nothing_behind(folder: Path) -> None:
    demo = start(folder, "--watch")
    assert demo.stdout
    for line in demo.stdout:
        if "reference 1 of 5" in line:
            break
    assert daemons(folder)
    demo.send_signal(signal.SIGINT)
    _, complaints = demo.communicate(timeout=PATIENCE_S)
    assert demo.returncode == 130
    assert "Traceback" not in complaints
    assert list(folder.iterdir()) == []
    assert daemons(folder) == []


def test_the_script_explains_itself() -> None:
    told = subprocess.run([ROOT / "scripts/demo", "--help"], capture_output=True, text=True, check=True).stdout
    for part in ("--watch", "--seed", "Exit status"):
        assert part in told
