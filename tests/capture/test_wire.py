"""Both serial protocols: frames survive the wire however it cuts them, and no damage passes for a frame in silence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penlatch.capture import isdv4, protocol4
from support.wires import in_pieces, read

if TYPE_CHECKING:
    from penlatch.capture.framing import Decoder, Readings

Frame = tuple[float, float, float, bool]
"""Millimetres, share of the pressure, contact."""

places = st.lists(st.integers(0, 2000), max_size=40)


@dataclass(frozen=True)
class Point:
    """Where a pen is, in units of the tablet."""

    x: int
    y: int
    pressure: int
    tip: bool


class Isdv4:
    """A pen-enabled tablet of 263 by 165 mm."""

    maximum = 1023

    def decoder(self) -> Decoder:
        return isdv4.Decoder(isdv4.QueryReply(x=26_312, y=16_520, pressure=self.maximum))

    def encode(self, point: Point) -> bytes:
        return isdv4.PenPacket(point.x, point.y, point.pressure, near=True, tip=point.tip).to_bytes()


class Protocol4:
    """A Digitizer II."""

    maximum = 255

    def decoder(self) -> Decoder:
        model = protocol4.Model(name="Digitizer II")
        return protocol4.Decoder(model, protocol4.Resolution(2540, 2540), protocol4.Maxima(30_000, 30_000))

    def encode(self, point: Point) -> bytes:
        return protocol4.PenPacket(point.x, point.y, point.pressure, protocol4.TIP * point.tip, near=True).to_bytes()


both = pytest.mark.parametrize("tablet", [Isdv4(), Protocol4()], ids=["isdv4", "protocol4"])
points = st.lists(
    st.builds(Point, st.integers(0, 16_000), st.integers(0, 16_000), st.integers(0, 255), st.booleans()), max_size=30
)


def frames(readings: Readings) -> list[Frame]:
    return [
        (round(float(x), 4), round(float(y), 4), round(float(p), 6), bool(touching))
        for x, y, p, touching in zip(readings.x, readings.y, readings.p, readings.touching, strict=True)
    ]


def sent(tablet: Isdv4 | Protocol4, written: list[Point]) -> list[Frame]:
    return [(p.x / 100, p.y / 100, round(p.pressure / tablet.maximum, 6), p.tip) for p in written]


@both
@given(written=points, cuts=places)
def test_frames_survive_encoding_cutting_and_decoding(
    tablet: Isdv4 | Protocol4, written: list[Point], cuts: list[int]
) -> None:
    stream = b"".join(map(tablet.encode, written))
    readings = read(tablet.decoder(), in_pieces(stream, cuts))
    assert frames(readings) == sent(tablet, written)
    assert not readings.gap


@both
@given(written=points, cuts=places, data=st.data())
def test_bytes_that_are_lost_are_told_unless_they_leave_whole_packets(
    tablet: Isdv4 | Protocol4, written: list[Point], cuts: list[int], data: st.DataObject
) -> None:
    whole = b"".join(map(tablet.encode, written))
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, len(whole)))
    # A lead byte follows, as the next packet's would: what was begun is found out then.
    stream = whole[:start] + whole[stop:] + tablet.encode(Point(0, 0, 0, tip=False))
    readings = read(tablet.decoder(), in_pieces(stream, cuts))
    size = tablet.decoder().packet_size
    if readings.gap:
        return
    assert (stop - start) % size == 0
    left = frames(readings)[:-1]
    first = start // size
    assert left[:first] == sent(tablet, written)[:first]
    last = len(left) - (len(whole) - stop) // size
    assert left[last:] == sent(tablet, written)[len(written) - (len(whole) - stop) // size :]


@both
@given(written=points, cuts=places, noise=st.binary(min_size=1, max_size=30), data=st.data())
def test_bytes_in_excess_are_told(
    tablet: Isdv4 | Protocol4, written: list[Point], cuts: list[int], noise: bytes, data: st.DataObject
) -> None:
    whole = b"".join(map(tablet.encode, written))
    place = data.draw(st.integers(0, len(whole)))
    stream = whole[:place] + noise + whole[place:] + tablet.encode(Point(0, 0, 0, tip=False))
    readings = read(tablet.decoder(), in_pieces(stream, cuts))
    # Noise may spell a packet. One that is not told is whole, and all others are what was sent.
    if not readings.gap:
        assert len(noise) >= tablet.decoder().packet_size or isinstance(tablet, Isdv4)
        found = frames(readings)[:-1]
        remaining = iter(found)
        assert all(frame in remaining for frame in sent(tablet, written))
