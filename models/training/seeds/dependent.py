"""penlatch's own parts on the dual-task paper's protocol: a verifier that knows 15 forgeries of each user.

    python -m training.seeds.dependent

Of SVC2004 Task2, S1-S15 and S21-S35 of a user train, S16-S20 and S36-S40 are tested, 5 + 5 of each of 40 users. What is
known of a signature (`training.seeds.evidence`) goes to one logistic model for everybody in a fold, learned from people
of the other three folds, so that it has met no signature of whom it judges; the user's own 15 + 15 are what signatures
are compared with. The verdict falls at P(genuine) = 0.5, one threshold for all.

Nothing is learned from, or chosen by, the tested signatures of Task2. Cross-validation among training signatures cannot
show how later signatures and new forgers differ, so Task1 is the development set: the same protocol on other signatures
(without pressure) settled terms and penalty, and the model learns from all of it, always of the other folds' people,
and from the training signatures of Task2. Alignments were chosen by cross-validation on Task2's training signatures:
each compared with the others only, a forgery with none by the same forger.

Writes `models/results/seed-dependent.json`. Users that have been compared are kept in `build/seeds/`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from penlatch.signal.features import FEATURES
from penlatch.signal.preprocess import clean
from training.calibration import fit_logistic
from training.datasets import by_user, load
from training.metrics import eer, rates
from training.seeds.evidence import ALIGNMENTS, TRAINED, User, compare, scales, spread_of_features, terms
from training.seeds.intervals import of_attempts
from training.seeds.kept import Kept
from training.seeds.provenance import digests, write
from training.splits import FOLDS, fold_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from training.datasets import Database

DATASET: Final[Database] = "svc2004-task2"
DEVELOPMENT: Final[Database] = "svc2004-task1"
PENALTY: Final = 3.0
"""Of the logistic model's squared weights."""
FIRST_SITTING: Final = 10
"""Training signatures of the first sitting. The tested ones are of the second: these weigh `FIRST_SITTING_WEIGHT`."""
FIRST_SITTING_WEIGHT: Final = 0.5
TESTED_WEIGHT: Final = 3.0
"""Of a tested signature of Task1: few, and what matters."""
REVISION: Final = 1
"""Raise it when what is kept in `build/` no longer counts."""
PAPER: Final = {"accuracy": 97.03, "eer": 2.33}


class Options(Protocol):
    """What `run` looks at."""

    @property
    def dataset(self) -> str:
        """`DATASET`; nothing else has the protocol."""

    @property
    def data(self) -> Path | None:
        """The folder that holds both databases, or the archive of Task2 in it; None for the usual place."""

    @property
    def json(self) -> Path | None:
        """Where to write the figures."""

    @property
    def command(self) -> str:
        """What to type for the same figures."""


@dataclass(frozen=True)
class Settings:
    """The options of this module's own command."""

    dataset: str
    data: Path | None
    json: Path | None
    command: str


@dataclass(frozen=True, eq=False)
class Scores:
    """Logits of P(genuine) of every user, by their names: which train, judged as if tested, and which are tested."""

    training: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    """Genuine of the second sitting, and forged."""
    tested: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    """Genuine and forged."""


@dataclass(frozen=True, eq=False)
class Source:
    """People to learn from."""

    users: Mapping[str, User]
    tested_weight: float = 0.0
    """Of each tested signature of theirs; 0 where those must not be seen."""

    def lessons(self, *, without: int) -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]]:
        """Yield terms, classes and weights of the signatures of each person who is not in fold `without`."""
        known = [user for name, user in self.users.items() if fold_of(name) != without]
        spread = spread_of_features(known)
        for user in known:
            rows, weight = user.trains, _weights()
            if self.tested_weight:
                rows = np.concatenate([rows, user.tested])
                weight = np.concatenate([weight, np.full(len(user.tested), self.tested_weight)])
            yield terms(user, spread)[rows], rows < user.genuine, weight


def compared(dataset: Database, data: Path | None = None) -> Iterator[tuple[str, User]]:
    """Yield every user of a database, their signatures compared with those of them that train.

    Raises:
        DataMissingError: if the database is not there.
    """
    people = by_user(load(dataset, data))
    inks = {user: [clean(t) for t in (*traces["genuine"], *traces["skilled"])] for user, traces in people.items()}
    genuine = {user: len(traces["genuine"]) for user, traces in people.items()}
    setting = {"data": digests([dataset], data), "alignments": ALIGNMENTS, "revision": REVISION}
    setting |= {"dataset": dataset, "features": [feature.name for feature in FEATURES]}
    kept = Kept("dependent", setting)
    scale = scales(list(inks.values()), genuine=next(iter(genuine.values())))
    for user, own in inks.items():

        def compute(own: Any = own, user: str = user) -> Any:
            found = compare(own, scale, genuine=genuine[user])
            return {
                "distances": {name: table.tolist() for name, table in found.distances.items()},
                "features": found.features.tolist(),
            }

        result = kept.result(user, compute)
        yield (
            user,
            User(
                genuine=genuine[user],
                distances={name: np.array(table) for name, table in result["distances"].items()},
                features=np.array(result["features"]),
            ),
        )


