"""The BiLSTM-SE dual-task system on the paper's protocol: a network per user, three models, SVC2004 Task2.

    python -m training.seeds.dual_task [--seeds 3] [--models 1 2 3]

Of each of the 40 users, S1-S15 and the forgeries S21-S35 train a network of its own, S16-S20 and S36-S40 are tested;
the score is the softmax' posterior of *genuine*. Nothing is chosen by the tested signatures: what counts are the scores
after the last epoch. The paper calls the tested signatures its validation set; what choosing the epoch on them would
give is told apart, as `stopped_on_the_test`.

Prints the paper's Tables 2 to 4 beside ours, draws the ROC curves, writes `models/results/seed-dual-task.json`.
Finished users are kept in `build/seeds/`.
"""

from __future__ import annotations

import os

# Before JAX is imported: matrices of this size gain nothing from threads, and the order of threads nothing for repeats.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import argparse
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from penlatch.signal.channels import PAPER_CHANNELS, SEQUENCE_ROWS, sequence
from penlatch.signal.features import FEATURES, global_features
from penlatch.signal.preprocess import clean
from training.datasets import by_user, load
from training.metrics import eer, rates
from training.seeds.dual_network import (
    ALPHA,
    BATCH,
    BETA,
    CENTER_RATE,
    EPOCHS,
    FILTERS,
    HIDDEN,
    LEARNING_RATE,
    MODELS,
    ModelNumber,
    Signatures,
    train_and_score,
)
from training.seeds.figures import draw_roc
from training.seeds.intervals import of_attempts
from training.seeds.kept import Kept
from training.seeds.provenance import digests, write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from penlatch.ink import Trace

TRAINED: Final = 15
"""First signatures of either class of a user that train; the others, `TESTED` of them, are tested."""
TESTED: Final = 5
STAGES: Final = 10
"""Scores are taken after every tenth of the epochs."""
_CONSTANT: Final = 1e-9
"""A feature that varies by less says nothing."""
REVISION: Final = 1
"""Of the network's code: raise it when what is kept in `build/` no longer counts."""

PAPER_MODELS: Final[Mapping[ModelNumber, tuple[float, float]]] = {1: (87.99, 12.30), 2: (95.83, 4.77), 3: (97.03, 2.33)}
"""The paper's Table 3: accuracy and EER in percent."""
PAPER_ERRORS: Final[Mapping[str, tuple[int, int]]] = {
    "U02": (1, 1),
    "U07": (0, 1),
    "U11": (1, 0),
    "U12": (2, 1),
    "U21": (1, 2),
    "U26": (1, 2),
    "U30": (2, 1),
    "U32": (0, 1),
    "U37": (1, 0),
}
"""The paper's Table 2: false rejects and false accepts of the users that have any."""
PAPER_RELATED: Final = (
    ("Sharma (2017), DTW, common threshold", 7.80),
    ("Xia (2018), DTW constrained by signature curves", 2.60),
    ("Vorugunti (2019), few-shot learning", 5.83),
    ("He (2018), curvature + torsion + Hausdorff distance", 6.61),
    ("Vorugunti (2020), feature fusion", 2.98),
    ("the paper", 2.33),
)
"""The paper's Table 4: EER in percent."""


class Run(NamedTuple):
    """Scores of the tested signatures of all users by one model and seed."""

    genuine: NDArray[np.float64]
    """float64 [stages, users, TESTED]."""
    forged: NDArray[np.float64]
    """Likewise."""


def signatures(genuine: Sequence[Trace], forged: Sequence[Trace]) -> tuple[Signatures, Signatures]:
    """Compute what the networks of one user take, standardising global features by those that train.

    Args:
        genuine: TRAINED + TESTED of them, in the order of the database.
        forged: Likewise.

    Returns:
        2 TRAINED signatures that train, and 2 TESTED that are tested; the genuine ones first.
    """
    inks = [clean(trace) for trace in (*genuine, *forged)]
    sequences = np.stack([sequence(ink, channels=PAPER_CHANNELS, length=SEQUENCE_ROWS) for ink in inks])
    features = np.stack([global_features(ink) for ink in inks])
    classes = np.repeat(np.array([0, 1], dtype=np.int32), [len(genuine), len(forged)])
    trains = np.concatenate([np.arange(n) < TRAINED for n in (len(genuine), len(forged))])
    mean, deviation = features[trains].mean(axis=0), features[trains].std(axis=0)
    z = np.divide(features - mean, deviation, out=np.zeros_like(features), where=deviation > _CONSTANT)
    first, second = (
        Signatures(sequences[rows], z[rows].astype(np.float32), classes[rows]) for rows in (trains, ~trains)
    )
    return first, second


