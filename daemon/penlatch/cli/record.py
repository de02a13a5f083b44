"""`penlatch record`: what a pen sends, written to a file that tests and `replay:` pens read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import click
import msgspec

from penlatch.cli.exits import Exit
from penlatch.cli.holders import holders
from penlatch.cli.options import config_option, find_config, json_option
from penlatch.errors import PenError, PenTrouble

if TYPE_CHECKING:
    from penlatch.capture.frames import PenSource
    from penlatch.capture.record.file import RecordingFile
    from penlatch.capture.record.recorder import Recorded

LAST_S: Final = 0.2
"""So long after Ctrl-C is still read [s]: a hovering pen is looked at now and then; till then, what it sent waits."""
HINT_S: Final = 5.0
"""A pen that has sent nothing for so long may be taken by another program [s]."""
BIOMETRIC: Final = (
    "A recording of a signature is biometric data: whoever has it can imitate its owner, who cannot change it like a "
    "password. Keep it to yourself, do not publish it, and delete it when it has served; to show a tablet, scribble."
)
HINT: Final = (
    "Nothing has come from the pen yet. If somebody is writing on it, another program has it for itself: "
    "`penlatch devices`, as root, names those that have it open."
)


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """What was recorded."""

    file: str
    """Empty where nothing came: no file is left then."""
    device: str
    pen: str
    frames: int
    contacts: int
    gaps: int
    """How often events or bytes were lost."""
    lost: str | None = None
    """Why it ended before it should."""
    kind: Literal["recording"] = "recording"


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--device", metavar="PEN", help="As `pen.device` has it.  [default: the pen of the configuration]")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="How long.  [default: until Ctrl-C]")
@config_option
@json_option
@click.pass_context
def record(
    ctx: click.Context,
    file: Path,
    device: str | None,
    seconds: float | None,
    config_path: Path | None,
    *,
    as_json: bool,
) -> None:
    """Write all that a pen sends to FILE until Ctrl-C: a tablet for tests, for `replay:` and for bug reports.

    What an evdev pen sends is written as evemu does (.evemu or .events), so that evemu's tools play it; what comes
    over a serial line, read by read (.serial). Played again it gives the very frames that the pen gave. FILE must not
    be there yet, and only its owner may read it: what is written with a pen may be a signature, and a recording of
    one is not for others.

    An evdev pen is read beside the daemon, if that runs, and taken from nobody. A serial line belongs to one program:
    stop the daemon first.

    Exit status: 0 recorded, 2 wrong usage, 3 there is no such pen, or it was lost; what came before is kept.

    \b
    Examples:
      penlatch record pen.evemu
      penlatch record pen.evemu --device evdev:256c:006d --seconds 30
      penlatch record pen.serial --device isdv4:/dev/ttyS4
      penlatch devices                  which pens there are
    """
    import asyncio  # noqa: PLC0415 - `--help` needs none of it

    from penlatch.capture.record.file import RecordingFile  # noqa: PLC0415 - `--help` needs none of it
    from penlatch.capture.record.recorder import SUFFIXES  # noqa: PLC0415 - likewise

    uri = device or find_config(config_path).pen.device
    suffixes = SUFFIXES.get(uri.partition(":")[0])
    if suffixes and file.suffix.lower() not in suffixes:
        raise click.UsageError(f"a recording of {uri} ends in {' or '.join(suffixes)}, which tells how to play it")
    click.echo(BIOMETRIC, err=True)
    with RecordingFile(file) as out:
        kept = False
        try:
            told = asyncio.run(_record(uri, out, seconds))
            kept = told.frames > 0
        finally:
            if not kept:
                out.discard()
    if as_json:
        click.echo(msgspec.json.encode(told).decode())
    else:
        click.echo(_sentence(told))
    ctx.exit(Exit.FAILED if told.lost else Exit.OK)


async def _record(uri: str, file: RecordingFile, seconds: float | None) -> Recording:
    import asyncio  # noqa: PLC0415 - `--help` needs none of it
    import signal  # noqa: PLC0415 - likewise

    from penlatch.capture.record.recorder import open_recorded, record  # noqa: PLC0415 - `--help` needs none of it

    try:
        pen = await open_recorded(uri, file)
    except PenError as error:
        raise _explained(uri, error) from error
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    async def close_when_stopped() -> None:
        await stopped.wait()
        await asyncio.sleep(LAST_S)
        pen.close()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    if seconds is not None:
        loop.call_later(seconds, stopped.set)
    closing = asyncio.create_task(close_when_stopped())
    _say_what_begins(pen, file.path, seconds)
    hint = loop.call_later(HINT_S, lambda: click.echo(HINT, err=True))
    try:
        recorded: Recorded = await record(pen, progress=lambda _: hint.cancel())
    finally:
        hint.cancel()
        closing.cancel()
        pen.close()
    return Recording(
        file=str(file.path) if recorded.frames else "",
        device=pen.device,
        pen=pen.info.name,
        frames=recorded.frames,
        contacts=recorded.contacts,
        gaps=recorded.gaps,
        lost=str(recorded.lost) if recorded.lost and not stopped.is_set() else None,
    )


def _say_what_begins(pen: PenSource, path: Path, seconds: float | None) -> None:
    daemons = [program for program in holders(pen.device) if program.startswith("penlatch ")]
    if daemons:
        click.echo(
            f"The daemon reads this pen, too ({', '.join(daemons)}), and judges what is written now where it waits for "
            "a signature. If nothing is recorded it has the pen for itself (pen.grab): stop it first.",
            err=True,
        )
    until = "until Ctrl-C" if seconds is None else f"for {seconds:g} s"
    click.echo(f"Recording {pen.info.name} at {pen.device} to {path} {until}.", err=True)


def _explained(uri: str, error: PenError) -> PenError:
    """Return `error` with the programs that have a line which is in use."""
    programs = holders(uri.partition(":")[2]) if error.trouble is PenTrouble.BUSY else []
    if not programs:
        return error
    remedy = f"end the program that has it: {', '.join(programs)}"
    return PenError(device=error.device, problem=error.problem, remedy=remedy, trouble=error.trouble)


def _sentence(told: Recording) -> str:
    if not told.frames:
        return f"Nothing came from the pen, and no file was written{f': {told.lost}' if told.lost else ''}."
    lost = f" It ended early: {told.lost}." if told.lost else ""
    gaps = f", {told.gaps} losses" if told.gaps else ""
    return f"{told.frames} frames, {told.contacts} contacts{gaps} are kept in {told.file}.{lost}"
