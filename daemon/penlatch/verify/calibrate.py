"""From distances to P(genuine): what every scorer says, measured by the user's own references.

A distance says nothing by itself: one person's hand is steady, another's is not. So each distance from a query to the
references is set against the distances between the references, on a logarithmic scale, and each global feature against
its mean over the references, in standard deviations. With few references their own spread is a poor estimate: it is
drawn towards that of the population (as one would with a conjugate prior), so that the same formulas serve one
reference and twelve.

Two questions make P(genuine), and both must be answered yes: is this the writer and not a skilled forger (`Skill`: a
logistic model and boosted trees, in equal parts), and is it the same hand at all (a logistic model of few, raw terms,
which goes on where the first has long made up its mind)?

The numbers are in `models/calibration.json`; `models/training/calibration.py` fits them, on the very functions of this
module, to people who are not tested.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from penlatch.decoding import UNREADABLE
from penlatch.errors import ModelError
from penlatch.signal.features import FEATURES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Places = NDArray[np.intp]
Numbers = NDArray[np.float64]
"""Columns of `calibration.json` that are kept as arrays: as Python's numbers they would take ten times the memory."""

FORMAT = 2
"""Version of `calibration.json`; a reader refuses any other."""

PRIOR_PAIRS = 2.0
"""How many pairs of references the population's spread counts as."""
PRIOR_REFERENCES = 3.0
"""How many references the population's deviation of a global feature counts as."""
MAX_Z = 6.0
"""Beyond so many standard deviations, further away is no more of a surprise."""
MAX_TERM = 4.0
"""The same for a term of the logistic model, in standard deviations over the calibration's people."""
TOP = 6
"""How many of the most surprising global features are looked at together."""
FLOOR = {"alignment": 0.05, "bilstm_se": 0.02, "multichannel": 0.2, "fusion": 1e-3, "dtw": 1e-3}
"""Added to a scorer's distances before a logarithm: differences below it are noise."""

SIGNED = (
    *("log_duration", "log_contact", "log_mean_speed", "log_tremor", "log_mean_jerk", "log_mean_acceleration"),
    *("slow_share", "log_speed_variation", "pen_up_share", "mean_pressure", "log_beat", "log_curvature", "log_path"),
)
"""Global features that forgers move in one direction: they are slower, tremble, and draw more line than needed."""
LEAST_SKILL = -3.0
"""A logit: however unlike, a signature may be a bad day's of the writer with this probability, 1 in 21; below it, only
the question of the hand goes on to tell bad days from strangers."""
MAX_DEPTH = 64
"""Of a tree; more is no tree of ours."""

GROUPS = ("shape", "speed", "pressure", "rhythm", "size")

_SIGNED = {name: [feature.name for feature in FEATURES].index(name) for name in SIGNED}
_GROUP_OF = np.array([GROUPS.index(feature.group) for feature in FEATURES])


