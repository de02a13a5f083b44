"""Crew: one process for each target, some of them side by side. One that dies says what it was fed last."""

from __future__ import annotations

import logging
import multiprocessing
import shutil
import signal
import warnings
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from fuzzlib.coverage import Coverage
from fuzzlib.engine import Finding, Outcome, fuzz
from fuzzlib.limits import ENDED_BY, INPUT_LIMIT_S, MEMORY_BYTES, Watchdog, bound_memory
from fuzzlib.tape import Tape
from fuzzlib.target import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkProcess
    from pathlib import Path

    from fuzzlib.target import Target

_FORK = multiprocessing.get_context("fork")
"""What is imported and probed once is there for all."""


@dataclass(frozen=True)
class Job:
    """One target, and how it is to be fed."""

    name: str
    target: Target
    inputs: int
    seed: int
    memory_bytes: int = MEMORY_BYTES
    limit_s: float = INPUT_LIMIT_S


@dataclass(frozen=True)
class _Member:
    job: Job
    process: ForkProcess
    tape: Tape
    answers: Connection
    folder: Path
    """Its files, which it cannot remove if it is killed."""


def run(jobs: Iterable[Job], *, at_a_time: int, coverage: Coverage | None = None) -> Iterator[tuple[Job, Outcome]]:
    """Do the jobs; yield each when it is done, in that order. `coverage` watches the project already."""
    waiting, members = deque(jobs), list[_Member]()
    try:
        while waiting or members:
            while waiting and len(members) < at_a_time:
                members.append(_begin(waiting.popleft(), coverage or Coverage()))
            done = wait([member.answers for member in members])
            for member in [member for member in members if member.answers in done]:
                members.remove(member)
                yield member.job, _end(member)
    finally:
        for member in members:  # somebody interrupted
            member.process.kill()
            member.process.join()
            shutil.rmtree(member.folder, ignore_errors=True)


def _begin(job: Job, coverage: Coverage) -> _Member:
    tape, folder = Tape(), FOLDER.new()
    answers, answer = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_feed, args=(job, tape, answer, coverage, folder), name=f"fuzz-{job.name}")
    process.start()
    answer.close()  # the process alone has it: its end is the end of the pipe
    return _Member(job, process, tape, answers, folder)


def _feed(job: Job, tape: Tape, answer: Connection, coverage: Coverage, folder: Path) -> None:
    FOLDER.move(folder)
    logging.getLogger().addHandler(logging.NullHandler())  # a parser may warn of each of a million inputs
    job.target.seeds()  # what setting up costs is not counted
    warnings.simplefilter("error")  # numpy warns of numbers that a parser should have refused
    coverage.clear()  # what ran for other targets must not change which inputs this one gets
    bound_memory(job.memory_bytes)
    answer.send(
        fuzz(
            job.target,
            inputs=job.inputs,
            seed=job.seed,
            tape=tape,
            coverage=coverage,
            watchdog=Watchdog(job.limit_s),
        )
    )


def _end(member: _Member) -> Outcome:
    try:
        outcome: Outcome = member.answers.recv()
    except EOFError:
        member.process.join()
        number, data = member.tape.read()
        outcome = Outcome(number, finding=Finding(data, _death(member.process.exitcode or 0)))
    member.answers.close()
    member.process.join()
    shutil.rmtree(member.folder, ignore_errors=True)
    return outcome


def _death(code: int) -> str:
    if code == -ENDED_BY:
        return "took too long, in code that does not come back to Python\n"
    return f"ended the process ({signal.Signals(-code).name if code < 0 else f'status {code}'})\n"
