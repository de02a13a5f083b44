"""What several parts of the tests share. `tests/` is importable: `from support.broker import Mosquitto`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

sys.path.append(str(Path(__file__).parent))

from support.broker import Mosquitto, mosquitto_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.fixtures import MakeBroker

# Who starts the tests in the background of a script has them ignore Ctrl-C, and so would every program they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

BEGUN_FIRST: Final = ("torture", "models")
"""Folders of tests: the longest, and what a busy processor does not disturb meanwhile."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that two processes end together."""
    first = [config.rootpath / "tests" / folder for folder in BEGUN_FIRST]

    def turn(item: pytest.Item) -> int:
        return next((n for n, folder in enumerate(first) if item.path.is_relative_to(folder)), len(first))

    items.sort(key=turn)


@pytest.fixture
def make_broker(tmp_path: Path) -> Iterator[MakeBroker]:
    """Return a function that starts a Mosquitto with the given options of `support.broker.Mosquitto`."""
    if mosquitto_program() is None:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    brokers: list[Mosquitto] = []

    def make(**options: object) -> Mosquitto:
        broker = Mosquitto(tmp_path / f"mosquitto-{len(brokers)}", **options)  # type: ignore[arg-type] # passed through
        brokers.append(broker)
        broker.start()
        return broker

    yield make
    for broker in brokers:
        broker.kill()


@pytest.fixture
def broker(make_broker: MakeBroker) -> Mosquitto:
    """Return a running Mosquitto that asks for passwords and allows everything to who knows one."""
    return make_broker()
