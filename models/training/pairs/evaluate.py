"""The protocol `pair`: do two pictures show one hand? The shipped file, as a terminal runs it, on writers it never met.

    python -m training.pairs.evaluate [--data PATH] [--models DIRECTORY] [--json FILE]

The writers are those of fold 0 (see `people`). Pairs are balanced, the threshold is 0.5. `trials` says how pairs are
drawn, `conditions` what the question has been through; the reference is always plain.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from penlatch.errors import ModelError
from penlatch.verify.artefacts import default_directory
from penlatch.verify.pair import HEAD, NETWORK, Pair, logistic
from penlatch.verify.runtime import RUNTIME
from training.evaluation.options import Options
from training.pairs import trials
from training.pairs.conditions import CLEAN, DEGRADED
from training.pairs.people import TEST_FOLD, read_signatures
from training.sources import DataMissingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.pairs.trials import Outcome, Trials

THRESHOLD: Final = 0.5
THRESHOLDS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.995)
"""The seed looked at thresholds from 0.1 to 0.995."""
COMMAND: Final = "python -m training.pairs.evaluate"


def run(options: Options) -> dict[str, Any]:
    """Measure, print a table, and write what was found to `options.json` if that is given.

    Args:
        options: Its `data`, `models` and `json` count; the people of this protocol are of all databases.

    Returns:
        What was written.

    Raises:
        DataMissingError: if a database is not there.
        ModelError: if the network is not, or does not answer as it must.
    """
    pair, digest = load_pair(options.models or default_directory())
    signatures, digests = read_signatures(options.data)
    tested = trials.make([s for s in signatures if s.fold == TEST_FOLD])
    probabilities = {c: logistic(logits) for c, logits in scored(tested, pair).items()}
    found: dict[str, Any] = {
        "protocol": "pair",
        "command": COMMAND,
        "models": digest,
        "runtime": RUNTIME,
        "data": digests,
        "seed": trials.SEED,
        "fold": TEST_FOLD,
        "threshold": THRESHOLD,
        "figures": figures(tested, probabilities),
    }
    print(_table(found["figures"]))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def load_pair(models: Path) -> tuple[Pair, dict[str, str]]:
    """Load and check the network of a folder, whether or not its manifest names it yet; return its digests as well.

    Raises:
        ModelError: if it is missing or does not answer as it must.
    """
    try:
        files = {name: (models / name).read_bytes() for name in (NETWORK, HEAD)}
    except OSError as error:
        raise ModelError(path=models, problem=str(error)) from error
    pair = Pair(files, directory=models)
    pair.check()
    return pair, {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def scored(tested: Trials, pair: Pair) -> dict[str, NDArray[np.float64]]:
    """Return the calibrated logit of every pair in every condition; see `trials.scores`."""

    def embed(rasters: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.stack([pair.prepare_raster(raster) for raster in rasters])

    def compare(one: NDArray[np.float32], two: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.array([pair.logits(b, [a])[0] for a, b in zip(one, two, strict=True)])

    return trials.scores(tested, embed, compare)


def figures(tested: Trials, probabilities: dict[str, NDArray[np.float64]]) -> dict[str, Any]:
    """Judge all pairs, by condition, by database and by threshold, and those with skilled forgeries apart."""
    of = tested.sources[tested.references]

    def judged(condition: str, threshold: float = THRESHOLD, **how: Any) -> dict[str, Any]:
        outcome: Outcome = trials.outcome(tested, probabilities[condition], threshold, condition=condition, **how)
        return asdict(outcome)

    return {
        "conditions": {condition: judged(condition) for condition in probabilities},
        "databases": {
            str(source): {c: judged(c, only=of == source) for c in (CLEAN, DEGRADED)} for source in np.unique(of)
        },
        "thresholds": {
            str(threshold): {c: judged(c, threshold)["accuracy"] for c in (CLEAN, DEGRADED)} for threshold in THRESHOLDS
        },
        "skilled": judged(CLEAN, impostor="skilled"),
    }


def _table(found: dict[str, Any]) -> str:
    head = (
        f"{'':24s} {'accuracy':>8s} {'95 % interval':>15s} {'FNMR':>6s} {'FMR':>6s} {'EER':>6s} {'pairs':>11s} writers"
    )
    lines = [head]
    rows = [(condition, outcome) for condition, outcome in found["conditions"].items()]
    rows += [("skilled forgeries, clean", found["skilled"])]
    rows += [
        (f"{source} {condition}"[:24], outcome)
        for source, outcomes in found["databases"].items()
        for condition, outcome in outcomes.items()
    ]
    for name, outcome in rows:
        low, high = outcome["interval"]
        lines.append(
            f"{name:24s} {outcome['accuracy']:8.2f} {f'{low:.2f} - {high:.2f}':>15s} {outcome['fnmr']:6.2f}"
            f" {outcome['fmr']:6.2f} {outcome['eer']:6.2f} {outcome['same']:5d}+{outcome['different']:<5d}"
            f" {outcome['writers']:7d}"
        )
    lines += ["", "accuracy by threshold, clean / degraded:"]
    lines += [f"  {t:>5s}  {a[CLEAN]:6.2f} / {a[DEGRADED]:6.2f}" for t, a in found["thresholds"].items()]
    return "\n".join(lines)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of the databases (default: $PENLATCH_DATA or ../shared/data)")
    parser.add_argument("--models", type=Path, help="model folder (default: the shipped one)")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    given = parser.parse_args()
    try:
        run(Options(protocol="pair", data=given.data, models=given.models, json=given.json))
    except (DataMissingError, ModelError) as error:
        sys.exit(f"evaluate: {error}")


if __name__ == "__main__":
    main()
