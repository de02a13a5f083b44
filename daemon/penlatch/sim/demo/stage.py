"""The stage: what the demo shows to people, on a terminal as it happens, elsewhere as plain lines."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from concurrent.futures import Future, wait
from itertools import zip_longest
from typing import TYPE_CHECKING

import click

from penlatch.cli.sentences import SENTENCES
from penlatch.messages import Verdict
from penlatch.sim.sketch import draw

if TYPE_CHECKING:
    from penlatch.ink import Trace
    from penlatch.messages import Decision

_ROWS = 7
_MARGIN = "    "
_NARROWEST, _WIDEST = 20, 44
"""Columns of a sketch."""
_TEXT_COLUMNS = 52
"""What a decision needs beside its sketch."""
_DOTS_PER_MM = 2.0
"""Largest scale of a sketch."""
_FRAME_S = 0.08
"""Time between two pictures of a pen that writes [s]."""
_GAUGE_CELLS = 24

_COLOURS = {Verdict.MATCH: "green", Verdict.NO_MATCH: "red", Verdict.RETRY: "yellow", Verdict.ERROR: "magenta"}


class Stage:
    """Writes to standard output. Animates only where that is a terminal."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._braille = _can_encode("⠿")
        self._full, self._empty = ("█", "░") if _can_encode("█░") else ("#", ".")
        columns = shutil.get_terminal_size((100, 24)).columns
        self._beside = columns >= len(_MARGIN) + _NARROWEST + 2 + _TEXT_COLUMNS
        room = columns - len(_MARGIN) - 1 - (2 + _TEXT_COLUMNS if self._beside else 0)
        self._columns = max(1, min(_WIDEST, room))

    def say(self, text: str = "") -> None:
        """Write a line."""
        click.echo(text)

    def title(self, text: str) -> None:
        """Begin a part of the demo."""
        click.echo()
        click.echo(click.style(text, bold=True))

    def writing(self, trace: Trace, done: Future[bool]) -> None:
        """Show the pen while it writes `trace`, until `done`."""
        if not self._live:
            wait([done])
            return
        start = time.monotonic()
        self._picture(self._sketch(trace, 0.0))
        while not done.done():
            wait([done], timeout=_FRAME_S)
            click.echo(f"\033[{_ROWS}A", nl=False)
            self._picture(self._sketch(trace, time.monotonic() - start))
        # What follows takes the place of the picture.
        click.echo(f"\033[{_ROWS}A\033[J", nl=False)

    def written(self, trace: Trace, *, until_s: float | None = None, beside: list[str] | None = None) -> None:
        """Show what was written, as far as `until_s`, and beside it some lines."""
        sketch = self._sketch(trace, until_s)
        lines = beside or []
        if not self._beside:
            self._picture([*sketch, *lines])
            return
        top = max(0, (_ROWS - len(lines)) // 2)
        pairs = zip_longest(sketch, [""] * top + lines, fillvalue="")
        self._picture([f"{ink:{self._columns}}  {text}" for ink, text in pairs])

    def judged(self, decision: Decision, faults: list[str]) -> list[str]:
        """Return the lines that tell a decision."""
        colour = _COLOURS[decision.verdict]
        lines = [click.style(decision.verdict.value.replace("_", " ").upper(), fg=colour, bold=True)]
        if decision.probability is not None and decision.threshold is not None:
            sign = ">=" if decision.probability >= decision.threshold else "<"
            lines.append(f"P(genuine) {decision.probability:.4f} {sign} threshold {decision.threshold:.2f}")
            lines.append(self._gauge(decision.probability, decision.threshold, colour))
        lines += textwrap.wrap(f"{decision.reason.value}: {SENTENCES[decision.reason].what}", _TEXT_COLUMNS)
        latency = "" if decision.latency_ms is None else f", {decision.latency_ms:.1f} ms after the pen-up wait"
        lines.append(click.style(f"decision {decision.seq}, attempt {decision.attempt}{latency}", dim=True))
        lines += [click.style(f"WRONG: {fault}", fg="magenta", bold=True) for fault in faults]
        return lines

    def _gauge(self, probability: float, threshold: float, colour: str) -> str:
        cells = round(probability * _GAUGE_CELLS)
        at = round(threshold * _GAUGE_CELLS)
        bar = self._full * cells + self._empty * (_GAUGE_CELLS - cells)
        return click.style(bar[:at], fg=colour) + "|" + click.style(bar[at:], fg=colour)

    def _sketch(self, trace: Trace, until_s: float | None) -> list[str]:
        return draw(trace, columns=self._columns, rows=_ROWS, zoom=_DOTS_PER_MM, braille=self._braille, until_s=until_s)

    def _picture(self, lines: list[str]) -> None:
        for line in lines:
            click.echo(f"{_MARGIN}{line}".rstrip())


def _can_encode(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
