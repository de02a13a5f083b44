"""Makes the models: trains every network of the plan, fits every calibration, writes every model folder, measures.

    python -m training.build --out build/models [--only FOLDER …] [--data PATH] [--work build/train] [--jobs N]

Whatever lies in the working folder already is not made again, so that it can be stopped at any time and started again.
Needs TensorFlow 2.15 (Keras 2), JAX and scikit-learn; see `scripts/train`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from training import folder
from training.calibration import fit
from training.evidence import Evidence, scorer
from training.measure import figures, quoted
from training.parameters import golden_embeddings, made_with
from training.plan import FAMILIES, FOLDERS, SHIPPED, Left, evidence_of, networks
from training.splits import FOLDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penlatch.verify.artefacts import Manifest
    from penlatch.verify.calibrate import Calibration
    from training.comparisons import Comparisons

WORK: Final = Path("build/train")


class Workshop:
    """Where everything is made, and kept."""

    def __init__(self, work: Path, data: Path | None) -> None:
        self._work = work
        self._data = data
        self._evidence = Evidence(work / "evidence", data, self.network)

    def train(self, wanted: Sequence[Left], *, jobs: int) -> None:
        """Train the networks that are not there, `jobs` at a time, each in a process of its own."""
        missing = [left for left in dict.fromkeys(wanted) if not self._parameters(left).exists()]
        if not missing:
            return
        _python("training.train", "--pool", work=self._work, data=self._data)
        print(f"training {len(missing)} networks, {jobs} at a time", flush=True)
        with ThreadPoolExecutor(jobs) as workers:
            for done in [
                workers.submit(_python, "training.train", left.name, work=self._work, data=self._data)
                for left in missing
            ]:
                done.result()

    def convert(self, wanted: Sequence[Left]) -> None:
        """Convert the networks that are not converted yet."""
        missing = [left.name for left in dict.fromkeys(wanted) if not self._converted(left).exists()]
        if missing:
            print(f"converting {len(missing)} networks", flush=True)
            _python("training.convert", *missing, work=self._work, data=self._data)

    def network(self, left: Left) -> tuple[Manifest, bytes]:
        """Return a network that was trained and converted."""
        content = self._converted(left).read_bytes()
        return folder.manifest(content, left, made_with(self._parameters(left))), content

    def people(self, left: Left) -> list[Comparisons]:
        """Return everybody whom a folder may meet, each compared by a network that has not met them.

        Whom the folder must not meet is not among their random forgers either.
        """
        people = [
            person
            for fold in range(FOLDS)
            if fold not in left.folds
            for person in self._evidence.of(fold, evidence_of(left, fold))
            if left.allows(person.database, person.user)
        ]
        return self._evidence.without(people, left)

    def strangers(self, left: Left) -> list[Comparisons]:
        """Return everybody whom a folder's network has not met, compared by it."""
        return [person for fold in range(FOLDS) for person in self._evidence.of(fold, left)]

    def also(self, people: Sequence[Comparisons], left: Left, scorers: tuple[str, ...]) -> list[Comparisons]:
        """Return the same people with scorers besides, which ask no network and which no door runs."""
        others = {
            (other.database, other.user): other
            for fold in {person.fold for person in people}
            for other in self._evidence.without(self._evidence.also(fold, scorers), left)
        }
        return [person.beside(others[person.database, person.user]) for person in people]

    def make(self, name: str, out: Path, metrics: Mapping[str, Any]) -> Calibration:
        """Write a model folder."""
        left = FOLDERS[name]
        people = self.people(left)
        print(f"{name}: fitting the calibration to {len(people)} people", flush=True)
        calibration = fit(people)
        described, content = self.network(left)
        count = Counter(person.database for person in people)
        folder.write(out, content, described, calibration, people=count, metrics=metrics)
        if name == SHIPPED:
            original = golden_embeddings(self._parameters(left))
            folder.write_golden(out, original, content, scorer(described, content))
        return calibration

    def _parameters(self, left: Left) -> Path:
        return self._work / "networks" / f"{left.name}.npz"

    def _converted(self, left: Left) -> Path:
        return self._work / "networks" / f"{left.name}.tflite"


def _python(module: str, *arguments: str, work: Path, data: Path | None) -> None:
    """Run a module in a process of its own, which JAX and TensorFlow each want; one thread, for the same numbers."""
    options = ["--work", str(work), *(["--data", str(data)] if data else [])]
    one = {
        "OPENBLAS_NUM_THREADS": "1",
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    }
    subprocess.run([sys.executable, "-m", module, *arguments, *options], check=True, env={**os.environ, **one})  # noqa: S603 - ourselves


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of models to write")
    parser.add_argument("--only", nargs="+", choices=[*FOLDERS], default=[*FOLDERS], help="make these folders only")
    parser.add_argument("--data", type=Path, help="folder of the databases (default: $PENLATCH_DATA or ../shared/data)")
    parser.add_argument("--work", type=Path, default=WORK, help="working folder")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="networks trained at the same time")
    options = parser.parse_args()

    workshop = Workshop(options.work, options.data)
    wanted = [left for name in options.only for left in networks(FOLDERS[name])]
    workshop.train(wanted, jobs=options.jobs)
    workshop.convert(wanted)
    measured: dict[str, Any] = {}
    folds: list[tuple[Calibration, list[Comparisons]]] = []
    # The shipped folder last: it says what was measured of the others.
    for name in sorted(options.only, key=lambda name: name == SHIPPED):
        if name == SHIPPED:
            measured = quoted(figures(folds)) if len(folds) == FOLDS else {}
            workshop.make(name, options.out, measured)
            continue
        calibration = workshop.make(name, options.out / "folds" / name, {})
        left = FOLDERS[name]
        if left.family is None:
            folds.append((calibration, workshop.strangers(left)))
        else:
            unseen = figures([(calibration, workshop.strangers(left))])
            print(f"never met {', '.join(FAMILIES[left.family])}: {json.dumps(unseen)}", flush=True)
    print(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
