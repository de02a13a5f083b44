"""The second inference runtime: an environment of its own, in which a program tells what it sees there."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[2]


def told_on_the_second_runtime(program: ModuleType) -> dict[str, Any]:
    """Run a module of `support` as a program on ai-edge-litert and return what it tells as JSON; skip without one."""
    configured = os.environ.get("PENLATCH_LITERT_PYTHON")
    python = Path(configured) if configured else ROOT / ".venv-litert" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no second runtime: {python} does not exist (scripts/test --setup makes it)")
    finished = subprocess.run(
        [python, str(program.__file__)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "daemon")},
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE_S,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    answer: dict[str, Any] = json.loads(finished.stdout)
    return answer
