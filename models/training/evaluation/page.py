"""Page: one `index.html` with everything that a report draws, and the pictures beside it.

The pictures show real signatures: the folder is its owner's, and belongs into no repository.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

import numpy as np

from training.evaluation.degrade import degraded
from training.evaluation.drawing.curves import det, roc
from training.evaluation.drawing.histograms import histogram
from training.evaluation.drawing.signatures import SIZE, Panel, pair
from training.evaluation.drawing.style import save
from training.evaluation.figures import Pairs
from training.evaluation.progress import progress
from training.evaluation.scoring import FUSED
from training.evaluation.text import as_text
from training.evaluation.worst import worst_cases
from training.metrics import eer, rates

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from penlatch.ink import Trace
    from training.evaluation.report import Report
    from training.evaluation.scoring import Scored
    from training.evaluation.verification import Run
    from training.evaluation.worst import Case
    from training.records import Record

PAGE: Final = "index.html"

_TITLES: Final = {
    "genuine": "Genuine signatures that look forged",
    "skilled": "Skilled forgeries that look genuine",
    "random": "Random forgeries that look genuine",
}

_STYLE: Final = """
:root { color-scheme: light; --ink: #1c2330; --faint: #5d6675; --line: #e3e7ee; --warn: #c2452d; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 2rem 1.5rem 5rem; color: var(--ink);
       font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; background: #fff; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { margin: 2.6rem 0 .8rem; font-size: 1.2rem; }
p.note { color: var(--warn); margin: .2rem 0; } p.faint { color: var(--faint); margin: .2rem 0; }
pre { background: #f6f7fa; border: 1px solid var(--line); border-radius: 6px; padding: 1rem; overflow-x: auto;
      font: 12.5px/1.45 ui-monospace, "DejaVu Sans Mono", monospace; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1.2rem; align-items: start; }
img { max-width: 100%; height: auto; } figure { margin: 0 0 1.2rem; }
figure.case { border: 1px solid var(--line); border-radius: 6px; padding: .6rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid var(--line); }
th { font-weight: 600; color: var(--faint); } th:first-child, td:first-child { text-align: left; }
td.bad { color: var(--warn); font-weight: 600; }
"""


def write_page(run: Run, folder: Path) -> Path:
    """Draw everything into a folder, which is made where it is missing, and return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / PAGE
    page.write_text("\n".join(_page(run, folder)) + "\n", encoding="utf-8")
    return page


def _page(run: Run, folder: Path) -> Iterator[str]:
    report, trials = run.report, run.trials
    title = f"{report.data.dataset}, protocol {report.protocol.name}, {report.protocol.references} references"
    yield f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
    yield f"<style>{_STYLE}</style></head><body>"
    yield f"<h1>{escape(title)}</h1>"
    yield f'<p class="faint">{escape(report.command)}</p>'
    yield from (f'<p class="note">{escape(note)}</p>' for note in report.notes)
    yield f"<h2>Figures</h2><pre>{escape(as_text(report))}</pre>"

    thresholds = {scorer: _threshold(report, scorer) for scorer in report.scorers}
    yield '<h2>Errors over all thresholds</h2><div class="two">'
    save(folder / "det.png", (6.4, 7.2), det(trials, thresholds))
    yield _image("det.png", "DET curves: false non-match rate over false match rate")
    save(folder / "roc.png", (6.4, 7.2), roc(trials, list(report.scorers)))
    yield _image("roc.png", "ROC curves: true match rate over false match rate")
    yield '</div><h2>Scores</h2><div class="two">'
    for scorer, threshold in thresholds.items():
        save(folder / f"scores-{scorer}.png", (6.4, 4.2), histogram(trials, scorer, threshold))
        yield _image(f"scores-{scorer}.png", f"Histogram of the scores of {scorer}")
    yield "</div>"

    main = next(iter(report.scorers))
    yield f"<h2>Person by person, the worst first</h2>{''.join(_table(report, trials, main))}"
    yield from _cases(run, main, folder)
    yield "</body></html>"


def _image(name: str, text: str, css: str = "") -> str:
    return f'<figure class="{css}"><img src="{escape(name)}" alt="{escape(text)}"></figure>'


def _threshold(report: Report, scorer: str) -> float | None:
    found = report.scorers[scorer]
    any_kind = found.skilled or found.random
    return any_kind.at_threshold.threshold if any_kind and any_kind.at_threshold else None


def _table(report: Report, trials: Sequence[Scored], main: str) -> Iterator[str]:
    """One row for each person: EERs at thresholds of their own, and errors at the stated one of the main scorer."""
    threshold = _threshold(report, main)
    skilled = {scorer: Pairs(trials, scorer, "skilled").draws for scorer in report.scorers}
    random = Pairs(trials, main, "random").draws
    users = {trial.user: trial.choice.name for trial in trials}
    rows = []
    for user, models in users.items():
        own = {s: float(np.mean([eer(*d) for d in found[user]])) for s, found in skilled.items() if user in found}
        errors = _errors(skilled[main].get(user, []), threshold)
        others = float(np.mean([eer(*d) for d in random[user]])) if user in random else None
        rows.append((own.get(main, -1.0), user, models, own, others, errors))
    rows.sort(key=lambda row: (-row[0], -sum(row[5] or (0, 0)), row[1]))
    head = ["person", "models", *(f"EER {s}, skilled" for s in report.scorers), f"EER {main}, random"]
    head += ["FRR", "FAR skilled"] if threshold is not None else []
    yield f"<table><thead><tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr></thead><tbody>"
    for _, user, models, own, others, errors in rows:
        cells = [own.get(scorer) for scorer in report.scorers] + [others]
        cells += list(errors or (None, None)) if threshold is not None else []
        shown = "".join(_rate(cell) for cell in cells)
        yield f"<tr><td>{escape(user)}</td><td>{escape(models)}</td>{shown}</tr>"
    yield '</tbody></table><p class="faint">Rates in %; each EER at a threshold of the person\'s own.</p>'


def _errors(
    draws: Sequence[tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]], threshold: float | None
) -> tuple[float, float] | None:
    if threshold is None or not draws:
        return None
    found = [rates(genuine, forged, threshold) for genuine, forged in draws]
    return float(np.mean([f.fnmr for f in found])), float(np.mean([f.fmr for f in found]))


