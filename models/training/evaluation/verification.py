"""Verification: the protocols that judge attempts with the shipped verifier, from options to a report."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from penlatch.verify import fusion
from penlatch.verify.runtime import RUNTIME
from penlatch.verify.verifier import MAX_REFERENCES, MIN_REFERENCES
from training.datasets import read
from training.evaluation import protocols
from training.evaluation.figures import Against, Difference, Pairs, against, difference
from training.evaluation.protocols import ProtocolError, tested
from training.evaluation.report import Data, Failures, Models, Protocol, Report, Scorer
from training.evaluation.scoring import BASELINE, FUSED, Degrading, score, stated_threshold
from training.evaluation.unseen import choose, notes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training.evaluation.options import Options
    from training.evaluation.protocols import Plan
    from training.evaluation.scoring import Scored, Scores
    from training.evaluation.unseen import Choice
    from training.records import Loaded


@dataclass(frozen=True, eq=False)
class Run:
    """A report and the scores it was counted from, which are drawn but never written."""

    report: Report
    trials: tuple[Scored, ...]


def run(options: Options) -> Run:
    """Run one of the protocols `first`, `sittings`, `official` and `fusion`.

    Raises:
        DataMissingError: if the database is not there.
        DatasetError: if it is something else.
        ProtocolError: if the protocol cannot be run on it, or not by these models.
        ModelsMissingError: if there are no models that have not met its people.
        ModelError: if a model folder is damaged.
    """
    begun = time.monotonic()
    if not MIN_REFERENCES <= options.references <= MAX_REFERENCES:
        raise ProtocolError(
            f"the verifier takes {MIN_REFERENCES} to {MAX_REFERENCES} references, not {options.references}"
        )
    loaded = read(options.dataset, options.data)
    plan = _plan(options, loaded)
    people = tested(plan.trials)
    choices = choose(options.dataset, people, told=options.models, unseen_database=options.unseen_database)
    degrading = Degrading(options.degrade, queries_only=options.degrade_queries) if options.degrade else None
    scores = score(plan.trials, choices, options.scorers, degrading=degrading, seed=options.seed)
    if not scores.trials:
        raise ProtocolError("nobody could be enrolled: no reference can be analysed")
    report = Report(
        command=options.command,
        notes=tuple(notes(options.dataset, choices.values())),
        data=Data(
            dataset=options.dataset,
            sha256=loaded.sha256,
            people=len({trial.user for trial in scores.trials}),
            left_out=dict(sorted(Counter(plan.left_out.values()).items())),
        ),
        protocol=Protocol(
            name=options.protocol,
            references=options.references,
            draws=1 + max(trial.draw for trial in plan.trials),
            seed=options.seed,
            degrade=options.degrade,
            degrade_queries_only=options.degrade is not None and options.degrade_queries,
        ),
        models=_models(choices, scores),
        runtime=RUNTIME,
        versions={
            "penlatch": importlib.metadata.version("penlatch"),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        failures=_failures(loaded, plan, scores),
        scorers={scorer: _scorer(options, scorer, scores.trials) for scorer in options.scorers},
        differences=_differences(options, scores.trials),
        seconds=round(time.monotonic() - begun, 1),
    )
    return Run(report=report, trials=scores.trials)


def _plan(options: Options, loaded: Loaded) -> Plan:
    match options.protocol:
        case "first":
            return protocols.first(loaded, options.references)
        case "sittings":
            return protocols.sittings(loaded, options.references)
        case "official":
            return protocols.official(loaded, options.references, seed=options.seed)
        case "fusion":
            if options.references != 1:
                raise ProtocolError("the fusion paper compares with one reference: --refs 1")
            return protocols.fusion(loaded, seed=options.seed)
        case other:
            raise ProtocolError(f"{other} is no protocol of verification")


def _models(choices: Mapping[str, Choice], scores: Scores) -> tuple[Models, ...]:
    judged = Counter(choices[user] for user in {trial.user for trial in scores.trials})
    return tuple(
        Models(folder=choice.name, sha256=scores.models[choice.name], people=people, chosen_because=choice.why)
        for choice, people in sorted(judged.items(), key=lambda item: item[0].name)
    )


def _failures(loaded: Loaded, plan: Plan, scores: Scores) -> Failures:
    people = len(tested(plan.trials)) + len(plan.not_enrolled)
    not_enrolled = len(plan.not_enrolled) + len(scores.not_enrolled)
    known = set(tested(plan.trials))
    spoilt = Counter[str](found.kind for found in loaded.unusable if found.user in known)
    not_acquired: dict[str, int] = {kind: count + spoilt.get(kind, 0) for kind, count in scores.not_acquired.items()}
    attempts = sum(len(trial.attempts) for trial in scores.trials) + sum(not_acquired.values())
    return Failures(
        fte=round(100 * not_enrolled / people, 3),
        not_enrolled=not_enrolled,
        fta=round(100 * sum(not_acquired.values()) / attempts, 3) if attempts else 0.0,
        not_acquired=not_acquired,
    )


def _scorer(options: Options, scorer: str, trials: Sequence[Scored]) -> Scorer:
    threshold = _threshold(options, scorer, trials)
    met = np.concatenate([trial.met[trial.kinds == "random"] for trial in trials])

    def figures(pairs: Pairs) -> Against | None:
        return against(pairs, threshold=threshold, seed=options.seed)

    return Scorer(
        skilled=figures(Pairs(trials, scorer, "skilled")),
        random=figures(Pairs(trials, scorer, "random")),
        random_unmet=figures(Pairs(trials, scorer, "random", unmet=True)) if met.any() and not met.all() else None,
    )


def _threshold(options: Options, scorer: str, trials: Sequence[Scored]) -> float | None:
    if options.protocol == "fusion" and scorer == "fusion":
        # T = mean genuine cost / a (equation 22), over the very pool that is judged, as the paper has it.
        genuine = np.concatenate([trial.of(scorer, "genuine") for trial in trials])
        return float(genuine.mean()) / fusion.GENUINE_SHARE
    return stated_threshold(scorer, options.references, shipped=trials[0].threshold)


def _differences(options: Options, trials: Sequence[Scored]) -> dict[str, Difference | None]:
    if not {FUSED, BASELINE} <= set(options.scorers):
        return {}
    found: dict[str, Difference | None] = {}
    for kind in ("skilled", "random"):
        pairs = (Pairs(trials, FUSED, kind), Pairs(trials, BASELINE, kind))
        found[kind] = difference((FUSED, BASELINE), pairs, seed=options.seed) if len(pairs[0]) else None
    return found
