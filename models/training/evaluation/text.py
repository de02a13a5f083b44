"""Text: a report as a person reads it in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training.evaluation.figures import Against
    from training.evaluation.report import Matrix, Report, Scorer

_COLUMNS = (
    f"{'':11s} {'EER':>6s} {'95 % interval':>15s} {'per user':>9s} {'FNMR@1%':>8s} {'FNMR@0.1%':>10s} {'AUC':>8s}"
)


def as_text(report: Report) -> str:
    """Return the figures of one run, about a screen."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    data, protocol = report.data, report.protocol
    enrolments = f", {protocol.draws} enrolments each" if protocol.draws > 1 else ""
    yield (
        f"{data.dataset}, protocol {protocol.name}: {data.people} people, "
        f"{protocol.references} reference{'s' * (protocol.references > 1)}{enrolments}"
    )
    if protocol.degrade:
        yield f"degraded: {protocol.degrade}, {'queries only' if protocol.degrade_queries_only else 'all signatures'}"
    yield from (f"! {note}" for note in report.notes)
    yield from (f"  left out: {count} with {reason}" for reason, count in data.left_out.items())
    yield from (f"  {m.folder}  sha256 {m.sha256[:12]}  {m.people} people" for m in report.models)
    failures = report.failures
    lost = ", ".join(f"{count} {kind}" for kind, count in failures.not_acquired.items())
    yield f"  FTE {failures.fte:.2f} % ({failures.not_enrolled} people)   FTA {failures.fta:.2f} % ({lost})"
    for title, name in (
        ("skilled forgeries", "skilled"),
        ("random forgeries", "random"),
        ("random forgeries by people whom the models have not met", "random_unmet"),
    ):
        yield from _table(report, title, name)
    yield ""
    for kind, found in report.differences.items():
        if found is not None:
            low, high = found.interval
            yield (
                f"{kind}: EER of {found.scorers[0]} less that of {found.scorers[1]} = {found.eer:+.2f} points "
                f"(95 %: {low:+.2f} to {high:+.2f})"
            )
    yield f"database sha256 {data.sha256[:12]}, {report.runtime}, {report.seconds} s"
    yield report.command


def _table(report: Report, title: str, name: str) -> Iterator[str]:
    rows = {scorer: found for scorer, f in report.scorers.items() if (found := _against(f, name))}
    if not rows:
        return
    any_row = next(iter(rows.values()))
    yield ""
    yield f"{title}: {any_row.genuine} genuine against {any_row.forgeries}, {any_row.people} people; rates in %"
    yield _COLUMNS
    for scorer, found in rows.items():
        low, high = found.eer_interval
        at = " ".join(f"{value:{width}.2f}" for value, width in zip(found.fnmr_at_fmr.values(), (8, 10), strict=True))
        yield (
            f"{scorer:11s} {found.eer:6.2f} {f'{low:.2f} - {high:.2f}':>15s} {found.eer_per_user:9.2f} {at} "
            f"{found.auc:8.5f}"
        )
    for scorer, found in rows.items():
        if at_threshold := found.at_threshold:
            bound = "" if at_threshold.far else f" (below {at_threshold.far_bound:.2f} with 95 % confidence: rule of 3)"
            yield (
                f"{scorer} at its threshold {at_threshold.threshold:.4g}: FAR {at_threshold.far:.2f}{bound}, "
                f"FRR {at_threshold.frr:.2f}, AER {at_threshold.aer:.2f}, accuracy {at_threshold.accuracy:.2f}"
            )


def _against(scorer: Scorer, name: str) -> Against | None:
    found: Against | None = getattr(scorer, name)
    return found


def matrix_as_text(matrix: Matrix) -> str:
    """Return every database on a line: EERs of the fused scorer beside those of plain time warping."""
    lines = [
        "every database judged by models that have never met it; EER in %, common threshold",
        f"{'':18s} {'':>6s} {'skilled':^32s} {'random':^15s}",
        f"{'':18s} {'people':>6s} {'fused':>7s} {'95 % interval':>15s} {'dtw':>7s} {'fused':>7s} {'dtw':>7s}   models",
    ]
    for report in matrix.reports:
        fused, plain = report.scorers["fused"], report.scorers["dtw"]
        interval = "{:.2f} - {:.2f}".format(*fused.skilled.eer_interval) if fused.skilled else ""
        cells = [_eer(found) for found in (fused.skilled, plain.skilled, fused.random, plain.random)]
        lines.append(
            f"{report.data.dataset:18s} {report.data.people:6d} {cells[0]} {interval:>15s} {cells[1]} {cells[2]} "
            f"{cells[3]}   {', '.join(m.folder for m in report.models)}"
        )
    return "\n".join(lines)


def _eer(found: Against | None) -> str:
    return f"{found.eer:7.2f}" if found else f"{'-':>7s}"