def _rate(share: float | None) -> str:
    if share is None:
        return "<td>-</td>"
    return f'<td class="bad">{100 * share:.1f}</td>' if share > 0 else "<td>0.0</td>"


def _cases(run: Run, scorer: str, folder: Path) -> Iterator[str]:
    yield (
        '<h2>Worst cases</h2><p class="faint">Left the nearest reference, right what was tested, to one scale. Width: '
        "pressure; colour: speed; dotted: the pen in the air; circle: where it began.</p>"
    )
    for kind, cases in worst_cases(run.trials, scorer).items():
        if not cases:
            continue
        yield f"<h2>{_TITLES[kind]}</h2>"
        for number, case in enumerate(progress(cases, f"drawing {kind}", total=len(cases)), start=1):
            name = f"{kind}-{number}.png"
            save(folder / name, SIZE, pair(*_panels(run.report, case, scorer)), arranged=False)
            yield _image(name, f"{case.query.name} beside {case.reference.name}", "case")


def _panels(report: Report, case: Case, scorer: str) -> tuple[Panel, Panel]:
    verdict = f"score {case.score:.4g}"
    if scorer == FUSED:
        verdict = f"P(genuine) {case.score:.3f}, {'match' if case.score >= case.threshold else 'no match'}"
    claimed = f" for {case.user}" if case.kind == "random" else ""
    name = case.query.name if case.kind != "random" else f"random forgery{claimed}: {case.query.name}"
    reference = Panel(
        trace=_seen(report, case.reference, query=False), title=f"reference: {case.reference.name}", kind="reference"
    )
    return reference, Panel(trace=_seen(report, case.query, query=True), title=f"{name}\n{verdict}", kind=case.kind)


def _seen(report: Report, record: Record, *, query: bool) -> Trace:
    """Return a signature as the verifier saw it."""
    protocol = report.protocol
    if protocol.degrade is None or (protocol.degrade_queries_only and not query):
        return record.trace
    return degraded(record, protocol.degrade, seed=protocol.seed)