class Spread(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What distances between references of one person are like, over the population: means of logarithms."""

    mean: float
    least: float
    most: float


class Population(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What references are like, before any of a person is seen."""

    spread: dict[str, Spread]
    """By scorer."""
    deviation: tuple[float, ...]
    """Standard deviation of each global feature within a person, pooled; in the order of `signal.FEATURES`."""


class Logistic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """P = 1 / (1 + exp(-(intercept + sum w (term - mean) / scale))), each summand's fraction clipped to `MAX_TERM`."""

    terms: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weight: tuple[float, ...]
    intercept: float

    def logit(self, terms: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return ln(P / (1 - P)), float64 [...].

        Args:
            terms: By name, float64 [...] each; more than are needed may be there.
        """
        # np.stack says the same, ten times slower for one query.
        values = np.moveaxis(np.array([terms[name] for name in self.terms]), 0, -1)
        standard = (values - np.array(self.mean)) / np.array(self.scale)
        return self.intercept + np.asarray(standard.clip(-MAX_TERM, MAX_TERM) @ np.array(self.weight))


class Boosted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, eq=False):
    """Boosted trees: ln(P / (1 - P)) is an intercept and the sum of one leaf's value of each tree.

    The nodes of all trees lie in one list. A leaf is a node that leads to itself.
    """

    terms: tuple[str, ...]
    roots: Places
    """Where each tree begins."""
    term: Places
    """Of each node: which term it looks at."""
    threshold: Numbers
    """It goes to the left where the term is at most this, else to the right."""
    left: Places
    right: Places
    value: Numbers
    """Of a leaf; 0 elsewhere."""
    depth: int
    """Most steps from a root to a leaf."""
    intercept: float

    def logit(self, terms: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return ln(P / (1 - P)), float64 [...]; see `Logistic.logit`."""
        values = np.moveaxis(np.array([terms[name] for name in self.terms]), 0, -1)
        flat = values.reshape(-1, len(self.terms))
        node = np.broadcast_to(self.roots, (len(flat), len(self.roots)))
        row = np.arange(len(flat))[:, np.newaxis]
        for _ in range(self.depth):
            node = np.where(flat[row, self.term[node]] <= self.threshold[node], self.left[node], self.right[node])
        return np.asarray(self.intercept + self.value[node].sum(axis=-1).reshape(values.shape[:-1]))

    def problem(self) -> str | None:
        """Say what is wrong with it, None where every walk through it ends in a leaf within `depth` steps."""
        count = len(self.term)
        if {len(self.threshold), len(self.left), len(self.right), len(self.value)} != {count}:
            return "its trees have columns of different lengths"
        if not all(_within(nodes, count) for nodes in (self.roots, self.left, self.right)):
            return "its trees lead nowhere"
        if not _within(self.term, len(self.terms)) or not 0 <= self.depth <= MAX_DEPTH:
            return "its trees look at terms that are not there"
        reached = np.unique(self.roots)
        for _ in range(self.depth):
            reached = np.unique(np.concatenate((self.left[reached], self.right[reached])))
        if (self.left[reached] != reached).any() or (self.right[reached] != reached).any():
            return "its trees are deeper than they say"
        return None


def _within(places: Places, count: int) -> bool:
    return not len(places) or bool(places.min() >= 0 and places.max() < count)


class Skill(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Is this the writer, and not a skilled forger?"""

    logistic: Logistic
    boosted: Boosted
    shift: float
    """Added to the mean of both logits, so that 0.5 lies where both errors are equally frequent."""

    def logit(self, terms: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return ln(P / (1 - P)), float64 [...], above `LEAST_SKILL`; see `Logistic.logit`."""
        own = 0.5 * (self.logistic.logit(terms) + self.boosted.logit(terms)) + self.shift
        return np.asarray(np.logaddexp(own, LEAST_SKILL))


def both(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logit of the product of two probabilities, given by their logits, without overflow."""
    return np.asarray(-np.logaddexp(np.logaddexp(-first, -second), -first - second))


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `calibration.json` holds."""

    format: int
    features: tuple[str, ...]
    """Names of `signal.FEATURES`, as they were when this was fitted."""
    population: Population
    scorers: tuple[str, ...]
    """Whose distances it wants."""
    skill: Skill
    hand: Logistic
    """Is it the same hand at all? Against other people's signatures."""
    agreement: Logistic
    """The same for enrolment, where few references are known and a stranger is refused at once."""
    surprise: dict[str, float]
    """By aspect: the disagreement (see `reasons.disagreements`) that one genuine signature in twenty exceeds."""
    usual: dict[str, float] = {}
    """By aspect: the disagreement that every other genuine signature exceeds."""

    @classmethod
    def from_bytes(cls, content: bytes, *, path: Path | str) -> Calibration:
        """Read and check `calibration.json`.

        Raises:
            ModelError: if it is damaged, of another format, or made for other features.
        """
        try:
            calibration = msgspec.json.decode(content, type=cls, dec_hook=column)
        except UNREADABLE as error:
            raise ModelError(path=path, problem=f"it is damaged ({error})") from error
        if calibration.format != FORMAT:
            raise ModelError(path=path, problem=f"it has format {calibration.format}, this is {FORMAT}")
        if calibration.features != tuple(feature.name for feature in FEATURES):
            raise ModelError(path=path, problem="it was fitted to other global features than this version computes")
        lengths = {len(calibration.population.deviation) - len(FEATURES)}
        for logistic in (calibration.skill.logistic, calibration.hand, calibration.agreement):
            lengths |= {len(c) - len(logistic.terms) for c in (logistic.mean, logistic.scale, logistic.weight)}
        if lengths != {0}:
            raise ModelError(path=path, problem="its columns are of different lengths")
        if problem := calibration.skill.boosted.problem():
            raise ModelError(path=path, problem=problem)
        if set(calibration.scorers) != calibration.population.spread.keys():
            raise ModelError(path=path, problem="its scorers are not those whose spread it knows")
        known = set(term_names(calibration.scorers))
        for model in (calibration.skill.logistic, calibration.skill.boosted, calibration.hand, calibration.agreement):
            if unknown := set(model.terms) - known:
                raise ModelError(path=path, problem=f"it has unknown terms: {', '.join(sorted(unknown))}")
        return calibration

    def to_bytes(self) -> bytes:
        """Return what `from_bytes` reads."""
        return msgspec.json.encode(self, enc_hook=np.ndarray.tolist) + b"\n"

    def genuine(self, terms: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return ln(P / (1 - P)) of P(genuine), float64 [...]; see `terms`."""
        return both(self.skill.logit(terms), self.hand.logit(terms))


def column(kind: Any, values: Any) -> Places | Numbers:
    """Make `Places` or `Numbers` of a list of numbers, for msgspec (`dec_hook`).

    Raises:
        TypeError, ValueError: if it is no such list.
    """
    # By what it holds: whether `kind` equals `Places` depends on how numpy spells NDArray, which 2.5 changed.
    _, holds = get_args(kind)
    (scalar,) = get_args(holds)
    wanted = list[int] if issubclass(scalar, np.integer) else list[float]
    try:
        return np.array(msgspec.convert(values, wanted), dtype=scalar)
    except OverflowError as error:
        raise ValueError("a number has more bits than its column") from error


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that is known of one query, or of many, against one set of n references, 1 <= n."""

    to_references: Mapping[str, NDArray[np.float64]]
    """By scorer: distances from the query to each reference, float64 [..., n]."""
    between_references: Mapping[str, NDArray[np.float64]]
    """By scorer: distances between the references, float64 [n, n]; the diagonal is not looked at."""
    features: NDArray[np.float64]
    """Global features of the query, float64 [..., len(FEATURES)]."""
    reference_features: NDArray[np.float64]
    """Of the references, float64 [n, len(FEATURES)]."""


def term_names(scorers: Sequence[str]) -> tuple[str, ...]:
    """Return the names of all terms that there are with some scorers; see `terms`."""
    return (
        *(f"{scorer}_{what}" for scorer in scorers for what in ("mean", "least", "most", "spread", "raw")),
        *("z_mean", "z_rms", "z_top"),
        *(f"z_{group}" for group in GROUPS),
        *(f"z_{feature.name}" for feature in FEATURES),
        *(f"s_{name}" for name in SIGNED),
        *("own", "references"),
    )


def terms(evidence: Evidence, population: Population) -> dict[str, NDArray[np.float64]]:
    """Compute every term that a model may use.

    For each scorer: `<scorer>_mean`, `_least`, `_most`, the logarithms of the mean, least and greatest distance to
    the references, each less what the user's own spread lets expect; `<scorer>_spread`, that spread itself, and
    `<scorer>_raw`, the logarithm of the mean distance as it stands.
    Of the global features: `z_<feature>`, absolute z-scores; `z_mean`, `z_rms`, `z_top` over all of them,
    `z_<group>`, their mean over a group, and `s_<feature>`, signed z-scores of `SIGNED`.
    `own` is how much the references' own features vary, against the population's; `references` is their number.

    Returns:
        By name: float64 [...], the leading axes of the evidence.
    """
    found: dict[str, NDArray[np.float64]] = {}
    for scorer, prior in population.spread.items():
        floor, distances = FLOOR[scorer], evidence.to_references[scorer]
        spread = own_spread(evidence.between_references[scorer], prior, floor=floor)
        found[f"{scorer}_mean"] = np.log(distances.mean(axis=-1) + floor) - spread.mean
        found[f"{scorer}_least"] = np.log(distances.min(axis=-1) + floor) - spread.least
        found[f"{scorer}_most"] = np.log(distances.max(axis=-1) + floor) - spread.most
        found[f"{scorer}_spread"] = np.full(distances.shape[:-1], spread.mean)
        found[f"{scorer}_raw"] = found[f"{scorer}_mean"] + spread.mean
    signed = z_scores(evidence, population)
    z = np.abs(signed)
    found["z_mean"] = z.mean(axis=-1)
    found["z_rms"] = np.sqrt((z**2).mean(axis=-1))
    found["z_top"] = np.sort(z, axis=-1)[..., -TOP:].mean(axis=-1)
    for place, group in enumerate(GROUPS):
        found[f"z_{group}"] = z[..., place == _GROUP_OF].mean(axis=-1)
    for place, feature in enumerate(FEATURES):
        found[f"z_{feature.name}"] = z[..., place]
    for name, place in _SIGNED.items():
        found[f"s_{name}"] = signed[..., place]
    references = evidence.reference_features
    n = len(references)
    own = references.var(axis=0, ddof=1) if n > 1 else np.zeros(len(FEATURES))
    found["own"] = np.full(z.shape[:-1], math.sqrt(float((own / np.array(population.deviation) ** 2).mean())))
    found["references"] = np.full(z.shape[:-1], float(n))
    return found


def own_spread(between: NDArray[np.float64], prior: Spread | None, *, floor: float) -> Spread:
    """Return the spread of a user's references, drawn towards the population's by `PRIOR_PAIRS`.

    Args:
        between: Distances between n references, float64 [n, n].
        prior: The population's; None while it is still to be found, which needs two references.
        floor: Added before a logarithm.
    """
    n = len(between)
    if n < 2:
        if prior is None:
            raise ValueError(n)
        return prior
    others = between[~np.eye(n, dtype=np.bool_)].reshape(n, n - 1)
    mean, least = others.sum(axis=1) / (n - 1), others.min(axis=1)
    own = np.log(np.array([mean.sum() / n, least.sum() / n, mean.max()]) + floor)
    if prior is not None:
        share = PRIOR_PAIRS / (PRIOR_PAIRS + n * (n - 1) / 2)
        own = (1 - share) * own + share * np.array([prior.mean, prior.least, prior.most])
    return Spread(*map(float, own))


def z_scores(evidence: Evidence, population: Population) -> NDArray[np.float64]:
    """Return how many standard deviations each global feature of the query is from the references' mean.

    The deviation is pooled from the references' own and the population's, which counts as `PRIOR_REFERENCES`; the
    uncertainty of a mean over n references widens it by sqrt(1 + 1/n). Clipped to +-`MAX_Z`.

    Returns:
        float64 [..., len(FEATURES)].
    """
    references = evidence.reference_features
    n = len(references)
    mean = references.mean(axis=0)
    own = ((references - mean) ** 2).sum(axis=0)
    prior = PRIOR_REFERENCES * np.array(population.deviation) ** 2
    deviation = np.sqrt((prior + own) / (PRIOR_REFERENCES + n - 1) * (1 + 1 / n))
    z: NDArray[np.float64] = ((evidence.features - mean) / deviation).clip(-MAX_Z, MAX_Z)
    return z
