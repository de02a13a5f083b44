"""Comparisons: everything that claims to be one person's, compared with that person's genuine signatures, once.

From these tables the evidence for any draw of references is read off, so that a calibration can look at many draws.
Fusion is left out: its distances depend on all references at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from penlatch.verify.calibrate import Evidence
from penlatch.verify.verifier import DISTANCES, analyse
from training.records import MIN_POINTS
from training.splits import fold_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from penlatch.verify.bilstm_se import BilstmSe
    from penlatch.verify.verifier import Analysis
    from training.records import Record

Attempt = Literal["genuine", "skilled", "random"]

CANDIDATES: Final = 20
"""Genuine signatures of a person that may be drawn as references, the first by sitting and number."""
MOST_GENUINE: Final = 30
MOST_SKILLED: Final = 60
MOST_RANDOM: Final = 40
"""Of one person: more of one kind of attempt would only take time."""
LEAST_GENUINE: Final = 7
"""People with fewer have too few to be tested with."""


@dataclass(frozen=True, eq=False)
class Claims:
    """Who claims to be a person: genuine signatures first, then skilled forgeries, then other people's signatures."""

    database: str
    user: str
    records: tuple[Record, ...]
    kinds: NDArray[np.str_]
    """`Attempt` of each record."""

    @property
    def fold(self) -> int:
        """Which fold the person is in."""
        return fold_of(self.user)


@dataclass(frozen=True, eq=False)
class Comparisons:
    """One person's claims, compared."""

    database: str
    user: str
    kinds: NDArray[np.str_]
    """`Attempt` of each signature; the genuine ones come first."""
    sessions: NDArray[np.int64]
    """Sitting of each signature, 0 where the database does not say."""
    distances: Mapping[str, NDArray[np.float64]]
    """By scorer: [signatures, candidates], to the genuine ones that may be drawn as references."""
    features: NDArray[np.float64]
    """Global features, [signatures, len(FEATURES)]."""

    @property
    def fold(self) -> int:
        """Which fold the person is in."""
        return fold_of(self.user)

    @property
    def candidates(self) -> int:
        """How many genuine signatures may be drawn as references."""
        return min(int((self.kinds == "genuine").sum()), CANDIDATES)

    def evidence(self, references: Sequence[int]) -> Evidence:
        """Return what is known of every signature against some genuine ones (which are among the signatures)."""
        chosen = list(references)
        tables = {scorer: table[:, chosen] for scorer, table in self.distances.items()}
        return Evidence(
            to_references=tables,
            between_references={scorer: table[chosen] for scorer, table in tables.items()},
            features=self.features,
            reference_features=self.features[chosen],
        )

    def only(self, kept: NDArray[np.bool_]) -> Comparisons:
        """Return the comparisons of some of the signatures, all genuine ones among them."""
        return replace(
            self,
            kinds=self.kinds[kept],
            sessions=self.sessions[kept],
            distances={scorer: table[kept] for scorer, table in self.distances.items()},
            features=self.features[kept],
        )

    def beside(self, other: Comparisons) -> Comparisons:
        """Return these comparisons with the scorers of others, of the same signatures, added."""
        return replace(self, distances={**self.distances, **other.distances})


def claims(records: Iterable[Record]) -> Iterator[Claims]:
    """Yield the claims of every person of one database who has signatures enough.

    Random forgeries are the first genuine signature of other people, of no more than `MOST_RANDOM` of them, drawn the
    same every time.
    """
    own: dict[str, list[Record]] = {}
    skilled: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda r: (r.user, r.session, r.index)):
        if np.count_nonzero(record.trace.down) >= MIN_POINTS:
            (own if record.kind == "genuine" else skilled).setdefault(record.user, []).append(record)
    for user, genuine in own.items():
        if len(genuine) < LEAST_GENUINE:
            continue
        others = [signed[0] for other, signed in own.items() if other != user]
        drawn = np.random.default_rng(fold_of(user)).permutation(len(others))[:MOST_RANDOM]
        parts = (genuine[:MOST_GENUINE], skilled.get(user, [])[:MOST_SKILLED], [others[k] for k in sorted(drawn)])
        yield Claims(
            database=genuine[0].database,
            user=user,
            records=tuple(record for part in parts for record in part),
            kinds=np.repeat(np.array(["genuine", "skilled", "random"]), [len(part) for part in parts]),
        )


def compare(people: Sequence[Claims], network: BilstmSe | None, scorers: Collection[str]) -> Iterator[Comparisons]:
    """Compare the claims of each person by some scorers.

    Args:
        people: whose.
        network: of those scorers that want one.
        scorers: names of `verifier.DISTANCES`.
    """
    # The same signature is the random forgery of many.
    known: dict[int, Analysis] = {}
    for person in people:
        analyses = []
        for record in person.records:
            if id(record) not in known:
                known[id(record)] = analyse(record.trace, network, scorers)
            analyses.append(known[id(record)])
        references = analyses[: min(int((person.kinds == "genuine").sum()), CANDIDATES)]
        yield Comparisons(
            database=person.database,
            user=person.user,
            kinds=person.kinds,
            sessions=np.array([record.session for record in person.records]),
            distances={
                scorer: np.stack(
                    [DISTANCES[scorer](a.prepared[scorer], [r.prepared[scorer] for r in references]) for a in analyses]
                )
                for scorer in scorers
            },
            features=np.stack([a.features for a in analyses]),
        )
        # Whoever is nobody's random forgery is not needed again.
        for record, kind in zip(person.records, person.kinds, strict=True):
            if kind == "skilled":
                known.pop(id(record), None)
