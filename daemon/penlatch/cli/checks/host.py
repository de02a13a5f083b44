"""The machine under the terminal: its clock, and systemd's view of the daemon."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import time
from pathlib import Path

from penlatch.cli.checks.finding import Finding

BUILT = 1_767_225_600.0
"""2026-01-01 in Unix time [s]: penlatch is younger, so a clock before it was never set."""
TIME_ERROR = 5
"""What adjtimex(2) returns while nothing keeps the clock right."""
UNIT = "penlatch.service"


def clock() -> Finding:
    """Look whether the time is plausible and kept: decisions carry it, and consumers refuse old ones."""
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    remedy = "let systemd-timesyncd or chrony keep it: timedatectl set-ntp true"
    if time.time() < BUILT:
        return Finding.fail("clock", f"it says {now}, which is before penlatch was made", remedy=remedy)
    if kernel_clock_state() == TIME_ERROR:
        return Finding.warn("clock", f"{now}, but nothing keeps it right", remedy=remedy)
    return Finding.ok("clock", now)


def kernel_clock_state() -> int:
    """Return the state of the kernel's clock as adjtimex(2) tells it, -1 where it may not be asked."""
    room = ctypes.create_string_buffer(512)  # struct timex of every architecture fits; modes = 0 changes nothing
    return int(ctypes.CDLL(None).adjtimex(room))


def unit() -> Finding:
    """Ask systemd how it has the daemon."""
    systemctl = shutil.which("systemctl")
    if systemctl is None or not Path("/run/systemd/system").is_dir():
        return Finding.warn(
            "unit", "systemd does not run this machine", remedy="see to it that something else keeps penlatch running"
        )
    command = [systemctl, "show", UNIT, "--property=LoadState,ActiveState,SubState,UnitFileState,NRestarts"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)  # noqa: S603 - fixed words
    shown = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return judge_unit(shown)


def judge_unit(shown: dict[str, str]) -> Finding:
    """Judge what `systemctl show` printed of the unit."""
    if shown.get("LoadState") != "loaded":
        return Finding.warn("unit", f"{UNIT} is {shown.get('LoadState', 'unknown')}", remedy="run scripts/install")
    state = f"{shown.get('ActiveState')} ({shown.get('SubState')}), {shown.get('UnitFileState')}"
    restarts = int(shown.get("NRestarts") or 0)
    if shown.get("ActiveState") == "failed":
        return Finding.fail("unit", state, remedy=f"journalctl -u {UNIT} says why; then systemctl restart {UNIT}")
    if shown.get("ActiveState") != "active":
        return Finding.warn("unit", state, remedy=f"systemctl start {UNIT}")
    if shown.get("UnitFileState") != "enabled":
        return Finding.warn("unit", f"{state}: it will not start at boot", remedy=f"systemctl enable {UNIT}")
    if restarts:
        return Finding.warn("unit", f"{state}, restarted {restarts} times", remedy=f"journalctl -u {UNIT} says why")
    return Finding.ok("unit", state)
