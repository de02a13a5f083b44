"""ISDV4: packets and replies survive the wire, and the decoder makes readings of nothing but sound pen packets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penlatch.capture.isdv4 import Decoder, PenPacket, QueryReply
from penlatch.errors import ProtocolError

if TYPE_CHECKING:
    from penlatch.capture.framing import Readings

VECTOR = bytes.fromhex("a1180e0d21582c0000")
LIMITS = QueryReply(x=26312, y=16520, pressure=1023, version=0x123)
CONTACT = PenPacket(x=12345, y=6789, pressure=600, near=True, tip=True)

seven = st.integers(0, 0x7F)
any_packet = st.builds(
    PenPacket,
    x=st.integers(0, 0xFFFF),
    y=st.integers(0, 0xFFFF),
    pressure=st.integers(0, 0x3FF),
    near=st.booleans(),
    tip=st.booleans(),
    side=st.booleans(),
    side_2=st.booleans(),
    tilt_x=seven,
    tilt_y=seven,
)
pen_packet = st.builds(
    PenPacket,
    x=st.integers(0, LIMITS.x),
    y=st.integers(0, LIMITS.y),
    pressure=st.integers(0, LIMITS.pressure),
    near=st.just(True),
    tip=st.booleans(),
    side=st.booleans(),
)
any_reply = st.builds(
    QueryReply,
    x=st.integers(0, 0xFFFF),
    y=st.integers(0, 0xFFFF),
    pressure=st.integers(0, 0x3FF),
    tilt_x=seven,
    tilt_y=seven,
    version=st.integers(0, 0x3FFF),
)
finger_packet = st.sampled_from((5, 7, 13)).flatmap(
    lambda size: st.tuples(st.sampled_from((0x90, 0x91, 0x93)), st.binary(min_size=size - 1, max_size=size - 1)).map(
        lambda parts: bytes([parts[0], *(byte & 0x7F for byte in parts[1])])
    )
)


def decode(data: bytes, limits: QueryReply = LIMITS) -> Readings:
    return Decoder(limits).feed(data)


def test_the_known_packet_is_read() -> None:
    assert PenPacket.from_bytes(VECTOR) == CONTACT


def test_the_known_packet_is_written() -> None:
    assert CONTACT.to_bytes() == VECTOR


@given(any_packet)
def test_a_packet_survives_the_wire(packet: PenPacket) -> None:
    assert PenPacket.from_bytes(packet.to_bytes()) == packet


@given(any_reply)
def test_a_reply_survives_the_wire(reply: QueryReply) -> None:
    assert QueryReply.from_bytes(reply.to_bytes()) == reply


@given(any_packet)
def test_only_the_first_byte_has_bit_7(packet: PenPacket) -> None:
    first, *others = packet.to_bytes()
    assert first & 0xD0 == 0x80
    assert all(byte < 0x80 for byte in others)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(VECTOR[:-1], id="too short"),
        pytest.param(VECTOR + b"\0", id="too long"),
        pytest.param(b"\x21" + VECTOR[1:], id="no lead bit"),
        pytest.param(VECTOR[:4] + b"\xa1" + VECTOR[5:], id="a second lead bit"),
        pytest.param(b"\xb1" + VECTOR[1:], id="a finger"),
        pytest.param(b"\xe1" + VECTOR[1:], id="a reply"),
    ],
)
def test_what_is_no_pen_packet_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError) as refused:
        PenPacket.from_bytes(data)
    assert refused.value.protocol == "ISDV4"


def test_a_refusal_shows_no_coordinate() -> None:
    with pytest.raises(ProtocolError) as refused:
        PenPacket.from_bytes(b"\xb1" + VECTOR[1:])
    assert VECTOR[1:].hex() not in str(refused.value)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(VECTOR, id="a pen packet"),
        pytest.param(VECTOR + b"\0\0", id="a pen packet and more"),
        pytest.param(b"\xc1" + LIMITS.to_bytes()[1:], id="the reply to the touch query"),
        pytest.param(LIMITS.to_bytes()[:-1], id="too short"),
    ],
)
def test_what_does_not_answer_the_pen_query_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        QueryReply.from_bytes(data)


@pytest.mark.parametrize("field", ["x", "y", "pressure", "tilt_x"])
def test_a_value_without_room_is_not_written(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        replace(CONTACT, **{field: 0x10000}).to_bytes()  # type: ignore[arg-type] # all of these fields are int


def test_readings_are_in_millimetres_and_shares() -> None:
    readings = decode(VECTOR)
    assert [*readings.x, *readings.y] == [123.45, 67.89]
    assert readings.p == pytest.approx(600 / 1023)
    assert readings.near.all()
    assert readings.touching.all()
    assert readings.tilt_x is readings.tilt_y is None
    assert not readings.gap


@given(st.lists(pen_packet, max_size=30))
def test_many_packets_decode_as_each_of_them(packets: list[PenPacket]) -> None:
    readings = decode(b"".join(packet.to_bytes() for packet in packets))
    assert len(readings) == len(packets)
    assert np.array_equal(readings.x, [packet.x / 100 for packet in packets])
    assert np.array_equal(readings.y, [packet.y / 100 for packet in packets])
    assert np.array_equal(readings.p, [packet.pressure / 1023 for packet in packets])
    assert np.array_equal(readings.touching, [packet.tip for packet in packets])
    assert not readings.gap


@given(st.lists(pen_packet.map(PenPacket.to_bytes) | finger_packet | any_reply.map(QueryReply.to_bytes)))
def test_fingers_and_replies_are_skipped_without_a_gap(stream: list[bytes]) -> None:
    readings = decode(b"".join(stream))
    pens = [PenPacket.from_bytes(data) for data in stream if not data[0] & 0x50]
    assert np.array_equal(readings.x, [packet.x / 100 for packet in pens])
    assert not readings.gap


def test_a_two_finger_packet_is_never_taken_for_a_pen() -> None:
    fingers = bytes([0x93, *VECTOR[1:], *VECTOR[1:5]])
    assert len(fingers) == 13
    readings = decode(fingers + VECTOR)
    assert len(readings) == 1
    assert not readings.gap


@pytest.mark.parametrize("excess", [replace(CONTACT, x=LIMITS.x + 1), replace(CONTACT, y=LIMITS.y + 1)])
def test_a_packet_beyond_the_tablets_own_maxima_is_damage(excess: PenPacket) -> None:
    readings = decode(VECTOR + excess.to_bytes() + VECTOR)
    assert len(readings) == 2
    assert readings.gap


def test_pressure_beyond_the_tablets_own_maximum_is_damage() -> None:
    readings = decode(VECTOR, replace(LIMITS, pressure=255))
    assert len(readings) == 0
    assert readings.gap


@given(st.binary(max_size=400))
def test_whatever_the_noise_no_reading_leaves_the_tablet(noise: bytes) -> None:
    readings = decode(noise)
    assert ((readings.x >= 0) & (readings.x <= LIMITS.x / 100)).all()
    assert ((readings.y >= 0) & (readings.y <= LIMITS.y / 100)).all()
    assert ((readings.p >= 0) & (readings.p <= 1)).all()
    assert not (readings.touching & ~readings.near).any()


def test_the_eraser_does_not_write() -> None:
    eraser = replace(CONTACT, side_2=True)
    readings = decode(eraser.to_bytes() * 3)
    assert not readings.near.any()
    assert not readings.touching.any()


def test_the_second_side_button_does_not_stop_the_pen() -> None:
    readings = decode(VECTOR + replace(CONTACT, side_2=True).to_bytes())
    assert readings.touching.all()


def test_a_tip_without_proximity_is_no_contact() -> None:
    assert not decode(replace(CONTACT, near=False).to_bytes()).touching.any()


def test_tilt_is_in_degrees_from_upright() -> None:
    limits = replace(LIMITS, tilt_x=127, tilt_y=127)
    readings = decode(replace(CONTACT, tilt_x=63 + 20, tilt_y=63 - 30).to_bytes(), limits)
    assert readings.tilt_x is not None
    assert readings.tilt_y is not None
    assert [*readings.tilt_x, *readings.tilt_y] == [20, -30]


def test_a_pen_without_tilt_may_send_anything_in_its_place() -> None:
    readings = decode(replace(CONTACT, tilt_x=99).to_bytes())
    assert len(readings) == 1
    assert not readings.gap


def test_a_pen_that_only_touches_or_not_has_full_pressure_in_contact() -> None:
    decoder = Decoder(replace(LIMITS, pressure=1))
    assert not decoder.info.has_pressure
    hovering = replace(CONTACT, pressure=0, tip=False)
    assert decoder.feed(replace(CONTACT, pressure=1).to_bytes() + hovering.to_bytes()).p.tolist() == [1.0, 0.0]
