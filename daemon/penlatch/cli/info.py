"""`penlatch info`: what this terminal is, for whoever sets up a door or a fleet beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from penlatch.cli.options import connects, json_option

if TYPE_CHECKING:
    from penlatch.control.client import Client


@click.command()
@json_option
@connects
def info(client: Client, *, as_json: bool) -> None:
    """Show what this terminal is: name, instance, public key, models, and which decisions it keeps.

    A door that checks signed decisions is given the instance and the key from here, by a person: not from the broker,
    which could give it others. The instance changes when the database is restored or begun anew.

    \b
    Examples:
      penlatch info
      penlatch info --json | jq -r .instance
    """
    told = client.info()
    if as_json:
        click.echo(msgspec.json.encode(told).decode())
        return
    click.echo(f"terminal    {told.terminal}, penlatch {told.version}, {told.mode}, start {told.boot}")
    click.echo(f"instance    {told.instance or 'unknown: the database cannot be used'}")
    click.echo(f"key         {told.key['x'] if told.key else 'none: decisions are not signed (mqtt.sign)'}")
    click.echo(f"threshold   {told.threshold:g}, {told.threshold_from}")
    click.echo(f"models      {told.models} on {told.runtime}")
    click.echo(f"requests    {', '.join(told.requests) or 'none'}")
    if told.decisions_from is not None:
        click.echo(f"decisions   kept from number {told.decisions_from} on")
