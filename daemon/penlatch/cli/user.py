"""`penlatch user`: who is enrolled, and who no longer shall be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from penlatch import names
from penlatch.cli.exits import Exit
from penlatch.cli.options import connects, json_option
from penlatch.errors import RequestError

if TYPE_CHECKING:
    from penlatch.control.client import Client
    from penlatch.messages import User


@click.group()
def user() -> None:
    """List, show, unlock, revert or delete enrolled people (see `penlatch enroll` for new ones)."""


def _find(client: Client, name: str) -> User:
    people = {person.name: person for person in client.list_users()}
    if (person := people.get(names.resolved(name, people))) is not None:
        return person
    raise RequestError(code="unknown_user", problem=f"{name} is not enrolled (penlatch user list shows who is)")


@user.command("list")
@json_option
@connects
def list_users(client: Client, *, as_json: bool) -> None:
    """List everybody who is enrolled.

    \b
    Examples:
      penlatch user list
      penlatch user list --json | jq -r .name
    """
    people = client.list_users()
    if as_json:
        for person in people:
            click.echo(msgspec.json.encode(person).decode())
        return
    if not people:
        click.echo("Nobody is enrolled yet: penlatch enroll NAME.", err=True)
        return
    width = max(len(person.name) for person in people)
    for person in people:
        count = f"{person.pictures:>2} pictures  " if person.pictures else f"{person.references:>2} references"
        click.echo(f"{person.name:<{width}}  {count}  {person.enrolled}")


@user.command()
@click.argument("name")
@json_option
@connects
def show(client: Client, name: str, *, as_json: bool) -> None:
    """Show one enrolled person. Exit status 3 where there is none of that NAME.

    \b
    Example:
      penlatch user show alice
    """
    person = _find(client, name)
    if as_json:
        click.echo(msgspec.json.encode(person).decode())
        return
    click.echo(f"name        {person.name}")
    click.echo(f"enrolled    {person.enrolled}")
    click.echo(f"pictures    {person.pictures}" if person.pictures else f"references  {person.references}")
    for sitting in person.sittings:
        kind = "given" if sitting.origin == "enrolled" else "adapted"
        click.echo(f"            {sitting.references} {kind} {sitting.time}")
    if (quality := person.quality) is not None:
        click.echo(f"complexity  {quality.complexity:.2f} (0 a line, 0.5 as most signatures)")
        if quality.consistency is not None:
            click.echo(f"consistency {quality.consistency:.2f} (0.5 as people usually are, 1 always the same)")
        if quality.outlier is not None:
            click.echo(f"outlier     reference {quality.outlier} is unlike all others")
    if person.template_version:
        click.echo(f"template    {person.template_version}")


@user.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@connects
def revert(client: Client, name: str, *, yes: bool, as_json: bool) -> None:
    """Drop the references that were taken over from accepted signatures of NAME; those of the enrolment stay.

    \b
    Examples:
      penlatch user revert alice
      penlatch user revert alice --yes
    """
    person = _find(client, name)
    adapted = sum(sitting.references for sitting in person.sittings if sitting.origin == "adapted")
    if adapted and not yes:
        question = f"Drop {adapted} adapted references of {person.name}? This cannot be undone"
        if not click.confirm(question, err=True):
            click.echo("Nothing was dropped.", err=True)
            click.get_current_context().exit(Exit.FAILED)
    dropped = client.revert_user(name)
    if as_json:
        click.echo(msgspec.json.encode({"kind": "reverted", "user": name, "dropped": dropped}).decode())
    else:
        click.echo(f"{dropped} adapted references of {name} were dropped.")


@user.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@connects
def delete(client: Client, name: str, *, yes: bool, as_json: bool) -> None:
    """Delete the references and the template of NAME. Decisions of the past stay.

    \b
    Examples:
      penlatch user delete alice
      penlatch user delete alice --yes
    """
    person = _find(client, name)
    if not yes:
        question = f"Delete {person.name} and {person.references} references? This cannot be undone"
        if not click.confirm(question, err=True):
            click.echo("Nothing was deleted.", err=True)
            click.get_current_context().exit(Exit.FAILED)
    client.delete_user(name)
    click.echo(msgspec.json.encode({"kind": "deleted", "user": name}).decode() if as_json else f"{name} was deleted.")


@user.command()
@click.argument("name", required=False)
@click.option("--terminal", is_flag=True, help="End the lock of the terminal for strangers.")
@json_option
@connects
def unlock(client: Client, name: str | None, *, terminal: bool, as_json: bool) -> None:
    """End the lock of NAME, or that of the terminal. The audit says who asked.

    \b
    Examples:
      penlatch user unlock alice
      penlatch user unlock --terminal
    """
    if terminal is (name is not None):
        raise click.UsageError("Give either NAME or --terminal.")
    client.unlock(name)
    if as_json:
        click.echo(msgspec.json.encode({"kind": "unlocked", "user": name}).decode())
    else:
        click.echo(f"{name or 'The terminal'} was unlocked.")
