"""Report: everything that an evaluation found, as `--json` writes it; docs/evaluate.md explains every key."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from training.evaluation.figures import Against, Difference

FORMAT: Final = 1
"""Version of the JSON; it grows when a key changes its meaning or goes, not when one is added."""


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """The database."""

    dataset: str
    sha256: str
    """Of the archive, or of the files' contents in order."""
    people: int
    """Tested."""
    left_out: dict[str, int]
    """People who are not tested, by the reason: too few signatures for the protocol."""


class Protocol(msgspec.Struct, frozen=True, kw_only=True):
    """What was done."""

    name: str
    references: int
    draws: int
    """Enrolments of each person."""
    seed: int
    """Of draws, degradation and bootstrap."""
    degrade: str | None
    degrade_queries_only: bool


class Models(msgspec.Struct, frozen=True, kw_only=True):
    """One model folder that judged."""

    folder: str
    sha256: str
    """Digest of its manifest, and through it of every file."""
    people: int
    """Whom it judged."""
    chosen_because: str


class Failures(msgspec.Struct, frozen=True, kw_only=True):
    """What never came to a score. Error rates do not include it."""

    fte: float
    """Failure to enrol: share of the people with enough signatures who could not be enrolled [%]."""
    not_enrolled: int
    fta: float
    """Failure to acquire: share of the attempts that cannot be analysed [%]; a terminal asks to sign again."""
    not_acquired: dict[str, int]
    """Attempts by kind. Files too short to be signatures count as genuine or skilled ones."""


class Scorer(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one scorer."""

    skilled: Against | None
    random: Against | None
    random_unmet: Against | None
    """The same as `random`, without attempts of forgers whom the judging models have met; None where that is all of
    them or none."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one protocol."""

    format: int = FORMAT
    kind: Literal["verification"] = "verification"
    command: str
    """What makes the same figures again."""
    notes: tuple[str, ...]
    """What a reader must know."""
    data: Data
    protocol: Protocol
    models: tuple[Models, ...]
    runtime: str
    """What ran the models."""
    versions: dict[str, str]
    failures: Failures
    scorers: dict[str, Scorer]
    differences: dict[str, Difference | None]
    """By kind of forgery: fused less plain time warping, where both were scored."""
    seconds: float
    """How long it took: the one figure that differs from run to run."""


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """Every database judged by models that have never met it."""

    format: int = FORMAT
    kind: Literal["matrix"] = "matrix"
    command: str
    reports: tuple[Report, ...]


def to_json(report: msgspec.Struct | dict[str, Any]) -> bytes:
    """Return a report as it is written to a file: one key a line."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"
