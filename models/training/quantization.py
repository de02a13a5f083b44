"""Measures what quantization costs: both scorers of the network before and after, on people whom it has not met.

    python -m training.quantization [--work build/train] [--data PATH] [--json FILE]

Needs the fold networks that `scripts/train --all` leaves in the working folder. SVC2004 Task2, first five references.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from penlatch.signal.channels import sequence
from penlatch.signal.features import FEATURES, global_features
from penlatch.signal.preprocess import clean
from penlatch.verify import alignment, bilstm_se, dtw
from training import network
from training.build import WORK, Workshop
from training.evidence import everybody, scorer
from training.metrics import eer
from training.parameters import read
from training.plan import FOLDERS
from training.samples import CHANNELS, LENGTH, NETWORK_FEATURES
from training.splits import FOLDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from training.comparisons import Claims

DATABASE: Final = "svc2004-task2"
REFERENCES: Final = 5
_COLUMNS: Final = [place for place, feature in enumerate(FEATURES) if feature.name in NETWORK_FEATURES]
_run = jax.jit(network.apply)

Views = dict[str, list["NDArray[np.float32]"]]
"""By scorer: what the network makes of each signature."""


def before(parameters: dict[str, Any], rows: NDArray[np.float32], features: NDArray[np.float32]) -> Views:
    """Run the network as it was trained."""
    frames, embeddings = (np.asarray(out) for out in _run(parameters, jnp.asarray(rows), jnp.asarray(features)))
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return {"alignment": list(frames), "bilstm_se": list(units)}


def after(shipped: bilstm_se.BilstmSe, rows: NDArray[np.float32], features: NDArray[np.float32]) -> Views:
    """Run the network as it ships."""
    views = [shipped.look(*inputs) for inputs in zip(rows, features, strict=True)]
    return {"alignment": [view.frames for view in views], "bilstm_se": [view.embedding for view in views]}


_DISTANCES: Final[dict[str, Callable[..., NDArray[np.float64]]]] = {
    "alignment": alignment.distances,
    "bilstm_se": bilstm_se.distances,
}


def scores(views: Views, name: str) -> NDArray[np.float64]:
    """Return the score of every signature after the references, as `scripts/evaluate --scorer` has it."""
    distances = _DISTANCES[name]
    references = views[name][:REFERENCES]
    between = np.stack([distances(reference, references) for reference in references])
    found = [-dtw.normalised_score(distances(query, references), between) for query in views[name][REFERENCES:]]
    return np.array(found)


def _inputs(person: Claims) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    inks = [clean(record.trace) for record in person.records]
    rows = np.stack([sequence(ink, channels=CHANNELS, length=LENGTH) for ink in inks])
    return rows, np.stack([global_features(ink)[_COLUMNS] for ink in inks]).astype(np.float32)


def measure(people: Sequence[Claims], workshop: Workshop, work: Path) -> dict[str, Any]:
    """Return the skilled EER [%] of each scorer before and after, and their difference."""
    found: dict[tuple[str, str, str], list[NDArray[np.float64]]] = {}
    for fold in range(FOLDS):
        left = FOLDERS[f"fold-{fold}"]
        shipped = scorer(*workshop.network(left))
        parameters = {k: jnp.asarray(v) for k, v in read(work / "networks" / f"{left.name}.npz").items()}
        for person in people:
            if person.fold != fold:
                continue
            inputs, kinds = _inputs(person), person.kinds[REFERENCES:]
            for when, views in (("before", before(parameters, *inputs)), ("after", after(shipped, *inputs))):
                for name in _DISTANCES:
                    values = scores(views, name)
                    for kind in ("genuine", "skilled"):
                        found.setdefault((name, when, kind), []).append(values[kinds == kind])
    figures = {}
    for name in _DISTANCES:
        rates = {
            when: 100 * eer(*(np.concatenate(found[name, when, kind]) for kind in ("genuine", "skilled")))
            for when in ("before", "after")
        }
        figures[name] = {
            **{k: round(v, 2) for k, v in rates.items()},
            "cost": round(rates["after"] - rates["before"], 2),
        }
    return figures


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of the databases (default: $PENLATCH_DATA or ../shared/data)")
    parser.add_argument("--work", type=Path, default=WORK, help="working folder of scripts/train")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    people = [person for person in everybody(options.data) if person.database == DATABASE]
    figures = measure(people, Workshop(options.work, options.data), options.work)
    about = {"command": "python -m training.quantization", "database": DATABASE, "people": len(people)}
    text = json.dumps(about | {"eer_skilled": figures}, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
