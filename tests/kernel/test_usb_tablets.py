"""USB tablets through the kernel's own drivers: raw reports go in, the decision of the real daemon comes out.

The tablets are made of bytes (`support.usbip`) and plugged into the guest's virtual host controller; `wacom` and
`hid-uclogic` probe them as they would probe real ones. QEMU has one of its own.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from penlatch.capture.evdev_pen import EvdevPen
from penlatch.errors import PenError
from penlatch.messages import Reason, Verdict
from support.qemu_tablet import QemuTablet
from support.qmp import Qmp
from support.recordings import hid_descriptors
from support.signing import (
    ADA,
    EVE,
    IDLE_S,
    LEANING,
    PATIENT,
    PIA,
    acquaint,
    assert_known,
    decided,
    pen_found,
    pen_missed,
    signed,
    soon,
)
from support.terminal import Terminal
from support.usbip.tablets import GaomonM10K, GaomonM106K, PenReport, WacomIntuosPro

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penlatch.capture.frames import Frames
    from support.usbip.tablets import UsbTablet

pytestmark = pytest.mark.guest("wired")

TABLETS = pytest.mark.parametrize("tablet", [WacomIntuosPro, GaomonM106K, GaomonM10K], indirect=True)
TABLETS_WITH_TILT = pytest.mark.parametrize("tablet", [WacomIntuosPro, GaomonM106K], indirect=True)


@pytest.fixture
def tablet(request: pytest.FixtureRequest) -> Iterator[UsbTablet]:
    """Return a tablet that is plugged in."""
    with request.param() as tablet:
        yield tablet


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """Return a running terminal that was started without a pen and takes the only one that comes.

    It knows ada, who leans her pen, and pia, whose pen knows no pressure.
    """
    sections: dict[str, dict[str, Any]] = {"terminal": {"mode": "always"}, "segment": {"idle_s": IDLE_S}, **PATIENT}
    terminal = Terminal(tmp_path_factory.mktemp("usb"), device="evdev:", sections=sections)
    acquaint(terminal.folder, "leaning ada, pia without pressure")
    with terminal:
        yield terminal


def frames_of(tablet: UsbTablet, reports: Sequence[PenReport], *, more: int = 0) -> list[Frames]:
    """Return what penlatch makes of each of the reports, and of `more` frames that come of themselves."""

    async def read() -> list[Frames]:
        pen = await asyncio.to_thread(opened, tablet)
        frames: list[Frames] = []
        try:
            async with asyncio.timeout(20):
                batches = pen.batches()
                for report in reports:
                    tablet.send(report)
                    frames.append(await anext(batches))
                frames.extend([await anext(batches) for _ in range(more)])
        finally:
            pen.close()
        return frames

    return asyncio.run(read())


def opened(tablet: UsbTablet) -> EvdevPen:
    """Return the pen of the tablet as soon as the kernel has made one."""
    found: list[EvdevPen] = []

    def found_one() -> bool:
        try:
            found.append(EvdevPen.open(f"{tablet.device.vendor:04x}:{tablet.device.product:04x}"))
        except PenError:
            return False
        return True

    soon(found_one, "the kernel makes a pen of the tablet")
    return found[0]


def driver_of(pen: EvdevPen) -> str:
    return (Path("/sys/class/input") / Path(pen.device).name / "device/device/driver").resolve().name


@TABLETS
def test_a_tablet_has_its_vendors_driver_and_tells_its_size(tablet: UsbTablet) -> None:
    pen = opened(tablet)
    try:
        assert driver_of(pen) == ("wacom" if isinstance(tablet, WacomIntuosPro) else "uclogic")
        assert (pen.info.unit, pen.info.has_pressure) == ("mm", True)
        axes = [pen._device.absinfo(axis) for axis in (0, 1)]
        assert [axis.max / axis.resolution for axis in axes] == [tablet.width_mm, tablet.height_mm]
    finally:
        pen.close()


@TABLETS
def test_a_report_becomes_millimetres_and_a_share_of_the_pressure(tablet: UsbTablet) -> None:
    near, touching = PenReport(x=2000, y=4000), PenReport(x=2200, y=4400, pressure=tablet.pressure_max // 2, tip=True)
    hovering, written = frames_of(tablet, [near, touching])
    assert [*hovering.x, *hovering.y] == [10.0, 20.0]
    assert hovering.near.all()
    assert not hovering.touching.any()
    assert [*written.x, *written.y] == [11.0, 22.0]
    assert written.p == pytest.approx(0.5, abs=1e-3)
    assert written.touching.all()


@TABLETS_WITH_TILT
@pytest.mark.parametrize("tilt", [(30, 20), (-30, -20)], ids=["right and down", "left and up"])
def test_tilt_points_to_the_right_and_towards_the_writer(tablet: UsbTablet, tilt: tuple[int, int]) -> None:
    (frame,) = frames_of(tablet, [PenReport(x=2000, y=4000, tilt=tilt)])
    assert frame.tilt_x == pytest.approx(tilt[0], abs=0.5)
    assert frame.tilt_y == pytest.approx(tilt[1], abs=0.5)


@pytest.mark.parametrize("tablet", [WacomIntuosPro], indirect=True)
def test_the_eraser_comes_near_and_never_writes(tablet: UsbTablet) -> None:
    eraser = PenReport(x=2000, y=4000, eraser=True)
    frames = frames_of(tablet, [eraser, replace(eraser, x=2200, pressure=4000, tip=True)])
    assert not any(frame.touching.any() for frame in frames)


@pytest.mark.parametrize("tablet", [GaomonM106K], indirect=True)
def test_a_pen_that_leaves_without_a_word_is_away_all_the_same(tablet: UsbTablet) -> None:
    *_, away = frames_of(tablet, [PenReport(x=2000, y=4000)], more=1)
    assert not away.near.any()


@pytest.mark.parametrize("tablet", [WacomIntuosPro, GaomonM10K], indirect=True)
def test_a_pen_that_says_so_is_away(tablet: UsbTablet) -> None:
    *_, away = frames_of(tablet, [PenReport(x=2000, y=4000), PenReport(near=False)])
    assert not away.near.any()


@pytest.mark.parametrize(
    ("make", "model"), [(GaomonM106K, "M106K-0003-256C-006D"), (GaomonM10K, "M10K-2018-0003-256C-006E")]
)
def test_the_descriptors_of_real_tablets_change_nothing(make: type[UsbTablet], model: str) -> None:
    with make(hid_descriptors(model)) as real:
        hovering, written = frames_of(real, [PenReport(x=2000, y=4000), PenReport(x=2200, y=4400, tip=True)])
    assert [*hovering.x, *hovering.y] == [10.0, 20.0]
    assert written.touching.all()


@TABLETS
def test_whoever_is_known_is_recognised_and_nobody_else(terminal: Terminal, tablet: UsbTablet) -> None:
    assert f"{tablet.device.name} Pen at " in pen_found(terminal)
    known = assert_known(terminal, "ada", ADA, partial(tablet.write, tilt=LEANING))
    assert tablet.device.name in (known.pen or "")
    stranger = decided(terminal, partial(tablet.write, signed(EVE), tilt=LEANING))
    assert (stranger.verdict, stranger.user) == (Verdict.NO_MATCH, None)
    tablet.unplug()
    pen_missed(terminal)


@TABLETS_WITH_TILT
def test_a_decision_tells_a_pen_that_leans_as_usual_from_one_that_leans_the_other_way(
    terminal: Terminal, tablet: UsbTablet
) -> None:
    pen_found(terminal)

    def tilt_excess(tilt: tuple[int, int]) -> float:
        decision = decided(terminal, partial(tablet.write, signed(ADA), tilt=tilt))
        (excess,) = [found.excess for found in decision.reasons if found.reason is Reason.TILT]
        return excess

    x, y = LEANING
    usual = tilt_excess(LEANING)
    assert usual < 1
    assert min(tilt_excess((-x, y)), tilt_excess((x, -y))) > max(1, usual)


def test_the_tablet_of_qemu_is_signed_on(terminal: Terminal) -> None:
    with Qmp("/dev/ttyS3") as qemu, QemuTablet(qemu) as tablet:
        assert "Penpartner" in pen_found(terminal)
        assert_known(terminal, "pia", PIA, tablet.write)
        stranger = decided(terminal, partial(tablet.write, signed(EVE)))
        assert (stranger.verdict, stranger.user) == (Verdict.NO_MATCH, None)
        tablet.unplug()
        pen_missed(terminal)
