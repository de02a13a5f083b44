"""The command line of the fuzzer; see `scripts/fuzz`."""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fuzzlib import crew, targets
from fuzzlib.coverage import Coverage
from fuzzlib.limits import TooLongError, Watchdog, bound_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzzlib.engine import Finding

FINDINGS: Final = Path("build/fuzz")
MIB: Final = 1 << 20


def main(argv: Sequence[str] | None = None) -> int:
    """Fuzz, or feed one file; return 1 where something was found."""
    known = targets.names()
    parser = argparse.ArgumentParser(prog="scripts/fuzz", epilog=f"targets: {', '.join(known)}")
    parser.add_argument("target", nargs="?", choices=known, metavar="TARGET", help="this one; without it, all")
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="feed this file alone: what was found")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="so many for each target [%(default)s]")
    parser.add_argument(
        "--slow", type=int, default=1_000_000, help="so many for each that takes milliseconds [%(default)s]"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the dice [%(default)s]")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="side by side [%(default)s]")
    options = parser.parse_args(argv)
    coverage = Coverage()
    coverage.watch("penlatch")
    if options.file:
        return replay(options.target, options.file)
    jobs = []
    for name in [options.target] if options.target else known:
        target = targets.load(name)
        jobs.append(crew.Job(name, target, options.slow if target.slow else options.inputs, options.seed))
    found = 0
    for job, outcome in crew.run(jobs, at_a_time=options.jobs, coverage=coverage):
        told = (
            f"{outcome.fed:,} inputs, {outcome.taken:,} taken",
            f"{outcome.blocks} blocks that no seed reached",
            f"{outcome.processor_s:.0f} s, {outcome.memory_bytes / MIB:.0f} MiB",
        )
        print(f"{job.name}: {', '.join(told)}", flush=True)
        if outcome.finding is not None:
            found += 1
            path = keep(job.name, outcome.finding)
            print(f"  FINDING: scripts/fuzz {job.name} {path}\n{outcome.finding.problem}", flush=True)
    return int(found > 0)


def keep(name: str, finding: Finding) -> Path:
    """Write what was found to a file; return where."""
    FINDINGS.mkdir(parents=True, exist_ok=True)
    path = FINDINGS / f"{name}-{hashlib.sha256(finding.data).hexdigest()[:12]}"
    path.write_bytes(finding.data)
    return path


def replay(name: str, path: Path) -> int:
    """Feed one file, within the same bounds; return 1 where it is a finding."""
    target, data, watchdog = targets.load(name), path.read_bytes(), Watchdog()
    target.seeds()
    bound_memory()
    watchdog.start()
    try:
        watchdog.under_way = 1
        print("taken" if target.run(data) else "refused, as it should be")
    except (Exception, TooLongError):  # noqa: BLE001 - whatever it is, it is a finding
        traceback.print_exc()
        return 1
    finally:
        watchdog.under_way = 0
        watchdog.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
