"""A bolt on a GPIO line: libgpiod, the kernel's driver of a USB adapter, and what the adapter was told in the end."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest

from penlatch.bolt.bolt import Bolt
from penlatch.config import Bolt as Rule
from penlatch.control.client import Client
from penlatch.messages import Decision, Verdict
from support.examples import decision
from support.gpio_adapter import GpioAdapter
from support.signing import ADA, EVE, IDLE_S, PATIENT, acquaint, assert_known, decided, pen_found, signed, soon
from support.terminal import Terminal
from support.uinput_pens import WACOM, UinputPen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.guest("terminal")

LINE: Final = 2
SHORT_S: Final = 0.2
LONG_S: Final = 60.0


@pytest.fixture
def adapter() -> Iterator[GpioAdapter]:
    """Return an adapter that is plugged in."""
    with GpioAdapter() as adapter:
        yield adapter


def match() -> Decision:
    found: Decision = decision(1, verdict=Verdict.MATCH, user="ada", time=datetime.now(UTC).isoformat())
    return found


def rule(adapter: GpioAdapter, **more: Any) -> Rule:
    return Rule(gpio_chip=adapter.chip, gpio_line=LINE, pulse_s=SHORT_S, **more)


async def opened(bolt: Bolt) -> None:
    """Have it opened, and wait until it is shut again."""
    bolt.decided(match())
    assert bolt._moving
    await bolt._moving


@pytest.mark.parametrize(("active_low", "shut"), [(False, 0), (True, 1)])
async def test_it_is_active_for_a_match_and_inactive_before_and_after(
    adapter: GpioAdapter, *, active_low: bool, shut: int
) -> None:
    bolt = Bolt(rule(adapter, active_low=active_low))
    bolt.look()
    assert bolt.health.ok, bolt.health
    assert adapter.written == [(LINE, shut)]
    await opened(bolt)
    assert adapter.written == [(LINE, shut), (LINE, 1 - shut), (LINE, shut)]
    await bolt.stop()
    assert adapter.level(LINE) == shut


async def test_an_adapter_that_is_pulled_out_is_told_and_one_that_comes_back_is_used(tmp_path: Path) -> None:
    name = tmp_path / "bolt"  # as udev keeps one: the kernel counts on
    bolt = Bolt(Rule(gpio_chip=name, gpio_line=LINE, pulse_s=SHORT_S))
    bolt.look()
    assert "No such file" in (bolt.health.detail or "")
    for _ in range(2):
        with GpioAdapter() as adapter:
            name.symlink_to(adapter.chip)
            bolt.look()
            assert bolt.health.ok, bolt.health
            await opened(bolt)
            assert adapter.written == [(LINE, 0), (LINE, 1), (LINE, 0)]
        name.unlink()
        bolt.decided(match())
        assert not bolt.health.ok
    await bolt.stop()


def test_a_line_belongs_to_one(adapter: GpioAdapter) -> None:
    first, second = Bolt(rule(adapter)), Bolt(rule(adapter))
    first.look()
    second.look()
    assert first.health.ok
    assert "busy" in (second.health.detail or "")
    asyncio.run(first.stop())
    second.look()
    assert second.health.ok
    asyncio.run(second.stop())


def test_the_daemon_opens_for_who_is_known_alone_and_shuts_what_a_killed_one_left_open(
    tmp_path: Path, adapter: GpioAdapter
) -> None:
    sections: dict[str, dict[str, Any]] = {
        "terminal": {"mode": "always"},
        "segment": {"idle_s": IDLE_S},
        "bolt": {"gpio_chip": adapter.chip, "gpio_line": LINE, "pulse_s": LONG_S},
        **PATIENT,
    }
    terminal = Terminal(tmp_path / "door-1", device="evdev:", sections=sections)
    acquaint(terminal.folder, "ada")
    with UinputPen(WACOM) as pen, terminal:
        pen_found(terminal)
        bolt = Client(terminal.socket).status().bolt
        assert bolt, "health tells of it"
        assert bolt.ok, bolt
        assert decided(terminal, partial(pen.write, signed(EVE))).verdict is Verdict.NO_MATCH
        assert adapter.written == [(LINE, 0)]
        assert_known(terminal, "ada", ADA, pen.write)
        soon(lambda: adapter.level(LINE) == 1, "it is open")
        terminal.kill()
        assert adapter.level(LINE) == 1, "the kernel leaves a line as it was"
        terminal.start()
        soon(lambda: adapter.level(LINE) == 0, "it is shut")
        assert adapter.written == [(LINE, 0), (LINE, 1), (LINE, 0)]
