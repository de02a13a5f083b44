"""What the figures were measured on: machine, versions, commit."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "tflite-runtime", "ai-edge-litert", "evdev", "pyserial", "paho-mqtt", "sqlite-utils", "msgspec")

BUSY_LOAD = 0.3
"""Load per core from which on the machine does something else."""


def _first_line(command: list[str]) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return next(iter((done.stdout or done.stderr).splitlines()), None)


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def describe(root: Path) -> dict[str, Any]:
    """Describe this machine and the checkout at `root`."""
    dirty = subprocess.run(
        ["git", "-C", str(root), "status", "--porcelain", "--untracked-files=no"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    load = os.getloadavg()[0]
    memory_kb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_mb": memory_kb // 1024,
        "load": load,
        "busy": load > BUSY_LOAD * (os.cpu_count() or 1),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "packages": _versions(),
        "mosquitto": _first_line(["mosquitto", "-h"]),
        "commit": _first_line(["git", "-C", str(root), "rev-parse", "HEAD"]),
        "modified": bool(dirty.strip()),
    }
