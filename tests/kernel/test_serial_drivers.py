"""One serial tablet, read twice on the same bytes: by penlatch and by the kernel's own driver.

The line is a null modem between two UARTs of the guest: the tablet sits on /dev/ttyS2, whoever reads it on /dev/ttyS1.
`support.serial_drivers` tells of which bytes each of the kernel's frames came, and is held to that frame by frame. On a
clean line both see the same, packet by packet. On a bad one the kernel's driver of ISDV4 goes wrong where ours does
not, and only in the way that is stated below.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pytest

from penlatch.capture import isdv4, protocol4
from penlatch.capture.serial_line import open_serial
from penlatch.errors import PenError
from support.input_line import InputLine
from support.packet_streams import isdv4_packets, protocol4_packets, spoilt, with_fingers
from support.serial_drivers import W8001, Packet, Tool, WacomSerial4, frames
from support.waiting import PATIENCE_S, eventually
from support.wired import WiredIsdv4Tablet, WiredProtocol4Tablet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from penlatch.capture.frames import Frames
    from penlatch.sim.pty_tablet import PtyTablet
    from support.serial_drivers import State

pytestmark = pytest.mark.guest("wired")

NEAR_END: Final = "/dev/ttyS1"
FAR_END: Final = "/dev/ttyS2"
AT_ONCE: Final = 10
"""Packets between two looks at what came of them: an evdev device keeps some twenty for a reader that is busy."""
BACKLOG: Final = 2048
"""Bytes that penlatch may not have read yet; a tty keeps twice as many."""
DIGITIZER: Final = b"~#UD-1212-R00,V1.3-5\r"


@dataclass(frozen=True)
class Reading:
    """What penlatch makes of a packet, in the units of the packet."""

    x: int
    y: int
    pressure: int
    near: bool
    """The writing end of the pen is."""
    touching: bool


def read_by_kernel(mode: str, tablet: PtyTablet, items: Sequence[bytes], foretold: Sequence[Packet]) -> list[State]:
    """Have the kernel read the line; return its frames, for each of which there is time to come."""
    due = [end for end, _ in frames(foretold)]
    pieces = [b"".join(items[start : start + AT_ONCE]) for start in range(0, len(items), AT_ONCE)]
    seen: list[State] = []
    with tablet, InputLine(mode, NEAR_END) as pen:
        tablet.wait_started(PATIENCE_S)
        for piece, sent in zip(pieces, accumulate(map(len, pieces)), strict=True):
            tablet.send(piece)
            while len(seen) < bisect_right(due, sent):
                some = pen.read(PATIENCE_S)
                assert some, f"{len(seen)} of {len(due)} frames came, and no more"
                seen += some
        seen += pen.read(0.2)
    return seen


async def read_by_penlatch(
    protocol: Literal["isdv4", "protocol4"], tablet: PtyTablet, items: Sequence[bytes]
) -> tuple[list[Frames], bytes]:
    """Have penlatch read the line; return its frames, and the bytes that it read."""
    batches: list[Frames] = []
    heard = bytearray()
    with tablet:
        pen = await open_serial(protocol, NEAR_END)
        listen = pen._line.receive

        async def receive(*, patience_s: float) -> bytes:
            data = await listen(patience_s=patience_s)
            heard.extend(data)
            return data

        pen._line.receive = receive  # type: ignore[method-assign, assignment] # an ear at the wire

        async def collect() -> None:
            with contextlib.suppress(PenError):
                async for batch in pen.batches():
                    batches.append(batch)  # noqa: PERF401 - what came before the end counts

        collecting = asyncio.create_task(collect())
        tablet.wait_started(PATIENCE_S)
        stream = b"".join(items)
        for start in range(0, len(stream), BACKLOG):
            await asyncio.to_thread(tablet.send, stream[start : start + BACKLOG])
            await eventually(lambda: len(heard) >= start)  # noqa: B023 - it is waited for here and now
        await eventually(lambda: len(heard) == len(stream))
        pen.close()
        await collecting
    return batches, bytes(heard)


def readings(batches: Sequence[Frames], *, per_x: float, per_y: float, pressure_max: int) -> list[Reading]:
    """Return frames in the units of the packets they came of; `per_x` and `per_y` are units per mm."""
    if not batches:
        return []

    def column(name: str) -> NDArray[np.float64]:
        return np.concatenate([getattr(batch, name) for batch in batches])

    columns = (column("x") * per_x, column("y") * per_y, column("p") * pressure_max)
    numbers = np.rint(columns).astype(int).T.tolist()
    return [
        Reading(x, y, pressure, near, touching)
        for (x, y, pressure), near, touching in zip(
            numbers, column("near").tolist(), column("touching").tolist(), strict=True
        )
    ]


def isdv4_reading(state: State) -> Reading:
    """Return what penlatch is to make of a packet after which the kernel's device stands like this."""
    near = Tool.PEN in state.tools
    return Reading(state.x, state.y, state.pressure, near, near and state.touch)


async def isdv4_both(
    items: Sequence[bytes], *, touch_size: int = 0, fingers: bytes | None = None
) -> tuple[list[Packet], list[Reading]]:
    """Have both read; return the kernel's packets, which are known to be right, and our readings."""
    stream = b"".join(items)
    packets = list(W8001(touch_size=touch_size).packets(stream))
    seen = read_by_kernel("--w8001", WiredIsdv4Tablet(FAR_END, fingers=fingers), items, packets)
    assert seen == [state for _, state in frames(packets)]
    batches, heard = await read_by_penlatch("isdv4", WiredIsdv4Tablet(FAR_END, fingers=fingers), items)
    assert heard == stream
    per_mm, pressure_max = isdv4.UNITS_PER_MM, isdv4.PEN.maximum("pressure")
    return packets, readings(batches, per_x=per_mm, per_y=per_mm, pressure_max=pressure_max)


