"""The commands that ask somebody to sign, or stop asking: verify, identify, enroll, cancel."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from penlatch.cli.exits import Exit
from penlatch.cli.options import connects, json_option
from penlatch.cli.sentences import tell
from penlatch.errors import RequestError
from penlatch.messages import CHECK, LEAST_REFERENCES, MOST_REFERENCES, Armed, Decision, Enrollment, Verdict

if TYPE_CHECKING:
    from collections.abc import Generator

    from penlatch.control.client import Client
    from penlatch.messages import Event

transaction_option = click.option("--transaction", metavar="TEXT", help="Comes back with every answer to this request.")

purpose_option = click.option(
    "--purpose",
    default=CHECK,
    show_default=True,
    metavar="WORD",
    help="Use of the signature: door opens the terminal's bolt, login is for PAM, check opens nothing.",
)


def follow(events: Generator[Event, None, None], *, as_json: bool) -> Event:
    """Show what an action tells, as it comes, and return its last event.

    The result goes to standard output, what leads to it to standard error; with JSON, everything to standard output.
    Leaving early, by Ctrl-C too, closes `events` and so the connection, upon which the daemon cancels the action.

    Raises:
        RequestError: if the request was refused, or the daemon went away before the end.
    """
    with closing(events):
        for event in events:
            done = isinstance(event, Decision | Enrollment) and event.done
            if as_json:
                click.echo(msgspec.json.encode(event).decode())
            else:
                click.echo(tell(event), err=not done)
            if done:
                return event
    raise RequestError(code="unavailable", problem="the daemon stopped before there was a result")


def exit_status(last: Event) -> Exit:
    """Return the exit status that `last` stands for; anything but a success on purpose is one of failure."""
    match last:
        case Decision(verdict=Verdict.MATCH) | Enrollment(outcome="enrolled"):
            return Exit.OK
        case Decision(verdict=Verdict.NO_MATCH):
            return Exit.NO
        case Decision() | Enrollment() | Armed():
            return Exit.FAILED


@click.command()
@click.argument("user")
@purpose_option
@transaction_option
@json_option
@connects
def verify(client: Client, user: str, purpose: str, transaction: str | None, *, as_json: bool) -> None:
    """Ask for the signature of USER and say whether it is genuine.

    Exit status: 0 match, 1 no match, 2 wrong usage, 3 time-out, cancelled or any other error, 130 Ctrl-C (which
    cancels).

    \b
    Examples:
      penlatch verify alice --purpose door && open-the-door
      penlatch verify alice --json | jq .verdict
    """
    last = follow(client.verify(user, purpose=purpose, transaction=transaction), as_json=as_json)
    click.get_current_context().exit(exit_status(last))


@click.command()
@purpose_option
@transaction_option
@json_option
@connects
def identify(client: Client, purpose: str, transaction: str | None, *, as_json: bool) -> None:
    """Ask for a signature and say which enrolled person it belongs to.

    Exit status: 0 somebody was recognised, 1 nobody, 2 wrong usage, 3 time-out, cancelled or any other error, 130
    Ctrl-C (which cancels).

    \b
    Examples:
      penlatch identify --purpose door
      penlatch identify --json | jq -r 'select(.verdict == "match").user'
    """
    last = follow(client.identify(purpose=purpose, transaction=transaction), as_json=as_json)
    click.get_current_context().exit(exit_status(last))


@click.command()
@click.argument("user")
@click.option(
    "--references",
    type=click.IntRange(1, MOST_REFERENCES),
    help="How many signatures to take, 3 at least of a new person.  [default: as configured, else 5]",
)
@click.option(
    "--continue", "extend", is_flag=True, help="Add them to the references of USER, who is enrolled, on another day."
)
@click.option(
    "--image",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Take a scanned signature instead; nobody signs. Needs penlatch[image].",
)
@click.option("--yes", is_flag=True, help="With --image: do not ask whether it is the right signature.")
@transaction_option
@json_option
@connects
def enroll(
    client: Client,
    user: str,
    references: int | None,
    image: Path | None,
    transaction: str | None,
    *,
    extend: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Take the reference signatures of USER, a new person.

    One that is unlike those before it, or too simple to protect anything, is refused and may be given again; so may one
    that turns out to be unlike all others in the end. With --continue, a person who is enrolled adds references in
    another sitting, up to 12 in all: people sign otherwise on other days, and the template learns how. The first
    signature of that sitting must match, and is no reference; each one after it must match the first sitting. Exit
    status: 0 enrolled, 2 wrong usage, 3 not enrolled, 130 Ctrl-C (which cancels; nothing is kept).

    With --image, a scan (PNG, JPEG, TIFF, WEBP, BMP, PPM) is the reference: the signature is found in it, and a small
    grey picture of it is shown and goes to the daemon if you agree; where nobody can be asked, --yes is needed. A
    picture without a single signature (a page of print, a table, a diagram) is refused, and so is one too simple. Given
    again, it adds another, up to 5. A person known by pictures is verified by shape alone, which is weaker than
    references of the pen; these must match the pictures, and replace them as soon as they are given.

    \b
    Examples:
      penlatch enroll alice
      penlatch enroll carol --image carol.png
      penlatch enroll carol --image carol-2.png --yes
      penlatch enroll bob --references 8
      penlatch enroll alice --continue --references 3
    """
    if image is not None:
        if references is not None or extend or transaction is not None:
            raise click.UsageError("--image goes with none of --references, --continue and --transaction")
        _enroll_picture(client, user, image, yes=yes, as_json=as_json)
        return
    if references is not None and references < LEAST_REFERENCES and not extend:
        raise click.UsageError(f"a new person gives {LEAST_REFERENCES} references at least")
    last = follow(client.enroll(user, references=references, extend=extend, transaction=transaction), as_json=as_json)
    click.get_current_context().exit(exit_status(last))


def _enroll_picture(client: Client, user: str, image: Path, *, yes: bool, as_json: bool) -> None:
    from penlatch.cli.picture import preview, read_raster  # noqa: PLC0415 - numpy is wanted for this alone

    raster = read_raster(image)
    click.echo("This was found in the picture:", err=True)
    click.echo(preview(raster, encoding=getattr(sys.stderr, "encoding", None)), err=True)
    if not yes:
        if not _can_answer():
            raise click.UsageError("nobody can be asked whether this is the signature: look at it, then give --yes")
        if not click.confirm(f"Is this the signature of {user}", err=True):
            click.echo("Nothing was enrolled.", err=True)
            click.get_current_context().exit(Exit.FAILED)
    pictures = client.enroll_picture(user, raster)
    if as_json:
        click.echo(msgspec.json.encode({"kind": "picture", "user": user, "pictures": pictures}).decode())
    else:
        click.echo(f"{user} is known by {pictures} {'picture' if pictures == 1 else 'pictures'} now.")


def _can_answer() -> bool:
    return sys.stdin.isatty()


@click.command()
@json_option
@connects
def cancel(client: Client, *, as_json: bool) -> None:
    """Stop what the terminal is doing with the pen.

    It ends what the same user began at this terminal. Root and the user of the daemon end whatever anybody began. Exit
    status: 0 cancelled, 3 nothing to cancel, or somebody else's.

    \b
    Example:
      penlatch cancel
    """
    action = client.cancel()
    if as_json:
        click.echo(msgspec.json.encode({"kind": "cancelled", "action": action}).decode())
    else:
        click.echo(f"{action} was cancelled.")
