"""On the host: the tests of tests/kernel run in a guest, all that ask for the same machine together.

Each has its result here, as if it had run here. `pytestmark = pytest.mark.guest("usb")` names a machine.
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
SIDE_BY_SIDE: Final = 2
IN_GUEST: Final = "PENLATCH_GUEST" in os.environ


def machine_of(item: pytest.Item) -> str | None:
    """Return the machine that a test wants, None where it runs where it is."""
    mark = item.get_closest_marker(MARK)
    return None if IN_GUEST or mark is None else str(mark.args[0])


@functools.cache
def _outcomes(session: pytest.Session) -> dict[str, Outcome | LabMissingError]:
    """Run all machines that tests of this session want, two at a time: of more, each is slower than a hand."""
    wanted: dict[str, list[str]] = {machine: [] for machine in MACHINES}
    for item in session.items:
        if machine := machine_of(item):
            wanted[machine].append(item.nodeid)
    nodes = {machine: tests for machine, tests in wanted.items() if tests}

    def outcome(machine: str) -> Outcome | LabMissingError:
        try:
            return run_tests(machine, nodes[machine])
        except LabMissingError as missing:
            return missing

    with ThreadPoolExecutor(SIDE_BY_SIDE) as machines:
        return dict(zip(nodes, machines.map(outcome, nodes), strict=True))


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
    found = outcome.reports.get(item.nodeid, [])
    for told in found:
        yield item.config.hook.pytest_report_from_serializable(config=item.config, data=told)
    if not any(told["when"] == "teardown" for told in found):
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
