"""`penlatch replay`: recorded signatures judged offline, by the same models as on the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import msgspec

from penlatch.cli import quiet
from penlatch.cli.exits import Exit
from penlatch.cli.options import config_option, find_config, json_option
from penlatch.cli.sentences import SENTENCES
from penlatch.errors import TraceError
from penlatch.foreign import plain
from penlatch.messages import Probability, Reason, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penlatch.config import Config, Curve, Segment
    from penlatch.ink import Trace
    from penlatch.verify.template import Template
    from penlatch.verify.verifier import Verifier

EVEMU = (".events", ".evemu")
SERIAL = ".serial"
FORMS = ".txt (SVC2004), .inkml (InkML), .events or .evemu (evemu), .serial (penlatch record)"


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one recorded signature."""

    file: str
    signature: int
    """Which signature of the file, from 1."""
    verdict: Verdict
    reason: Reason
    probability: Probability | None = None
    threshold: Probability | None = None
    distances: dict[str, float] | None = None
    """By scorer: the mean distance to the references, in the scorer's own unit."""


class _Recorded(NamedTuple):
    """One capture in a file: a signature, or why it is none."""

    number: int
    capture: Trace | Reason


def recorded(path: Path, limits: Segment, curve: Curve) -> Iterator[_Recorded]:
    """Read a file: one signature, or, of the recording of a pen, each that the segmenter finds within `limits`.

    Args:
        path: the file.
        limits: what is a signature.
        curve: the pressure curve of a pen that was recorded; the pressure in other files is what came of one.

    Raises:
        TraceError: if it cannot be read.
    """
    match path.suffix.lower():
        case ".txt":
            from penlatch.capture.replay.svc2004 import read_svc2004  # noqa: PLC0415 - numpy, only where it is needed

            yield _Recorded(1, read_svc2004(path))
        case ".inkml":
            from penlatch.capture.replay.inkml import read_inkml  # noqa: PLC0415 - likewise

            yield _Recorded(1, read_inkml(path))
        case suffix if suffix in (*EVEMU, SERIAL):
            for number, capture in enumerate(_segmented(path, limits, curve), start=1):
                yield _Recorded(number, capture)
        case _:
            raise TraceError(problem=f"its name does not say what it is; recordings end in {FORMS}", path=path)


def _segmented(path: Path, limits: Segment, curve: Curve) -> Iterator[Trace | Reason]:
    from penlatch.capture.replay.evemu import read_evemu  # noqa: PLC0415 - likewise
    from penlatch.capture.replay.serial import read_serial  # noqa: PLC0415 - likewise
    from penlatch.capture.segmenter import Segmenter, Signature  # noqa: PLC0415 - likewise

    beside = path.with_suffix(".desc")
    recording = (
        read_serial(path)
        if path.suffix.lower() == SERIAL
        else read_evemu(path, description=beside if beside.exists() else None)
    )
    segmenter = Segmenter(limits, recording.info, curve=curve)
    captures = [capture for frames in recording.frames() for capture in segmenter.feed(frames)]
    last = segmenter.expire(float("inf"))
    for capture in (*captures, *([last] if last else [])):
        yield capture.trace if isinstance(capture, Signature) else capture.reason


def _template(verifier: Verifier, paths: Sequence[Path], config: Config) -> Template:
    """Make a template of every signature in `paths`; say which of them is unlike the others."""
    analyses = []
    for path in paths:
        for number, capture in recorded(path, config.segment, config.pen.pressure_curve):
            if isinstance(capture, Reason):
                problem = f"signature {number} is no reference, {SENTENCES[capture].what}"
                raise TraceError(problem=problem, path=path)
            analyses.append(verifier.analyse(capture))
            if len(analyses) > 1 and not verifier.agrees(analyses[:-1], analyses[-1]):
                click.echo(f"{plain(path)}: {SENTENCES[Reason.DISAGREES].what}; enrolment would refuse it.", err=True)
    try:
        return verifier.template(analyses)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _judge(config: Config, references: Sequence[Path], files: Sequence[Path]) -> Iterator[Replayed]:
    from penlatch.verify.verifier import Verifier  # noqa: PLC0415 - the models, only where they are needed

    with quiet.native_code():
        verifier = Verifier.load(config.verify.models, threshold=config.verify.threshold)
    template = _template(verifier, references, config)
    for path in files:
        for number, capture in recorded(path, config.segment, config.pen.pressure_curve):
            if isinstance(capture, Reason):
                yield Replayed(file=plain(path), signature=number, verdict=Verdict.RETRY, reason=capture)
                continue
            judgement = verifier.verify(template, verifier.analyse(capture))
            yield Replayed(
                file=plain(path),
                signature=number,
                verdict=Verdict.MATCH if judgement.match else Verdict.NO_MATCH,
                reason=judgement.reason,
                probability=judgement.probability,
                threshold=verifier.threshold,
                distances=dict(judgement.distances),
            )


def _line(found: Replayed) -> str:
    which = found.file if found.signature == 1 else f"{found.file}, signature {found.signature}"
    if found.probability is None or found.threshold is None or found.distances is None:
        return f"{which}: cannot be used: {SENTENCES[found.reason].what}"
    distances = ", ".join(f"{scorer} {distance:.4g}" for scorer, distance in found.distances.items())
    verdict = "match" if found.verdict is Verdict.MATCH else "no match"
    return (
        f"{which}: {verdict}, probability {found.probability:.3f} (threshold {found.threshold:.3f}): "
        f"{SENTENCES[found.reason].what}; {distances}"
    )


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--reference",
    "references",
    metavar="FILE",
    multiple=True,
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="A genuine signature to compare with; 1 to 12 of them.",
)
@config_option
@json_option
@click.pass_context
def replay(
    ctx: click.Context,
    files: tuple[Path, ...],
    references: tuple[Path, ...],
    config_path: Path | None,
    *,
    as_json: bool,
) -> None:
    """Judge recorded signatures offline, as the terminal would: probability, verdict, reason and distances of each.

    Files are SVC2004 text (.txt), W3C InkML (.inkml) or recordings of a pen (.serial; .evemu or .events), which may
    hold several signatures; the device of an evemu recording is described in it or in a file of the same name that
    ends in .desc. The daemon is not needed, nothing is stored and nothing is published.

    Exit status: 0 every signature matches, 1 one of them does not, 2 wrong usage, 3 one cannot be used, or any other
    error.

    \b
    Examples:
      penlatch replay query.txt --reference a.txt --reference b.txt --reference c.txt
      penlatch replay *.inkml --reference r1.inkml --reference r2.inkml --reference r3.inkml --json
    """
    verdicts = set()
    for found in _judge(find_config(config_path), references, files):
        verdicts.add(found.verdict)
        click.echo(msgspec.json.encode(found).decode() if as_json else _line(found))
    if verdicts == {Verdict.MATCH}:
        ctx.exit(Exit.OK)
    ctx.exit(Exit.NO if Verdict.NO_MATCH in verdicts and Verdict.RETRY not in verdicts else Exit.FAILED)
