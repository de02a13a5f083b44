"""The commands that look on: decisions, monitor, status."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

import click
import msgspec

from penlatch.cli.exits import Exit
from penlatch.cli.options import connects, json_option
from penlatch.cli.sentences import log_line
from penlatch.foreign import WORDS, plain
from penlatch.messages import Action, Decision

if TYPE_CHECKING:
    from penlatch.control.client import Client
    from penlatch.messages import Event, Health, Locked, Part


MOST_DECISIONS = 10_000
"""The daemon gives no more at once. (Its own constant lies where the import of asyncio would come along.)"""


def _show(event: Event, *, as_json: bool) -> None:
    click.echo(msgspec.json.encode(event).decode() if as_json else log_line(event))


@click.command()
@click.option("--user", help="Only those about this person.")
@click.option(
    "--limit", type=click.IntRange(1, MOST_DECISIONS), default=20, show_default=True, help="How many of the latest."
)
@click.option("--follow", is_flag=True, help="Then wait for new ones, until Ctrl-C.")
@json_option
@connects
def decisions(client: Client, user: str | None, limit: int, *, follow: bool, as_json: bool) -> None:
    """Show the latest decisions, oldest first.

    \b
    Examples:
      penlatch decisions --limit 5
      penlatch decisions --user alice --json
      penlatch decisions --follow
    """
    last = 0
    for decision in reversed(client.decisions(limit=limit, user=user)):
        _show(decision, as_json=as_json)
        last = decision.seq
    if not follow:
        return
    if user is not None or last == 0:
        newest = client.decisions(limit=1, user=None)
        last = newest[0].seq if newest else 0
    with closing(client.monitor()) as events:
        for event in events:
            if not isinstance(event, Decision) or event.seq <= last:
                continue
            for decision in (*_between(client, last, event.seq), event):
                if user in (None, decision.user):
                    _show(decision, as_json=as_json)
            last = event.seq


def _between(client: Client, last: int, seq: int) -> list[Decision]:
    """Return the decisions after `last` and before `seq`: numbers have no gaps, so any are known to be missing."""
    limit = seq - last
    while limit > 1:
        found = client.decisions(limit=min(limit, MOST_DECISIONS))
        if len(found) < limit or found[-1].seq <= last + 1:
            return [decision for decision in reversed(found) if last < decision.seq < seq]
        limit *= 2  # newer ones took the places
    return []


@click.command()
@json_option
@connects
def monitor(client: Client, *, as_json: bool) -> None:
    """Show everything the terminal does, as it happens, until Ctrl-C.

    \b
    Example:
      penlatch monitor --json
    """
    with closing(client.monitor()) as events:
        for event in events:
            _show(event, as_json=as_json)


def _line(name: str, part: Part) -> str:
    line = f"{name:<12}{'ok' if part.ok else 'FAULT':<7}{part.detail}".rstrip()
    if part.ok and part.last_error:
        line += f" (at {part.last_error_time}: {part.last_error})"
    return line


WAYS: Final = {
    "local": "asked for on the terminal",
    "mqtt": "asked for over MQTT",
    "identify": "by identification",
    "all": "in every way, for today",
}
"""Words for the ways of asking that can be locked."""


def _locked(locked: Locked) -> str:
    whom = f"{plain(locked.user, WORDS)}, {WAYS[locked.way]}" if locked.user else "the terminal, for identification"
    left = f"{duration(locked.left_s)} left, until {locked.until}"
    return f"{'lockout':<12}{'':<7}{whom}: {locked.failures} signatures did not match; {left}"


def _unstored(count: int) -> str:
    return f"{'flood':<12}{'':<7}{count} errors and retries of this day were counted and not stored"


def duration(seconds: float) -> str:
    """Say a duration as people do, to the minute beyond the first."""
    minutes, hours, days = int(seconds // 60) % 60, int(seconds // 3600) % 24, int(seconds // 86_400)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"))
    return " ".join(f"{value} {unit}" for value, unit in parts if value) or f"{seconds:.0f} s"


def health_lines(health: Health) -> list[str]:
    """Say in lines how the terminal is."""
    doing = "waits for a request" if health.action is Action.IDLE else f"busy: {health.action}"
    return [
        f"{'penlatch':<12}{'ok' if health.ok else 'FAULT':<7}{doing}; up {duration(health.uptime_s)}",
        _line("pen", health.pen),
        _line("models", health.models),
        _line("database", health.store),
        _line("outbox", health.outbox),
        _line("broker", health.broker),
        _line("clock", health.clock),
        _line("disk", health.disk),
        *([_line("bolt", health.bolt)] if health.bolt else []),
        *([_line("backup", health.backup)] if health.backup else []),
        *([_line("certificate", health.certificate)] if health.certificate else []),
        *(_locked(each) for each in health.lockouts),
        *([_unstored(health.unstored)] if health.unstored else []),
        f"{health.users} enrolled, {health.decisions} decisions, {health.outbox_depth} not yet delivered",
    ]


@click.command()
@json_option
@click.option("--prometheus", is_flag=True, help="Write metrics, as Prometheus and its exporters read them.")
@connects
def status(client: Client, *, as_json: bool, prometheus: bool) -> None:
    """Show whether the terminal can do its work, and if not, why.

    Exit status: 0 healthy, 1 something is at fault, 3 the daemon does not answer.

    \b
    Examples:
      penlatch status
      penlatch status --json | jq .pen
      penlatch status --prometheus > /var/lib/node_exporter/penlatch.prom
    """
    health = client.status()
    if prometheus:
        from penlatch.report.prometheus import metrics  # noqa: PLC0415 - few ask for it

        click.echo(metrics(health, terminal=client.info().terminal), nl=False)
    elif as_json:
        click.echo(msgspec.json.encode(health).decode())
    else:
        for line in health_lines(health):
            click.echo(line)
    click.get_current_context().exit(Exit.OK if health.ok else Exit.NO)
