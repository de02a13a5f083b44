"""The command line of the benchmark; see `scripts/bench`, which starts it in the project's own environment."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchlib.figures import BUSY, Figure, markdown, table
from benchlib.machine import describe
from benchlib.processes import ROOT
from benchlib.terminal import Bench

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MEASUREMENTS: Mapping[str, str] = {
    "latency": "pen-up wait over to PUBACK, of the real daemon",
    "stages": "time per stage, in process",
    "memory": "resident memory after the verifications",
    "startup": "process start to READY=1",
    "decoding": "evdev decoding",
    "idle": "idle CPU, pen near and away",
    "writing": "CPU while a pen writes",
}
"""Each is a module of this package with a function `measure(bench) -> list[Figure]`, in the order in which they run."""


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    listed = "\n".join(f"  {name:<10} {what}" for name, what in MEASUREMENTS.items())
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure penlatch on this machine, with the plain alternative beside each figure, and say which of "
        "the design's targets are met.",
        epilog=f"measurements:\n{listed}\n\nAn otherwise idle machine is needed for figures that mean anything.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write figures, machine and versions to FILE")
    parser.add_argument("--markdown", metavar="FILE", type=Path, help="also write the page that docs/figures.md is")
    parser.add_argument("--quick", action="store_true", help="few repetitions: to see that it works, not to quote")
    parser.add_argument(
        "--only", metavar="NAME", action="append", choices=[*MEASUREMENTS], help="this measurement alone; repeatable"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for. Exit status 0 when it all could be measured, whether or not the targets are met."""
    arguments = _arguments(argv)
    bench = Bench(quick=arguments.quick)
    machine = describe(ROOT)
    found: dict[str, list[Figure]] = {}
    for name, what in MEASUREMENTS.items():
        if arguments.only and name not in arguments.only:
            continue
        print(f"{name}: {what} …", file=sys.stderr, flush=True)
        found[name] = importlib.import_module(f"benchlib.{name}").measure(bench)
    print(f"\n{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, commit {machine['commit']}\n")
    if machine["busy"]:
        print(f"{BUSY}\n")
    every = [figure for figures in found.values() for figure in figures]
    print(table(every))
    if arguments.markdown:
        arguments.markdown.write_text(markdown(every, machine=machine, quick=arguments.quick), encoding="utf-8")
    if arguments.json:
        told = {
            "machine": machine,
            "quick": arguments.quick,
            "measurements": {name: [figure.as_json() for figure in figures] for name, figures in found.items()},
        }
        arguments.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
