"""Matrix: every database judged by models made from the others, so that each is tested as one never seen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from training.evaluation.report import Matrix
from training.evaluation.scoring import DEFAULT
from training.evaluation.unseen import choose
from training.evaluation.verification import run

if TYPE_CHECKING:
    from training.evaluation.options import Options
    from training.records import Database

ROWS: Final[tuple[Database, ...]] = (
    "svc2004-task1",
    "svc2004-task2",
    "susig-visual",
    "susig-blind",
    "sigcomp2009",
    "sigcomp2011-dutch",
)


def run_matrix(options: Options) -> Matrix:
    """Run protocol `first` on every database; see `verification.run` for what can go wrong."""
    rows = [
        replace(options, dataset=dataset, protocol="first", scorers=DEFAULT, unseen_database=options.models is None)
        for dataset in ROWS
    ]
    for row in rows:
        # Better now than after an hour.
        choose(row.dataset, ["1"], told=row.models, unseen_database=row.unseen_database)
    words = ["scripts/evaluate --matrix --refs", str(options.references), "--seed", str(options.seed)]
    if options.degrade is not None:
        words += ["--degrade", options.degrade, *(["--degrade-queries"] if options.degrade_queries else [])]
    if options.models is not None:
        words += ["--models", options.models.name]
    return Matrix(command=" ".join(words), reports=tuple(run(row).report for row in rows))