async def test_isdv4_on_a_clean_line_both_see_every_packet_alike() -> None:
    items = isdv4_packets(seed=1, count=1_000)
    packets, ours = await isdv4_both(items)
    assert len(packets) == len(items)
    assert ours == [isdv4_reading(packet.states[-1]) for packet in packets]


@pytest.mark.parametrize(("sensor", "touch_size"), [(0, 5), (1, 7), (5, 13)], ids=["5 bytes", "7 bytes", "two fingers"])
async def test_isdv4_beside_fingers_both_see_every_packet_of_the_pen_alike(sensor: int, touch_size: int) -> None:
    chance = random.Random(sensor)
    reply = bytes([0xC0, 1, sensor, *bytes(8)])
    items = [
        with_fingers(packet, chance, sizes=[touch_size]) if chance.random() < 0.3 else packet
        for packet in isdv4_packets(seed=2, count=1_000)
    ]
    packets, ours = await isdv4_both(items, touch_size=touch_size, fingers=reply)
    of_the_pen = [packet for packet in packets if packet.states]
    assert len(of_the_pen) == len(items)
    assert len(packets) > len(of_the_pen)
    assert ours == [isdv4_reading(packet.states[-1]) for packet in of_the_pen]


async def test_isdv4_on_a_bad_line_the_kernel_tears_packets_where_penlatch_sees_none() -> None:
    """The kernel's driver counts bytes, so that a packet which was cut off takes those it lacks from the next one.

    Such a frame is of no place on the tablet, and the next packet is lost, too. Bit 7 is there to prevent that, and
    penlatch heeds it. Apart from packets that are torn in this way, and from those that were lost to one, both see the
    same.
    """
    items = spoilt(isdv4_packets(seed=3, count=11_500), seed=4, share=0.15)
    stream = b"".join(items)
    packets, ours = await isdv4_both(items)
    whole = {
        match.start(): isdv4.PenPacket.from_bytes(match[0])
        for match in re.finditer(rb"[\x80-\xff][\0-\x7f]{8}", stream)
        if not match[0][0] & (isdv4.CONTROL | isdv4.TOUCH)
    }
    assert [(reading.x, reading.y, reading.pressure) for reading in ours] == [
        (packet.x, packet.y, packet.pressure) for packet in whole.values()
    ]
    sound = {packet.start for packet in packets if packet.states and not packet.torn}
    assert len(sound) > 10_000
    assert sound <= whole.keys()
    torn = [packet for packet in packets if packet.torn]
    taken = {place for packet in torn for place in range(packet.start + 1, packet.end)}
    missed = whole.keys() - sound
    assert missed <= taken
    assert min(len(torn), len(missed)) > 200


def eraser_by_arrival(packets: Sequence[Packet]) -> list[bool]:
    """Return which packets are of the eraser, if that is told by the bit with which the pen comes near.

    The kernel's driver takes every packet with the bit for one of the eraser, also where a finger presses the second
    button while the tip writes. The X driver told them apart, and so does penlatch.
    """
    erasing, was_near, eraser = [], False, False
    for packet in packets:
        tools = packet.states[-1].tools
        near = bool(tools & {Tool.PEN, Tool.RUBBER})
        eraser = near and Tool.RUBBER in tools and (eraser or not was_near)
        was_near = near
        erasing.append(eraser)
    return erasing


@pytest.mark.parametrize(
    ("reply", "count"),
    [
        pytest.param(DIGITIZER, 11_000, id="Digitizer II"),
        pytest.param(b"~#UD-0608-R00,V1.2-0\r", 1_000, id="Digitizer II with an old ROM"),
        pytest.param(b"~#ET-0405-R00,V1.0-3\r", 1_000, id="Graphire"),
        pytest.param(b"~#PL-710-R00,V1.0\r", 1_000, id="PL-710"),
    ],
)
async def test_protocol4_on_a_bad_line_both_see_every_packet_alike(reply: bytes, count: int) -> None:
    tablet = WiredProtocol4Tablet(FAR_END, model_reply=reply)
    model = tablet.model
    maxima = protocol4.Maxima(*model.maxima) if model.maxima else protocol4.Maxima(0xFFFF, 0xFFFF)
    items = spoilt(protocol4_packets(5, count, model, maxima), seed=6, share=0.15)
    stream = b"".join(items)
    packets = list(WacomSerial4(model).packets(stream))
    seen = read_by_kernel("--wacom_iv", tablet, items, packets)
    assert seen == [state for _, state in frames(packets)]
    batches, heard = await read_by_penlatch("protocol4", tablet, items)
    assert heard == stream
    lines = model.lines_per_inch or (1270, 1270)
    per_x, per_y = (each / protocol4.MM_PER_INCH for each in lines)
    ours = readings(batches, per_x=per_x, per_y=per_y, pressure_max=model.pressure_max)
    # What lies beyond the tablet is damage to penlatch; the kernel passes it on.
    packets = [packet for packet in packets if packet.states[-1].x <= maxima.x and packet.states[-1].y <= maxima.y]
    expected = []
    for packet, erasing in zip(packets, eraser_by_arrival(packets), strict=True):
        state = packet.states[-1]
        near = bool(state.tools & {Tool.PEN, Tool.RUBBER}) and not erasing
        expected.append(Reading(state.x, state.y, state.pressure if near else 0, near, near and state.touch))
    assert len(expected) > 0.91 * count
    assert ours == expected
