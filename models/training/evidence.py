"""Evidence: the comparisons of everybody in the development databases, kept on disk, each by who may give it.

What asks no network is computed once; what asks one, for each network and each fold of people (`training.plan`).
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Final

from penlatch.verify.artefacts import NETWORK, Artefacts
from penlatch.verify.bilstm_se import BilstmSe
from training.comparisons import Claims, Comparisons, claims, compare
from training.datasets import load
from training.plan import DEVELOPMENT
from training.splits import FOLDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penlatch.verify.artefacts import Manifest
    from training.plan import Left

NETWORK_SCORERS: Final = ("alignment", "bilstm_se")
OTHER_SCORERS: Final = ("multichannel", "dtw")
"""`dtw` is the baseline; no calibration looks at it."""


@functools.cache
def everybody(data: Path | None) -> tuple[Claims, ...]:
    """Return the claims of everybody in the development databases."""
    return tuple(person for database in DEVELOPMENT for person in claims(load(database, data)))


class Evidence:
    """The comparisons, made when they are asked for first."""

    def __init__(self, folder: Path, data: Path | None, network: Callable[[Left], tuple[Manifest, bytes]]) -> None:
        """Keep them in `folder`; `network` gives the manifest and the file of a network."""
        self._folder = folder
        self._data = data
        self._network = network
        folder.mkdir(parents=True, exist_ok=True)

    def of(self, fold: int, by: Left) -> list[Comparisons]:
        """Return the comparisons of those people of one fold whom a network has not met, by that network."""
        plain = {(c.database, c.user): c for c in self._kept(f"plain-{fold}", fold, None)}
        return [plain[c.database, c.user].beside(c) for c in self._kept(f"{by.name}-{fold}", fold, by)]

    def also(self, fold: int, scorers: tuple[str, ...]) -> list[Comparisons]:
        """Return comparisons of everybody of one fold by scorers that ask no network and that no door runs."""
        return self._kept(f"{'-'.join(scorers)}-{fold}", fold, None, scorers)

    def _kept(
        self, name: str, fold: int, by: Left | None, scorers: tuple[str, ...] = OTHER_SCORERS
    ) -> list[Comparisons]:
        path = self._folder / f"{name}.pickle"
        if path.exists():
            found: list[Comparisons] = pickle.loads(path.read_bytes())  # noqa: S301 - our own file, in build/
            return found
        people = [p for p in everybody(self._data) if p.fold == fold and not (by and by.allows(p.database, p.user))]
        scorers = NETWORK_SCORERS if by else scorers
        print(f"comparing {len(people)} people of fold {fold}: {by.name if by else ', '.join(scorers)}", flush=True)
        made = _compare(people, self._network(by) if by else None, scorers)
        draft = path.with_suffix(".draft")
        draft.write_bytes(pickle.dumps(made))
        draft.replace(path)
        return made


def _compare(
    people: Sequence[Claims], network: tuple[Manifest, bytes] | None, scorers: tuple[str, ...]
) -> list[Comparisons]:
    # By database: its people are each other's random forgeries.
    parts = [[p for p in people if p.database == database] for database in DEVELOPMENT]
    jobs = [(part[k::FOLDS], network, scorers) for part in parts for k in range(FOLDS) if part[k::FOLDS]]
    with multiprocessing.get_context("fork").Pool(os.cpu_count() or 1) as workers:
        return [c for made in workers.imap(_compare_some, jobs, chunksize=1) for c in made]


def _compare_some(job: tuple[Sequence[Claims], tuple[Manifest, bytes] | None, tuple[str, ...]]) -> list[Comparisons]:
    people, network, scorers = job
    return list(compare(people, scorer(*network) if network else None, scorers))


def scorer(manifest: Manifest, content: bytes) -> BilstmSe:
    """Load a network that lies in no model folder yet."""
    return BilstmSe(Artefacts(directory=Path("build"), manifest=manifest, digest="", files={NETWORK: content}))