def figures(genuine: NDArray[np.float64], forged: NDArray[np.float64]) -> dict[str, float]:
    """Return accuracy at 0.5, EER at a common threshold and the mean EER per user, in percent.

    Args:
        genuine: P(genuine), float64 [users, tested].
        forged: Likewise.
    """
    errors = rates(genuine.ravel(), forged.ravel(), 0.5)
    return {
        "accuracy": 100 * (1 - (errors.fnmr + errors.fmr) / 2),
        "eer": 100 * eer(genuine.ravel(), forged.ravel()),
        "eer_per_user": 100 * float(np.mean([eer(g, f) for g, f in zip(genuine, forged, strict=True)])),
    }


def stopped_on_the_test(run: Run) -> dict[str, dict[str, float]]:
    """Return the figures where the tested signatures choose when training stops: for all users alike, and for each.

    What a "validation set" that is also the test set allows, and nothing that a user will see.
    """
    errors = (run.genuine < 0.5).sum(-1) + (run.forged >= 0.5).sum(-1)
    alike = int(np.argmin(errors.sum(-1)))
    each, users = np.argmin(errors, axis=0), np.arange(errors.shape[1])
    return {
        "one_epoch": figures(run.genuine[alike], run.forged[alike]),
        "epoch_per_user": figures(run.genuine[each, users], run.forged[each, users]),
    }


def summary(users: Sequence[str], runs: Sequence[Run]) -> dict[str, Any]:
    """Return the figures of one model: each seed's, their mean and spread, the interval over users of the first."""
    each = [figures(run.genuine[-1], run.forged[-1]) for run in runs]
    mean = {name: float(np.mean([f[name] for f in each])) for name in each[0]}
    spread = {name: float(np.std([f[name] for f in each], ddof=1)) for name in each[0]} if len(each) > 1 else None
    pooled = [
        (np.concatenate([run.genuine[-1][k] for run in runs]), np.concatenate([run.forged[-1][k] for run in runs]))
        for k in range(len(users))
    ]
    optimistic = [stopped_on_the_test(run) for run in runs]
    return {
        "mean": _rounded(mean),
        "standard_deviation_over_seeds": spread and _rounded(spread),
        "seeds": [_rounded(f) for f in each],
        "eer_interval_over_users": of_attempts(pooled, eer),
        "accuracy_interval_over_users": of_attempts(pooled, _accuracy),
        "stopped_on_the_test": {
            way: _rounded({name: float(np.mean([o[way][name] for o in optimistic])) for name in mean})
            for way in optimistic[0]
        },
        "false_rejects": {u: [int((r.genuine[-1][k] < 0.5).sum()) for r in runs] for k, u in enumerate(users)},
        "false_accepts": {u: [int((r.forged[-1][k] >= 0.5).sum()) for r in runs] for k, u in enumerate(users)},
    }


def _accuracy(genuine: NDArray[np.float64], forged: NDArray[np.float64]) -> float:
    errors = rates(genuine, forged, 0.5)
    return 1 - (errors.fnmr + errors.fmr) / 2


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in values.items()}


