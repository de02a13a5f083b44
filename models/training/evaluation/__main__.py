"""The command line: `scripts/evaluate`, or `python -m training.evaluation`.

Exit status: 0 the figures are printed, 1 they cannot be had, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Final

from penlatch.errors import PenlatchError
from training.datasets import DataMissingError, DatasetError
from training.evaluation.attempts import as_table
from training.evaluation.degrade import DEGRADATIONS
from training.evaluation.matrix import run_matrix
from training.evaluation.options import DATASETS, PROTOCOLS, REFERENCES, Options
from training.evaluation.protocols import MAX_REFERENCES, ProtocolError
from training.evaluation.registry import runner
from training.evaluation.report import to_json
from training.evaluation.scoring import DEFAULT, FUSED, SCORERS
from training.evaluation.sessions import as_text as sessions_as_text
from training.evaluation.sessions import sessions
from training.evaluation.text import as_text, matrix_as_text
from training.evaluation.unseen import ModelsMissingError
from training.evaluation.verification import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

SESSIONS: Final = ("first", "sittings")
"""Protocols in which a person is enrolled once."""
CHECKOUT: Final = Path(__file__).resolve().parents[3]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = _parser()
    given = parser.parse_args(arguments)
    options = _options(parser, given)
    try:
        if given.matrix:
            matrix = run_matrix(options)
            print(matrix_as_text(matrix))
            _write(options.json, to_json(matrix))
            return
        found = runner(options.protocol)(options)
        if isinstance(found, Run) and options.sessions:
            counted = sessions(found, rise=options.rise, seed=options.seed)
            print(sessions_as_text(counted))
            _write(options.json, to_json(counted))
        elif isinstance(found, Run):
            print(as_text(found.report))
            _write(options.json, to_json(found.report))
            _write(options.scores, as_table(found.trials).encode())
            if options.report:
                _draw(found, options.report)
    except (DataMissingError, DatasetError, ModelsMissingError, ProtocolError, PenlatchError) as error:
        raise SystemExit(f"evaluate: {error}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/evaluate", description="Measures how often the verifier errs, on people its models have not met."
    )
    what = parser.add_argument_group("what is measured")
    what.add_argument("--dataset", choices=DATASETS, default="svc2004-task2", help="default: %(default)s")
    what.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="the archive, the unpacked folder, or the folder that holds either (default: $PENLATCH_DATA, else "
        "shared/data beside the checkout); for index: the CSV file with user,kind,session,path",
    )
    what.add_argument("--protocol", choices=PROTOCOLS, default="first", help="default: %(default)s")
    what.add_argument(
        "--refs",
        type=int,
        choices=range(1, MAX_REFERENCES + 1),
        metavar=f"1..{MAX_REFERENCES}",
        help=f"references of each person (default: {REFERENCES}; 1 for the protocol fusion)",
    )
    what.add_argument(
        "--scorer",
        action="append",
        choices=[*SCORERS, "all"],
        help=f"whose scores are judged; repeatable (default: {' and '.join(DEFAULT)})",
    )
    what.add_argument("--matrix", action="store_true", help="every database, by models made from the others")
    what.add_argument(
        "--sessions",
        action="store_true",
        help="chances per visit and in eight hours of a forger and of a person, without and with what [lockout] does",
    )
    what.add_argument(
        "--rise",
        action="append",
        type=_row,
        metavar="FAILURES:THRESHOLD",
        help="for --sessions: a row of another lockout.rise than the default; repeatable",
    )
    who = parser.add_argument_group("by which models")
    who.add_argument("--models", type=Path, metavar="DIR", help="this folder for everybody, whomever it has met")
    who.add_argument("--unseen-database", action="store_true", help="models that have met nobody of the whole database")
    how = parser.add_argument_group("as poorer pens would have recorded them")
    how.add_argument("--degrade", choices=list(DEGRADATIONS), help="before a signature is analysed")
    how.add_argument("--degrade-queries", action="store_true", help="only what is tested, not the references")
    out = parser.add_argument_group("what comes out")
    out.add_argument("--json", type=Path, metavar="FILE", help="all figures; docs/evaluate.md explains the keys")
    out.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="DET and ROC curves, histograms, the per-user table and the worst cases: pictures of real signatures, "
        "which are for your eyes only",
    )
    out.add_argument("--scores", type=Path, metavar="FILE", help="every attempt with its scores, tab-separated")
    out.add_argument("--seed", type=int, default=0, help="of draws and of the bootstrap (default: 0)")
    return parser


def _row(text: str) -> tuple[int, float]:
    """Return a row of `lockout.rise`.

    Raises:
        ValueError: if it is none.
    """
    failures, threshold = text.split(":")
    return int(failures), float(threshold)


def _options(parser: argparse.ArgumentParser, given: argparse.Namespace) -> Options:
    scorers = (FUSED,) if given.sessions else tuple(dict.fromkeys(given.scorer or DEFAULT))
    if "all" in scorers:
        scorers = SCORERS
    if given.models and given.unseen_database:
        parser.error("--models says who judges, and so does --unseen-database: one of them")
    if given.degrade_queries and not given.degrade:
        parser.error("--degrade-queries wants --degrade as well")
    if given.matrix and (given.report or given.scores or given.unseen_database or given.scorer):
        parser.error("--matrix takes --refs, --data, --models, --seed, --degrade and --json alone")
    if given.sessions and (given.matrix or given.report or given.scores or given.scorer):
        parser.error(
            "--sessions counts what the verifier matches: it takes no --scorer, --matrix, --report or --scores"
        )
    if given.rise and not given.sessions:
        parser.error("--rise wants --sessions as well")
    if given.sessions and given.protocol not in SESSIONS:
        parser.error(f"--sessions takes --protocol {' or '.join(SESSIONS)}")
    if given.report and given.report.resolve().is_relative_to(CHECKOUT):
        parser.error("--report draws real signatures: name a folder outside of the checkout")
    if given.report and importlib.util.find_spec("matplotlib") is None:
        parser.error("--report draws with matplotlib, which is not installed: pip install 'penlatch[evaluate]'")
    return Options(
        dataset=given.dataset,
        data=given.data,
        protocol=given.protocol,
        references=given.refs or (1 if given.protocol == "fusion" else REFERENCES),
        scorers=scorers,
        json=given.json,
        report=given.report,
        scores=given.scores,
        models=given.models,
        unseen_database=given.unseen_database,
        sessions=given.sessions,
        rise=tuple(given.rise) if given.rise else None,
        degrade=given.degrade,
        degrade_queries=given.degrade_queries,
        seed=given.seed,
    )


def _write(path: Path | None, content: bytes) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _draw(found: Run, folder: Path) -> None:
    # matplotlib, only where something is drawn.
    from training.evaluation.page import write_page  # noqa: PLC0415

    print(f"drawn: {write_page(found, folder)}")


if __name__ == "__main__":
    main()
