"""The demo: the real daemon, enrolment and verification of synthetic people, all of it as promised and cleaned up."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("amqtt", reason="the demo's broker, extra `demo`, is not installed")

ROOT = Path(__file__).parents[2]
WHOLE_S = 120
"""A whole demo has ended by then: 25 s on an idle machine, 55 s on one with four times the work it can do [s]."""
SOON_S = 30
"""A demo without a daemon has ended by then, on a machine that does other things, too [s]."""


def start(folder: Path, *arguments: str, start_new_session: bool = False) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "penlatch.sim.demo", *arguments],
        env=os.environ | {"TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=start_new_session,
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
    shown, complaints = demo.communicate(timeout=WHOLE_S)
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


@pytest.mark.parametrize(
    ("pauses_s", "to_group"),
    [((), False), ((0.0,), True), ((0.3,), True), ((0.1, 0.3), True), ((0.1, 0.3), False)],
    ids=["once", "twice at once to the group", "twice to the group", "thrice to the group", "thrice"],
)
@pytest.mark.parametrize("moment", ["A terminal starts", "daemon    penlatch run", "reference 1 of 5"])
def test_ctrl_c_leaves_nothing_behind(
    folder: Path, moment: str, pauses_s: tuple[float, ...], *, to_group: bool
) -> None:
    demo = start(folder, "--watch", start_new_session=True)
    assert demo.stdout
    for line in demo.stdout:
        if moment in line:
            break
    for pause_s in (0.0, *pauses_s):
        time.sleep(pause_s)
        with contextlib.suppress(ProcessLookupError):  # it was fast
            (os.killpg if to_group else os.kill)(demo.pid, signal.SIGINT)
    _, complaints = demo.communicate(timeout=SOON_S)
    assert demo.returncode == 130
    assert "Traceback" not in complaints
    assert list(folder.iterdir()) == []
    assert daemons(folder) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_no_other_end_leaves_anything_behind(folder: Path, number: signal.Signals) -> None:
    demo = start(folder)
    assert demo.stdout
    for line in demo.stdout:
        if "penlatch enroll" in line:
            break
    for _ in range(2):
        demo.send_signal(number)
    _, complaints = demo.communicate(timeout=SOON_S)
    assert demo.returncode == 128 + number
    assert "Traceback" not in complaints
    assert list(folder.iterdir()) == []
    assert daemons(folder) == []


def test_a_daemon_that_ended_is_told_at_once_with_its_last_word(folder: Path) -> None:
    deep = folder / ("d" * 100)  # the path of its socket has too many bytes
    deep.mkdir()
    began = time.monotonic()
    shown, complaints = start(deep).communicate(timeout=SOON_S)
    assert "the daemon ended with exit status 2" in shown + complaints
    assert "the path of a socket has fewer than 108 bytes" in shown
    assert time.monotonic() - began < SOON_S
    assert list(deep.iterdir()) == []


def test_the_script_explains_itself() -> None:
    told = subprocess.run([ROOT / "scripts/demo", "--help"], capture_output=True, text=True, check=True).stdout
    for part in ("--watch", "--seed", "Exit status"):
        assert part in told
