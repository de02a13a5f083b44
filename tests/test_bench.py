"""The benchmark starts; what it finds depends on the machine, so it is no test."""

import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "scripts" / "bench"


def test_help_lists_the_measurements() -> None:
    told = subprocess.run([SCRIPT, "--help"], capture_output=True, text=True, check=True).stdout
    assert "--json FILE" in told
    assert all(name in told for name in ("latency", "stages", "memory", "startup", "decoding", "idle", "writing"))