def tables(found: Mapping[ModelNumber, Mapping[str, Any]]) -> str:
    """Return the paper's tables beside ours, as Markdown."""
    lines = [
        "Table 3",
        "",
        "| model | accuracy: paper | ours (sd) | EER: paper | ours (sd) | 95 % over users | mean per user |",
        "|---|---|---|---|---|---|---|",
    ]
    for model, f in found.items():
        mean, low_high = f["mean"], f["eer_interval_over_users"]
        spread = f["standard_deviation_over_seeds"] or dict.fromkeys(mean, float("nan"))
        lines.append(
            f"| {model} | {PAPER_MODELS[model][0]:.2f} | {mean['accuracy']:.2f} ({spread['accuracy']:.2f}) "
            f"| {PAPER_MODELS[model][1]:.2f} | {mean['eer']:.2f} ({spread['eer']:.2f}) "
            f"| {low_high[0]:.2f} - {low_high[1]:.2f} | {mean['eer_per_user']:.2f} |"
        )
    best = found[max(found)]
    lines += ["", f"Table 2 (model {max(found)}, by seed)", "", "| user | false rejects: paper | ours |"]
    lines[-1] += " false accepts: paper | ours |"
    lines.append("|---|---|---|---|---|")
    for user in best["false_rejects"]:
        rejects, accepts = best["false_rejects"][user], best["false_accepts"][user]
        printed = PAPER_ERRORS.get(user, (0, 0))
        if any(rejects) or any(accepts) or any(printed):
            ours = [", ".join(map(str, counts)) for counts in (rejects, accepts)]
            lines.append(f"| {user} | {printed[0]} | {ours[0]} | {printed[1]} | {ours[1]} |")
    lines += [
        "",
        "Table 4",
        "",
        "| | EER |",
        "|---|---|",
        *(f"| {name} | {rate:.2f} |" for name, rate in PAPER_RELATED),
    ]
    lines += [f"| the paper's model {model}, made here | {f['mean']['eer']:.2f} |" for model, f in found.items()]
    return "\n".join(lines)


def run(
    *, seeds: int, models: Iterable[ModelNumber] = MODELS, data: Path | None = None
) -> tuple[list[str], dict[ModelNumber, list[Run]]]:
    """Train and test every model on every user with each seed, saying how far it is.

    Returns:
        Names of the users, and for each model a run per seed.

    Raises:
        DataMissingError: if SVC2004 Task2 is not there.
    """
    people = by_user(load("svc2004-task2", data))
    setting = {
        "data": digests(["svc2004-task2"], data),
        "network": [ALPHA, BETA, EPOCHS, BATCH, LEARNING_RATE, FILTERS, HIDDEN, CENTER_RATE],
        "inputs": [*PAPER_CHANNELS, SEQUENCE_ROWS, len(FEATURES)],
        "revision": REVISION,
    }
    kept, begun = Kept("dual-task", setting), time.monotonic()
    inputs = {user: signatures(traces["genuine"], traces["skilled"]) for user, traces in people.items()}
    found: dict[ModelNumber, list[Run]] = {}
    for seed in range(1, seeds + 1):
        for model in models:
            scores = []
            for user, (training, tested) in inputs.items():
                train = partial(
                    train_and_score,
                    training,
                    tested,
                    model=model,
                    seed=seed,
                    user=int(user.removeprefix("U")),
                    stages=STAGES,
                )
                scores.append(kept.result(f"model{model}-seed{seed}-{user}", train))
                print(f"seed {seed}  model {model}  {user}  {time.monotonic() - begun:.0f} s", flush=True)
            table = np.array(scores).swapaxes(0, 1)
            found.setdefault(model, []).append(Run(table[..., :TESTED], table[..., TESTED:]))
    return list(people), found


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of the databases (default: $PENLATCH_DATA or ../shared/data)")
    parser.add_argument("--seeds", type=int, default=3, help="repetitions, each with weights and orders of its own")
    parser.add_argument("--models", type=int, nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--figure", type=Path, help="draw the ROC curves into this SVG file")
    options = parser.parse_args()

    users, runs = run(seeds=options.seeds, models=options.models, data=options.data)
    found = {model: summary(users, of_model) for model, of_model in runs.items()}
    path = write(
        "seed-dual-task",
        f"scripts/reproduce dual-task --seeds {options.seeds}",
        {
            "seeds": list(range(1, options.seeds + 1)),
            "tested": {"users": len(users), "genuine": len(users) * TESTED, "forged": len(users) * TESTED},
            "models": {str(model): f for model, f in found.items()},
        },
        data=digests(["svc2004-task2"], options.data),
        packages=("jax", "numpy"),
    )
    if options.figure:
        curves = {f"model {m}": (r[0].genuine[-1].ravel(), r[0].forged[-1].ravel()) for m, r in runs.items()}
        draw_roc(curves, options.figure)
    print(f"\n{tables(found)}\n\nwritten: {path}")


if __name__ == "__main__":
    main()
