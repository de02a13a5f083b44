"""`penlatch calibrate`: how the people of this terminal would err, and the threshold for a rate of false matches."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING

import click
import msgspec

from penlatch.cli import screen
from penlatch.cli.exits import Exit
from penlatch.cli.options import connects, json_option
from penlatch.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penlatch.control.client import Client
    from penlatch.messages import Calibration, OperatingPoint, Rate, SiteCalibration


def _percent(rate: Rate) -> str:
    return (
        f"{100 * rate.rate:.3g} % ({rate.errors} of {rate.trials}; 95 %: {100 * rate.low:.2g} to {100 * rate.high:.2g})"
    )


def _point(name: str, point: OperatingPoint) -> Iterator[str]:
    yield f"{name} {point.threshold:g}"
    yield f"  false matches      {_percent(point.fmr)}"
    yield f"  pairs of people    {_percent(point.pairs)}, in which one matches the other"
    yield f"  false non-matches  {_percent(point.fnmr)}"


def _lines(found: SiteCalibration) -> Iterator[str]:
    """Say for people what was found."""
    yield f"{found.people} people, {found.references} references; models {found.models[:12]}"
    yield from _point("threshold now", found.current)
    if found.proposed is None:
        yield f"no threshold for a rate of {found.target_fmr:g}: so few people show {found.smallest_fmr:.2g} at best"
    else:
        yield from _point(f"proposed for a rate of {found.target_fmr:g}: threshold", found.proposed)
    for note in found.notes:
        yield f"note: {note}"
    if found.applied:
        yield "applied: in use if the configuration has a verify.target_fmr that is no stricter"
    elif found.proposed is not None:
        yield "not applied: penlatch calibrate --apply, with verify.target_fmr in the configuration"


def _follow(steps: Iterator[Calibration], *, as_json: bool) -> SiteCalibration:
    watched = not as_json and sys.stderr.isatty()
    for step in steps:
        if as_json:
            click.echo(msgspec.json.encode(step).decode())
        elif watched and not step.done:
            screen.control(f"\r{100 * step.progress:3.0f} %", err=True)
        if step.result is not None:
            if watched:
                screen.control("\r     \r", err=True)
            return step.result
    raise RequestError(code="unavailable", problem="the daemon stopped before there was a result")


@click.command()
@click.option(
    "--target-fmr",
    type=click.FloatRange(0, 0.1, min_open=True),
    help="Greatest rate of false matches.  [default: verify.target_fmr, else 0.001]",
)
@click.option("--apply", is_flag=True, help="Keep the proposed threshold for verify.target_fmr.")
@json_option
@connects
def calibrate(client: Client, target_fmr: float | None, *, apply: bool, as_json: bool) -> None:
    """Measure the enrolled people against each other, and propose a threshold.

    Everybody's references are tried on everybody else's template (false matches), and each on a template of the others
    (false non-matches). It says how sure that is, and what so few people cannot show. No forger takes part. The
    terminal goes on verifying meanwhile.

    Exit status: 0 a threshold is proposed, 1 so few people cannot show the target, 2 wrong usage, 3 any error.

    \b
    Examples:
      penlatch calibrate
      penlatch calibrate --target-fmr 0.01 --apply
      penlatch calibrate --json | jq 'select(.done).result.proposed'
    """
    with closing(client.calibrate(target_fmr=target_fmr, apply=apply)) as steps:
        found = _follow(steps, as_json=as_json)
    if not as_json:
        for line in _lines(found):
            click.echo(line)
    click.get_current_context().exit(Exit.OK if found.proposed is not None else Exit.NO)
