"""On the host: the tests of tests/kernel run in a guest, all that ask for the same machine together.

Each has its result here, as if it had run here. `pytestmark = pytest.mark.guest("wired")` names a machine.

What failed is run once more, in a guest that has the host for itself: a hand that was held up wrote something else.
The second result counts; `tell_second_runs` says of which tests there was one, and how the first failed.
"""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import pytest

from support.guest.image import LabMissingError
from support.guest.machine import MACHINES, Outcome, run_tests

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK: Final = "guest"
IN_GUEST: Final = "PENLATCH_GUEST" in os.environ

_FIRST_RUNS: Final = pytest.StashKey[dict[pytest.Item, Outcome]]()
"""What came back from the guest that a test failed in, of each that was run a second time."""


def machine_of(item: pytest.Item) -> str | None:
    """Return the machine that a test wants, None where it runs where it is."""
    mark = item.get_closest_marker(MARK)
    return None if IN_GUEST or mark is None else str(mark.args[0])


@functools.cache
def _outcomes(session: pytest.Session) -> dict[str, Outcome | LabMissingError]:
    """Run all machines that tests of this session want, side by side."""
    wanted: dict[str, list[pytest.Item]] = {machine: [] for machine in MACHINES}
    for item in session.items:
        if machine := machine_of(item):
            wanted[machine].append(item)
    wanted = {machine: items for machine, items in wanted.items() if items}

    def outcome(machine: str) -> Outcome | LabMissingError:
        try:
            return run_tests(machine, [item.nodeid for item in wanted[machine]])
        except LabMissingError as missing:
            return missing

    with ThreadPoolExecutor(len(MACHINES)) as machines:
        outcomes = dict(zip(wanted, machines.map(outcome, wanted), strict=True))
    first_runs = session.config.stash.setdefault(_FIRST_RUNS, {})
    for machine, first in outcomes.items():
        if isinstance(first, Outcome) and (failed := [item for item in wanted[machine] if not first.held(item.nodeid)]):
            first_runs |= dict.fromkeys(failed, first)
            second = run_tests(machine, [item.nodeid for item in failed])
            outcomes[machine] = first.with_second(second)
    return outcomes


def tell_second_runs(config: pytest.Config, terminal: pytest.TerminalReporter) -> None:
    """Say which tests were run a second time, and how they failed before."""
    first_runs = config.stash.get(_FIRST_RUNS, {})
    if first_runs:
        terminal.section("run a second time, in a guest that had the host for itself; the first time:")
    for item, first in first_runs.items():
        terminal.write_line(item.nodeid, bold=True)
        for report in _told(item, first):
            if report.failed:
                terminal.write_line(report.longreprtext)


def run(item: pytest.Item, machine: str) -> None:
    """Report what a test came to in its guest. All guests run when the first test of any is wanted."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _reports(item, machine):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)


def _reports(item: pytest.Item, machine: str) -> Iterator[pytest.TestReport]:
    outcome = _outcomes(item.session)[machine]
    if isinstance(outcome, LabMissingError):
        place = (str(item.path), (item.location[1] or 0) + 1, f"Skipped: no guest: {outcome}")
        yield _report(item, "skipped", place)
        return
    yield from _told(item, outcome)


def _told(item: pytest.Item, outcome: Outcome) -> Iterator[pytest.TestReport]:
    for told in outcome.of(item.nodeid):
        yield item.config.hook.pytest_report_from_serializable(config=item.config, data=told)
    if not outcome.ended(item.nodeid):
        yield _report(item, "failed", f"the guest ended before this test did; its console:\n{outcome.console}")


def _report(item: pytest.Item, outcome: str, text: str | tuple[str, int, str]) -> pytest.TestReport:
    return pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords={},
        outcome=outcome,  # type: ignore[arg-type] # one of the three literals
        longrepr=text,
        when="call",
    )
