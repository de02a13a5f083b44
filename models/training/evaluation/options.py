"""Options: what an evaluation is asked to do, whichever protocol runs it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from training.records import Database

DATASETS: Final[tuple[Database, ...]] = (
    "svc2004-task1",
    "svc2004-task2",
    "susig-visual",
    "susig-blind",
    "sigcomp2009",
    "sigcomp2011-dutch",
    "index",
)
"""What `--dataset` takes."""
PROTOCOLS: Final = ("first", "sittings", "official", "dependent", "fusion", "pair")
"""What `--protocol` takes; `registry` says who runs them."""
REFERENCES: Final = 5
"""As many as an enrolment asks for unless configured otherwise."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line, checked."""

    dataset: Database = "svc2004-task2"
    data: Path | None = None
    """The archive, the unpacked folder or the folder that holds either; None for the usual one."""
    protocol: str = "first"
    references: int = REFERENCES
    scorers: tuple[str, ...] = ("fused", "dtw")
    json: Path | None = None
    report: Path | None = None
    """Folder for curves, histograms and pictures."""
    scores: Path | None = None
    """File for every attempt."""
    models: Path | None = None
    """One model folder for everybody; None to choose those that have not met whom they judge."""
    unseen_database: bool = False
    sessions: bool = False
    """Count visits and eight hours, and not signatures."""
    rise: tuple[tuple[int, float], ...] | None = None
    """For `sessions`: another `lockout.rise` than the default; None for the default."""
    degrade: str | None = None
    degrade_queries: bool = False
    seed: int = 0

    @property
    def command(self) -> str:
        """What to type for the same figures: without where things lie on this machine."""
        words = ["scripts/evaluate", "--dataset", self.dataset, "--protocol", self.protocol]
        words += ["--refs", str(self.references)]
        for scorer in () if self.sessions else self.scorers:
            words += ["--scorer", scorer]
        if self.sessions:
            words.append("--sessions")
        for failures, threshold in self.rise or ():
            words += ["--rise", f"{failures}:{threshold:g}"]
        if self.unseen_database:
            words.append("--unseen-database")
        if self.models is not None:
            words += ["--models", self.models.name]
        if self.degrade is not None:
            words += ["--degrade", self.degrade]
        if self.degrade_queries:
            words.append("--degrade-queries")
        if self.dataset == "index" and self.data is not None:
            words += ["--data", self.data.name]
        return shlex.join([*words, "--seed", str(self.seed)])
