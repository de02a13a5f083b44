"""Everything here runs in a guest with a Debian kernel; see `support.guest`. The host only tells how it went."""

from __future__ import annotations

import numpy as np
import pytest

from support.guest import forward


def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Have a test of the guest run there."""
    if (machine := forward.machine_of(item)) is None:
        return None
    forward.run(item, machine)
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """A test that needed a second guest is not hidden."""
    forward.tell_second_runs(config, terminalreporter)


@pytest.fixture(autouse=True, scope="session")
def _the_guest_can_count() -> None:
    """An emulated processor that miscalculates would make noise of every decision."""
    assert abs(np.tanh(3.36)) <= 1
