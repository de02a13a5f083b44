"""Sessions: a forger's chance per visit and in eight hours, and a person's, under the lockout of the daemon.

The lockout is the daemon's own class with a clock of the simulation. A visit ends with a match or with the first lock.
A forger's visit takes the forgeries of one person in the order of the database, five at a time. In eight hours a forger
tries as fast as the locks allow. A genuine visit begins at each tested genuine signature and goes on with those that
follow, round the end.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

import msgspec
import numpy as np

from penlatch.config import Lockout as Rule
from penlatch.messages import Verdict, Way
from penlatch.service.lockout import NEAR, Lockout
from training.evaluation.figures import percent
from training.evaluation.report import FORMAT, Data, Models
from training.evaluation.scoring import FUSED
from training.metrics import bootstrap, zero_errors_bound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from training.evaluation.scoring import Scored
    from training.evaluation.verification import Run

DAY_S: Final = 8 * 3600.0
"""Time of a forger who stays all day [s]."""
SHUFFLES: Final = 100
"""Orders of each person's forgeries for the figures that do not depend on the order of the database."""
RAISED_BY: Final = 3
"""Near failures of an attacker before a genuine visit that begins with a raised threshold."""
OPEN_RULE: Final = Rule(rise=(), per_day=1000)
"""Lockout without the measures: failures in a row alone."""

_USER: Final = "user"
_BEGIN: Final = datetime(2026, 3, 1, 8, tzinfo=UTC)


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A rate, and its evidence."""

    count: int
    of: int
    rate: float
    """`count` / `of` [%]."""
    interval: tuple[float, float]
    """95 %, over people [%]; up to 3/n where `count` is 0."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Figures under one rule."""

    rise: tuple[tuple[int, float], ...]
    per_day: int
    forger_visit: Share
    """Visits of a skilled forger with a match."""
    forger_visit_shuffled: float
    """The same, mean over orders [%]."""
    forger_day: Share
    """People of whom a skilled forger is matched in eight hours."""
    forger_day_all_ways: Share
    """The same of a forger who always asks in a way that is open: by name in both ways, and by identification."""
    forger_day_shuffled: float
    """The same, mean over orders [%]."""
    fnmr_visit: Share
    """Genuine visits without a match."""
    fnmr_by_tries: dict[str, float]
    """Genuine visits without a match in so many tries [%]."""
    fnmr_visit_attacked: Share
    """The same after failures of an attacker in another way of asking, within `lockout.rise_s`."""


