"""Fixtures of the end-to-end tests: a running terminal with its pen and its broker, and two synthetic people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from penlatch.sim.tablet import Isdv4Tablet
from penlatch.sim.writer import Writer
from support.door import Door, broker_section
from support.signing import IDLE_S
from support.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.broker import Mosquitto


@pytest.fixture
def tablet() -> Iterator[Isdv4Tablet]:
    """Return a tablet that is plugged in."""
    with Isdv4Tablet() as tablet:
        yield tablet


@pytest.fixture
def new_door(tmp_path: Path, tablet: Isdv4Tablet, broker: Mosquitto) -> Door:
    """Return a terminal that is not switched on yet."""
    sections = {"segment": {"idle_s": IDLE_S}, "mqtt": broker_section(broker, tmp_path)}
    return Door(Terminal(tmp_path / "door-1", device=f"isdv4:{tablet.path}", sections=sections), tablet, broker)


@pytest.fixture
def door(new_door: Door, ada: Writer) -> Iterator[Door]:
    """Return a running terminal that knows ada."""
    new_door.knows("ada", ada)
    try:
        new_door.switch_on()
        yield new_door
    finally:
        new_door.terminal.close()


@pytest.fixture
def ada() -> Writer:
    """Return a synthetic person."""
    return Writer(11)


@pytest.fixture
def eve() -> Writer:
    """Return another."""
    return Writer(12)
