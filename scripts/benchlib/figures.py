"""Figures: what one measurement found, beside the plain alternative and the target of the design."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One number, with all that is needed to judge it."""

    name: str
    value: float
    unit: str
    n: int
    """Repetitions behind the value."""
    how: str
    """What exactly was measured."""
    plain: float | None = None
    """The same measurement of the plain alternative."""
    plain_how: str = ""
    """What the plain alternative is."""
    target: float | None = None
    """Bound of the value."""
    target_ratio: float | None = None
    """Least `ratio`, where the target is stated against the plain alternative."""
    better: Literal["lower", "higher"] = "lower"

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.target_ratio is not None:
            return self.ratio is not None and self.ratio >= self.target_ratio
        if self.target is None:
            return None
        return self.value <= self.target if self.better == "lower" else self.value >= self.target

    @property
    def ratio(self) -> float | None:
        """How many times better than the plain alternative (below 1: worse)."""
        if not self.plain or not self.value:
            return None
        return self.plain / self.value if self.better == "lower" else self.value / self.plain

    def as_json(self) -> dict[str, Any]:
        """Return the figure as JSON holds it."""
        return {**asdict(self), "met": self.met, "ratio": self.ratio}


def rounded(value: float) -> str:
    """Write a number with three significant digits, and without an exponent."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _target(figure: Figure) -> str:
    if figure.target_ratio is not None:
        return f">= {rounded(figure.target_ratio)} x"
    if figure.target is None:
        return ""
    return f"{'<=' if figure.better == 'lower' else '>='} {rounded(figure.target)}"


BUSY = "The machine did other things meanwhile: an idle one is better than every time and share of CPU here."
"""What is said of figures that were measured on a busy machine."""
HEAD = ("figure", "value", "unit", "n", "plain", "x better", "target", "")


def _rows(figures: Iterable[Figure]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [HEAD]
    for figure in figures:
        ratio, met = figure.ratio, figure.met
        rows.append(
            (
                figure.name,
                rounded(figure.value),
                figure.unit,
                str(figure.n),
                "" if figure.plain is None else rounded(figure.plain),
                "" if ratio is None else rounded(ratio),
                _target(figure),
                "" if met is None else "met" if met else "NOT MET",
            )
        )
    return rows


def table(figures: Iterable[Figure]) -> str:
    """Lay the figures out for a terminal."""
    rows = _rows(figures)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    right = {1, 3, 4, 5, 6}
    lines = [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def markdown(figures: Sequence[Figure], *, machine: Mapping[str, Any], quick: bool) -> str:
    """Write the page that docs/figures.md is: the figures, what each means, and the machine they were measured on."""
    head, *rows = _rows(figures)
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    about = (
        "Measured by `scripts/bench`, which wrote this page; run it on your own board with "
        "`scripts/bench --markdown FILE`. *Plain* is the plain alternative, measured in the same run; *x better* is "
        "how many times better penlatch is (below 1: worse). What each figure means is below."
    )
    where = (
        f"Machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory_mb']} MB, Linux {machine['kernel']} "
        f"{machine['architecture']}; load before the run {machine['load']:.1f}. Python {machine['python']}, "
        f"{packages}, {machine['mosquitto']}. Commit {machine['commit']}"
        f"{' and changes to it' if machine['modified'] else ''}, {machine['time']}."
        f"{' Few repetitions (--quick): not to be quoted.' if quick else ''}"
    )
    rule = ("---",) * len(head)
    lines = "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))
    definitions = []
    for figure in figures:
        plain = f" Plain: {figure.plain_how}." if figure.plain_how else ""
        definitions.append(f"- **{figure.name.strip()}**: {figure.how}.{plain}")
    parts = (
        "# Figures",
        about,
        *([BUSY] if machine["busy"] else []),
        lines,
        where,
        "## What was measured",
        "\n".join(definitions),
    )
    return "\n\n".join(parts) + "\n"
