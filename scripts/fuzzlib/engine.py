"""Engine: feeds one target with mutations, keeps those that reach new code, and stops at the first finding."""

from __future__ import annotations

import random
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fuzzlib.limits import Watchdog, peak_bytes
from fuzzlib.mutation import WORDS, mutated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fuzzlib.coverage import Coverage
    from fuzzlib.tape import Tape
    from fuzzlib.target import Target

NEWEST: Final = 8
"""Every other input is made of one of so many that reached something new last."""


@dataclass(frozen=True)
class Finding:
    """An input that did what no input may."""

    data: bytes
    problem: str
    """What happened, for people."""


@dataclass(frozen=True)
class Outcome:
    """What became of one target."""

    fed: int
    """Inputs, the seeds among them."""
    taken: int = 0
    """Inputs that the target did not refuse."""
    blocks: int = 0
    """Blocks of the project that no seed had reached."""
    processor_s: float = 0.0
    memory_bytes: int = 0
    """By how much the most memory ever resident grew."""
    finding: Finding | None = None


class Inputs:
    """The seeds, then mutations of them and of what reached new code."""

    def __init__(self, target: Target, seed: int, coverage: Coverage) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - mutations, no secret
        self._corpus: list[bytes] = list(target.seeds()) or [b""]
        self._words: Sequence[bytes] = (*WORDS, *target.words * 4)
        self._coverage = coverage
        self.seeds = len(self._corpus)
        """How many there are."""

    def make(self, count: int) -> Iterator[bytes]:
        """Yield the seeds, then `count` mutations. What is reached while one is out keeps it."""
        dice, corpus, coverage = self._dice, self._corpus, self._coverage
        yield from tuple(corpus)
        coverage.fresh = 0
        for _ in range(count):
            pool = min(NEWEST, len(corpus)) if dice.random() < 0.5 else len(corpus)
            data = mutated(corpus[-1 - int(dice.random() * pool)], dice, corpus, self._words)
            yield data
            if coverage.fresh:
                coverage.fresh = 0
                corpus.append(data)


def fuzz(target: Target, *, inputs: int, seed: int, tape: Tape, coverage: Coverage, watchdog: Watchdog) -> Outcome:
    """Feed a target; the process is bounded by its caller. What is fed is on the tape before it is fed."""
    source = Inputs(target, seed, coverage)
    fed = taken = known = 0
    memory, begun = peak_bytes(), time.process_time()
    finding = None
    watchdog.start()
    for data in source.make(inputs):
        tape.write(data)
        fed += 1
        try:
            watchdog.under_way = fed
            taken += target.run(data)
            watchdog.under_way = 0
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is a finding
            watchdog.under_way = 0
            finding = Finding(data, "".join(traceback.format_exception(error, limit=-6)))
            break
        if fed == source.seeds:
            known = coverage.reached
    watchdog.stop()
    return Outcome(fed, taken, coverage.reached - known, time.process_time() - begun, peak_bytes() - memory, finding)
