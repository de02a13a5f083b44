"""Measures template update: references of one sitting that follow a person through the next.

    python -m training.following [--dataset susig-visual] [--data PATH] [--json FILE]

A person enrols with the first signatures of the first sitting. The signatures of the second sitting are visits, in
their order, each `every_days` after the one before, judged as a daemon judges them; with adaptation, each accepted one
goes through the very rule of the daemon (`penlatch.verify.adaptation`). The last visits are what is measured, once with
the template as it was enrolled and once with the one that followed, and the skilled forgeries against both. In a second
run a forger tries first: every skilled forgery is shown before the first visit, and those that the rule would take
become references.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from penlatch.config import Adapt
from penlatch.errors import TraceError
from penlatch.messages import Reason
from penlatch.verify.adaptation import Accepted, Exchange, Reference, exchange
from penlatch.verify.verifier import Verifier
from training.datasets import DataMissingError, read
from training.evaluation.unseen import choose
from training.metrics import bootstrap, eer, rates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from penlatch.verify.verifier import Analysis, Judgement
    from training.records import Record

REFERENCES: Final = 5
VISITS: Final = 5
"""Signatures of the second sitting that may change the template; the ones after them are measured."""
_ENROLLED: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Followed:
    """A template, and what the daemon's rule made of it."""

    verifier: Verifier
    references: list[Analysis]
    rule: Adapt
    notes: list[Reference] = field(default_factory=list)
    changed: datetime = _ENROLLED
    failures: int = 0
    taken: int = 0

    def __post_init__(self) -> None:
        """Enrol."""
        self.notes = [Reference(k, _ENROLLED.isoformat(), adapted=False) for k in range(len(self.references))]
        self.template = self.verifier.template(self.references)

    def visit(self, signature: Analysis, now: datetime) -> Judgement:
        """Judge a signature, and let the template follow it where the rule says so."""
        judged = self.verifier.verify(self.template, signature)
        if not judged.match:
            self.failures += 1
            return judged
        accepted = Accepted(
            time=now.isoformat(),
            probability=judged.probability,
            threshold=self.verifier.threshold,
            agrees=judged.reason is Reason.AGREES,
            failures=self.failures,
        )
        self.failures = 0
        decided = exchange(accepted, self.notes, changed=self.changed.isoformat(), rule=self.rule)
        if isinstance(decided, Exchange):
            self._take(signature, now, decided)
        return judged

    def _take(self, signature: Analysis, now: datetime, decided: Exchange) -> None:
        if decided.drops is not None:
            place = next(k for k, note in enumerate(self.notes) if note.position == decided.drops)
            del self.notes[place], self.references[place]
        position = 1 + max(note.position for note in self.notes)
        self.notes.append(Reference(position, now.isoformat(), adapted=True))
        self.references.append(signature)
        self.changed, self.taken = now, self.taken + 1
        self.template = self.verifier.template(self.references)

    def probabilities(self, signatures: Sequence[Analysis]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return P(genuine) of signatures, and change nothing."""
        return np.array([self.verifier.verify(self.template, signature).probability for signature in signatures])


Scores = dict[str, tuple[Any, Any]]
"""By user: P(genuine) of the measured genuine signatures and of the skilled forgeries."""


def follow(records: Sequence[Record], choices: Any, rule: Adapt) -> dict[str, Any]:
    """Measure; see this module's first lines."""
    variants: dict[str, Scores] = {"as enrolled": {}, "following": {}, "following, a forger first": {}}
    taken = {"genuine": 0, "forgeries": 0}
    verifiers: dict[Path, Verifier] = {}
    for user in sorted({record.user for record in records}):
        verifier = verifiers.setdefault(choices[user].folder, Verifier.load(choices[user].folder))
        own = [r for r in records if r.user == user]
        first, second, forged = (
            _analysed(verifier, [r for r in own if r.kind == kind and (r.session == session or kind == "skilled")])
            for kind, session in (("genuine", 1), ("genuine", 2), ("skilled", 0))
        )
        if len(first) < REFERENCES or len(second) <= VISITS:
            continue
        days = timedelta(days=rule.every_days)
        off = Followed(verifier, first[:REFERENCES], Adapt(enabled=False))
        on = Followed(verifier, first[:REFERENCES], rule)
        attacked = Followed(verifier, first[:REFERENCES], rule)
        for number, forgery in enumerate(forged):
            attacked.visit(forgery, _ENROLLED + days + timedelta(minutes=number))
        taken["forgeries"] += attacked.taken
        for number, signature in enumerate(second[:VISITS]):
            on.visit(signature, _ENROLLED + (number + 1) * days)
            attacked.visit(signature, _ENROLLED + (number + 2) * days)
        taken["genuine"] += on.taken
        for name, template in zip(variants, (off, on, attacked), strict=True):
            variants[name][user] = (template.probabilities(second[VISITS:]), template.probabilities(forged))
    return {
        "rule": {name: getattr(rule, name) for name in ("every_days", "max_adapted", "min_probability")},
        "taken": taken,
        **{name: _figures(scores) for name, scores in variants.items()},
    }


def _analysed(verifier: Verifier, records: Sequence[Record]) -> list[Analysis]:
    found = []
    for record in sorted(records, key=lambda r: r.index):
        try:
            found.append(verifier.analyse(record.trace))
        except TraceError:
            continue
    return found


def _figures(scores: Scores) -> dict[str, Any]:
    genuine, forged = (np.concatenate([pair[side] for pair in scores.values()]) for side in (0, 1))
    people = [pair for pair in scores.values() if len(pair[1])]

    def pooled(drawn: NDArray[np.intp]) -> float:
        return 100 * eer(*(np.concatenate([people[k][side] for k in drawn]) for side in (0, 1)))

    at = rates(genuine, forged, 0.5)
    return {
        "people": len(scores),
        "genuine": len(genuine),
        "skilled": len(forged),
        "eer_skilled": round(pooled(np.arange(len(people))), 2),
        "eer_skilled_interval": [round(v, 2) for v in bootstrap(len(people), pooled)],
        "fnmr": round(100 * at.fnmr, 2),
        "fmr_skilled": round(100 * at.fmr, 2),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--dataset", choices=("susig-visual", "svc2004-task2"), default="susig-visual")
    parser.add_argument("--data", type=Path, help="folder of the databases (default: $PENLATCH_DATA or ../shared/data)")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    try:
        loaded = read(options.dataset, options.data)
    except DataMissingError as error:
        raise SystemExit(f"following: {error}") from error
    users = sorted({record.user for record in loaded.records})
    figures = follow(loaded.records, choose(options.dataset, users), Adapt())
    about = {"command": f"python -m training.following --dataset {options.dataset}", "sha256": loaded.sha256}
    text = json.dumps(about | figures, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
