"""A serial tablet on a USB cable that is pulled out and plugged in again, with the real daemon on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from penlatch.control.client import Client
from penlatch.messages import Verdict
from support.qemu_tablet import QemuCable
from support.qmp import Qmp
from support.signing import ADA, IDLE_S, PATIENT, acquaint, assert_known, pen_found, pen_missed
from support.terminal import Terminal
from support.waiting import PATIENCE_S
from support.wired import WiredIsdv4Tablet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.guest("wired")


@pytest.fixture
def cable() -> Iterator[QemuCable]:
    """Return a cable that is not plugged in yet."""
    with Qmp("/dev/ttyS3") as qemu:
        cable = QemuCable(qemu, "c1")
        yield cable
        cable.unplug()


def test_a_cable_may_come_late_and_go_and_come_again_also_in_mid_signature(tmp_path: Path, cable: QemuCable) -> None:
    sections: dict[str, dict[str, Any]] = {"terminal": {"mode": "always"}, "segment": {"idle_s": IDLE_S}, **PATIENT}
    terminal = Terminal(tmp_path / "door-1", device=f"isdv4:{cable.near_end}", sections=sections)
    acquaint(terminal.folder, "ada")
    with WiredIsdv4Tablet(cable.far_end, size_mm=(263.12, 165.2)) as tablet, terminal:
        pen_missed(terminal)
        for seed in (5, 6):
            cable.plug_in()
            assert cable.near_end in pen_found(terminal)
            tablet.wait_started(PATIENCE_S)
            decision = assert_known(terminal, "ada", ADA, tablet.write)
            tablet.play(ADA.genuine(np.random.default_rng(seed)), until_s=0.8)
            cable.unplug()
            pen_missed(terminal)
            (last, *_) = Client(terminal.socket).decisions(limit=1)
            assert last.seq == decision.seq or last.verdict is Verdict.RETRY
    assert "Traceback" not in terminal.log()
