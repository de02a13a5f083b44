"""`penlatch pam`: a signature instead of a password, for pam_exec(8). Only a match is success."""

from __future__ import annotations

import os
import secrets
import signal
from typing import TYPE_CHECKING, NoReturn

import click

from penlatch import names
from penlatch.cli.exits import Exit
from penlatch.cli.options import connects, json_option
from penlatch.cli.sign import follow
from penlatch.errors import PenlatchError, RequestError
from penlatch.messages import LOGIN, Action, Decision, Verdict

if TYPE_CHECKING:
    from penlatch.control.client import Client
    from penlatch.messages import Event

LIMIT_S = 60.0
"""How long an authentication may take [s], whatever the daemon does."""


@click.command()
@click.option("--user", metavar="NAME", help="Whose signature it must be.  [default: the user that PAM names]")
@click.option(
    "--timeout", "limit_s", type=click.FloatRange(1, 600), default=LIMIT_S, show_default=True, help="Limit [s]."
)
@click.option(
    "--grade",
    "grades",
    type=click.Choice(("pen", "picture")),
    multiple=True,
    default=("pen",),
    show_default=True,
    help="Kind of the references that suffice; may be given twice.",
)
@json_option
@connects
def pam(client: Client, user: str | None, limit_s: float, grades: tuple[str, ...], *, as_json: bool) -> None:
    """Authenticate a user by their signature; called by pam_exec, which gives PAM_TYPE and PAM_USER.

    The person signs to log in: a signature for a door logs nobody in, and this one opens none. Whoever runs it must be
    allowed to use the daemon's socket. Of the environment it believes PAM_TYPE and PAM_USER alone: neither
    PENLATCH_SOCKET nor PENLATCH_CONFIG. Exit status: 0 a match; anything else is none: 1 no
    match, 2 wrong usage, 3 time-out, cancelled, the daemon not there or gone, or any other error. A match with a
    scanned picture is none, unless --grade picture says so: whoever copies the picture would pass.

    \b
    Example, in a file of /etc/pam.d:
      auth required pam_exec.so quiet stdout /opt/penlatch/bin/python -I -m penlatch pam
    """
    kind, name = os.environ.get("PAM_TYPE"), user or os.environ.get("PAM_USER")
    if kind != "auth":
        raise click.UsageError(f"this authenticates and does nothing else: PAM_TYPE is {kind or 'not given'}, not auth")
    if not name:
        raise click.UsageError("PAM_USER is not given")

    def give_up(*_: object) -> NoReturn:
        raise RequestError(code="unavailable", problem=f"there was no result within {limit_s:g} s")

    transaction = secrets.token_hex(16)
    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        last = follow(client.verify(name, purpose=LOGIN, transaction=transaction), as_json=as_json)
    except PenlatchError as error:
        # For the person at the prompt: what pam_exec shows is standard output.
        click.echo(f"penlatch: {error}")
        click.get_current_context().exit(Exit.FAILED)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    refused = isinstance(last, Decision) and last.verdict is Verdict.NO_MATCH
    lets_in = _lets_in(last, user=name, transaction=transaction)
    grade = last.grade if isinstance(last, Decision) else None
    if lets_in and (grade is None or grade.value not in grades):
        click.echo(f"penlatch: a match of the grade {grade or 'unknown'} does not suffice here (--grade)")
        lets_in, refused = False, True
    click.get_current_context().exit(Exit.OK if lets_in else Exit.NO if refused else Exit.FAILED)


def _lets_in(last: Event, *, user: str, transaction: str) -> bool:
    """Tell whether an event is a match of `user` who signed to log in, at the request that gave `transaction`."""
    return (
        isinstance(last, Decision)
        and last.verdict is Verdict.MATCH
        and last.done
        and not last.historical
        and last.action is Action.VERIFY
        and last.purpose == LOGIN
        and _is(user, last.user)
        and last.transaction == transaction
    )


def _is(name: str, decided: str | None) -> bool:
    """Tell whether a decision is about the person of this name, in any spelling of Unicode."""
    return decided is not None and names.normal(decided) == names.normal(name)