class Sessions(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    format: int = FORMAT
    kind: Literal["sessions"] = "sessions"
    command: str
    notes: tuple[str, ...]
    data: Data
    models: tuple[Models, ...]
    threshold: float
    failures: int
    """Failures in a row that lock, `lockout.failures`: tries of a visit."""
    near: float
    """P(genuine) from which on a failure counts for the day and raises the threshold."""
    without: Session
    """Failures in a row lock, and nothing else: no rise, no day's cap."""
    measures: Session
    """The default configuration, unless `command` has another rise."""


def sessions(run: Run, *, rise: tuple[tuple[int, float], ...] | None = None, seed: int) -> Sessions:
    """Return the figures of a run of protocol `first` or `sittings`, without and with the measures.

    Args:
        run: A run with the scorer `fused`.
        rise: Another `lockout.rise` than the default.
        seed: Of shuffles and intervals.
    """
    report, rule = run.report, Rule() if rise is None else Rule(rise=rise)
    return Sessions(
        command=report.command,
        notes=report.notes,
        data=report.data,
        models=report.models,
        threshold=run.trials[0].threshold,
        failures=rule.failures,
        near=NEAR,
        without=_session(run.trials, OPEN_RULE, seed=seed),
        measures=_session(run.trials, rule, seed=seed),
    )


def as_text(found: Sessions) -> str:
    """Return both columns side by side."""
    lines = [f"{found.data.dataset}: {found.data.people} people; a visit has up to {found.failures} tries; rates in %"]
    lines += [f"! {note}" for note in found.notes]
    lines.append(f"{'':42s} {'without':>24s} {'with':>24s}")
    for title, name in (
        ("skilled forger matched, per visit", "forger_visit"),
        ("skilled forger matched, in eight hours", "forger_day"),
        ("the same, by every way of asking", "forger_day_all_ways"),
        ("genuine person refused, per visit", "fnmr_visit"),
        ("the same, just after an attack", "fnmr_visit_attacked"),
    ):
        lines.append(
            f"{title:42s} " + " ".join(f"{_cell(getattr(s, name)):>24s}" for s in (found.without, found.measures))
        )
    for title, name in (
        ("forger per visit, any order", "forger_visit_shuffled"),
        ("forger in eight hours, any order", "forger_day_shuffled"),
    ):
        lines.append(f"{title:42s} " + " ".join(f"{getattr(s, name):24.2f}" for s in (found.without, found.measures)))
    for tries, rate in found.without.fnmr_by_tries.items():
        row = f"{rate:24.2f} {found.measures.fnmr_by_tries[tries]:24.2f}"
        lines.append(f"{f'genuine person refused in {tries} tries':42s} {row}")
    lines.append(f"with: rise {list(map(list, found.measures.rise))}, per_day {found.measures.per_day}")
    return "\n".join([*lines, found.command])


def _cell(share: Share) -> str:
    return f"{share.rate:.2f} ({share.interval[0]:.2f} - {share.interval[1]:.2f})"


def _session(trials: Sequence[Scored], rule: Rule, *, seed: int) -> Session:
    forged = [(trial.of(FUSED, "skilled"), trial.threshold) for trial in trials]
    forged = [(scores, threshold) for scores, threshold in forged if len(scores)]
    genuine = [(trial.of(FUSED, "genuine"), trial.threshold) for trial in trials]
    rng = np.random.default_rng(seed)
    shuffled = [(rng.permutation(scores), threshold) for scores, threshold in forged for _ in range(SHUFFLES)]
    tries = sorted({1, 2, 3, rule.failures})
    return Session(
        rise=rule.rise,
        per_day=rule.per_day,
        forger_visit=_share([list(_visits(s, t, rule)) for s, t in forged], seed=seed),
        forger_visit_shuffled=percent(float(np.mean([v for s, t in shuffled for v in _visits(s, t, rule)]))),
        forger_day=_share([[matched(s, t, rule, span_s=DAY_S)] for s, t in forged], seed=seed),
        forger_day_all_ways=_share(
            [[matched(s, t, rule, span_s=DAY_S, ways=tuple(Way))] for s, t in forged], seed=seed
        ),
        forger_day_shuffled=percent(float(np.mean([matched(s, t, rule, span_s=DAY_S) for s, t in shuffled]))),
        fnmr_visit=_share([_refusals(s, t, rule, rule.failures) for s, t in genuine], seed=seed),
        fnmr_by_tries={
            str(n): percent(float(np.mean([v for s, t in genuine for v in _refusals(s, t, rule, n)]))) for n in tries
        },
        fnmr_visit_attacked=_share(
            [_refusals(s, t, rule, rule.failures, attacked=RAISED_BY) for s, t in genuine], seed=seed
        ),
    )


def _visits(scores: NDArray[np.float64], threshold: float, rule: Rule) -> Iterator[bool]:
    """Yield whether each visit of a forger ends with a match; the last forgeries that fill no visit are left out."""
    for first in range(0, len(scores) - rule.failures + 1, rule.failures):
        yield matched(scores[first : first + rule.failures], threshold, rule)


def _refusals(
    scores: NDArray[np.float64], threshold: float, rule: Rule, tries: int, *, attacked: int = 0
) -> list[bool]:
    """Return whether each genuine visit of at most `tries` tries ends without a match."""
    rounds = np.resize(np.asarray(scores), len(scores) + tries - 1)
    return [
        not matched(rounds[first : first + tries], threshold, rule, attacked=attacked) for first in range(len(scores))
    ]


def matched(
    scores: NDArray[np.float64],
    threshold: float,
    rule: Rule,
    *,
    span_s: float = 0.0,
    ways: tuple[Way, ...] = (Way.LOCAL,),
    attacked: int = 0,
) -> bool:
    """Return whether one of the tries matches.

    Args:
        scores: P(genuine) of each try, in their order.
        threshold: Threshold that is not raised.
        rule: Lockout.
        span_s: Time for which locks are waited for [s]; 0 for a visit, which ends with the first lock.
        ways: Ways of asking; each try takes the one that is open first.
        attacked: Near failures of somebody else before, in another way of asking.
    """
    clock = _Clock()
    lockout = Lockout(rule, clock=clock, now=clock.now, boot_id="simulation")
    for _ in range(attacked):
        lockout.take(lockout.after(Verdict.NO_MATCH, [_USER], at=clock.text, way=Way.MQTT))
    for score in scores:
        way = min(ways, key=partial(_left_s, lockout))
        clock.s += _left_s(lockout, way)
        if clock.s > span_s:
            return False
        if score >= max(threshold, lockout.threshold(_USER)):
            return True
        near = bool(score >= NEAR)
        subjects = [_USER] if near or way is not Way.IDENTIFY else []
        lockout.take(lockout.after(Verdict.NO_MATCH, subjects, at=clock.text, way=way, near=near))
    return False


def _left_s(lockout: Lockout, way: Way) -> float:
    """Return the time for which the person cannot be asked for in a way [s]."""
    terminal_s = lockout.left_s(None, way) if way is Way.IDENTIFY else 0.0
    return max(terminal_s, lockout.left_s(_USER, way))


class _Clock:
    """The time of a simulation [s]."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s

    def now(self) -> datetime:
        return _BEGIN + timedelta(seconds=self.s)

    @property
    def text(self) -> str:
        return self.now().isoformat()


def _share(people: Sequence[Sequence[bool]], *, seed: int) -> Share:
    """Count outcomes, with an interval over people."""
    counts = np.array([(sum(outcomes), len(outcomes)) for outcomes in people if len(outcomes)])
    count, of = (int(total) for total in counts.sum(axis=0))

    def rate(chosen: NDArray[np.intp]) -> float:
        drawn = counts[chosen].sum(axis=0)
        return float(drawn[0] / drawn[1])

    low, high = bootstrap(len(counts), rate, seed=seed)
    if count == 0:
        high = zero_errors_bound(of)
    return Share(count=count, of=of, rate=percent(count / of), interval=(percent(low), percent(high)))