def score(users: Mapping[str, User], sources: Sequence[Source], *, penalty: float = PENALTY) -> Scores:
    """Judge every user's signatures by a model that has learned from people of the other folds.

    Args:
        users: Whom to judge, by name.
        sources: What to learn from. Whoever is in the fold of a judged user is left out.
        penalty: Of the logistic model.
    """
    training, tested = {}, {}
    for fold in range(FOLDS):
        lessons = [lesson for source in sources for lesson in source.lessons(without=fold)]
        table, genuine, weight = (np.concatenate(parts) for parts in zip(*lessons, strict=True))
        names = [str(k) for k in range(table.shape[1])]
        model = fit_logistic(names, table, genuine, weight, penalty=penalty)
        spread = spread_of_features([known for user, known in users.items() if fold_of(user) != fold])
        for user, known in users.items():
            if fold_of(user) != fold:
                continue
            logits = model.logit(dict(zip(names, terms(known, spread).T, strict=True)))
            training[user] = (logits[FIRST_SITTING:TRAINED], logits[known.trains[TRAINED:]])
            is_genuine = known.tested < known.genuine
            tested[user] = (logits[known.tested[is_genuine]], logits[known.tested[~is_genuine]])
    return Scores({user: training[user] for user in users}, {user: tested[user] for user in users})


def _weights() -> NDArray[np.float64]:
    """Weigh the training signatures of a user; both classes weigh the same."""
    genuine = np.where(np.arange(TRAINED) < FIRST_SITTING, FIRST_SITTING_WEIGHT, 1.0)
    return np.concatenate([genuine, np.full(TRAINED, genuine.mean())])


def figures(scores: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]) -> dict[str, Any]:
    """Return accuracy at 0.5 and EERs, in percent, with 95 % intervals over users."""
    genuine, forged = (np.concatenate([pair[k] for pair in scores.values()]) for k in (0, 1))
    errors = rates(genuine, forged, 0.0)
    wrong = {user: [int((g < 0).sum()), int((f >= 0).sum())] for user, (g, f) in scores.items()}
    return {
        "genuine": len(genuine),
        "forged": len(forged),
        "accuracy": round(100 * accuracy(genuine, forged), 2),
        "accuracy_interval": of_attempts(list(scores.values()), accuracy),
        "fnmr": round(100 * errors.fnmr, 2),
        "fmr": round(100 * errors.fmr, 2),
        "eer": round(100 * eer(genuine, forged), 2),
        "eer_interval": of_attempts(list(scores.values()), eer),
        "eer_per_user": round(100 * float(np.mean([eer(g, f) for g, f in scores.values()])), 2),
        "cost": round(_cost(genuine, forged), 4),
        "false_rejects_and_accepts": {user: counts for user, counts in wrong.items() if any(counts)},
    }


def accuracy(genuine: NDArray[np.float64], forged: NDArray[np.float64]) -> float:
    """Return the mean of the shares of genuine signatures and of forgeries that are judged right at P = 0.5."""
    errors = rates(genuine, forged, 0.0)
    return 1 - (errors.fnmr + errors.fmr) / 2


def _cost(genuine: NDArray[np.float64], forged: NDArray[np.float64]) -> float:
    """Return the mean cross-entropy, both classes weighing the same: finer than counts of few errors."""
    return float((np.logaddexp(0, -genuine).mean() + np.logaddexp(0, forged).mean()) / 2)


def evaluate(users: Mapping[str, User], development: Mapping[str, User]) -> dict[str, Any]:
    """Return figures on the tested signatures, beside those that choices were made by.

    Args:
        users: Whose training signatures may be learned from, and whose others are tested.
        development: Who may be learned from altogether; the same names are the same people.
    """
    sources = [Source(users), Source(development, TESTED_WEIGHT)]
    scores = score(users, sources)
    return {
        "development": figures(score(development, sources).tested),
        "cross_validated": figures(scores.training),
        "tested": figures(scores.tested),
    }


def run(options: Options) -> dict[str, Any]:
    """Run the protocol, print its figures and write them where the options say.

    Raises:
        ValueError: if the protocol does not fit the database.
        DataMissingError: if a database is not there.
    """
    if options.dataset != DATASET:
        raise ValueError(f"the dependent protocol is for {DATASET}: 15 + 15 signatures to train with, two sittings")
    data = options.data
    if data is not None and data.name.removesuffix(".zip") == DATASET:
        data = data.parent  # where the other one is looked for as well
    both: dict[Database, dict[str, User]] = {DATASET: {}, DEVELOPMENT: {}}
    for database, users in both.items():
        for user, known in compared(database, data):
            users[user] = known
            print(f"{database}: compared {user}, {len(users)} users so far", flush=True)
    found: dict[str, Any] = {"users": len(both[DATASET]), "paper": PAPER} | evaluate(both[DATASET], both[DEVELOPMENT])
    tested = found["tested"]
    print(
        f"\n{found['users']} users, {tested['genuine']} genuine + {tested['forged']} forged signatures tested\n"
        f"accuracy at 0.5  {tested['accuracy']:.2f} %  95 % interval over users {tested['accuracy_interval']}"
        f"  (paper {PAPER['accuracy']} %)\n"
        f"EER, one threshold  {tested['eer']:.2f} %  {tested['eer_interval']}  (paper {PAPER['eer']} %)\n"
        f"false rejects and accepts: {tested['false_rejects_and_accepts']}"
    )
    if options.json:
        content = {"command": options.command, "data": digests(both, data)} | found
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return found


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of the databases (default: $PENLATCH_DATA or ../shared/data)")
    options = parser.parse_args()
    command = "scripts/reproduce dependent"
    found = run(Settings(DATASET, options.data, None, command))
    origin = digests([DATASET, DEVELOPMENT], options.data)
    print(f"written: {write('seed-dependent', command, found, data=origin, packages=('numpy',))}")


if __name__ == "__main__":
    main()
