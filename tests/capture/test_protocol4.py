"""Protocol IV: packets survive the wire, replies name model and resolution, readings are in millimetres."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penlatch.capture.protocol4 import Decoder, Maxima, Model, PenPacket, Resolution
from penlatch.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

VECTOR = bytes.fromhex("e0603908350524")
CONTACT = PenPacket(x=12345, y=6789, pressure=200, buttons=1, near=True)
DIGITIZER = Model.from_reply(b"~#UD-1212-R00,V1.3-5\r")
RESOLUTION = Resolution(1270, 1270)
MAXIMA = Maxima(15240, 15240)

extra_bits = st.integers(0, 2)
degrees = st.integers(-64, 63)


def packets(extra: int) -> st.SearchStrategy[PenPacket]:
    return st.builds(
        PenPacket,
        x=st.integers(0, 0xFFFF),
        y=st.integers(0, 0xFFFF),
        pressure=st.integers(0, (1 << 7 + extra) - 1),
        buttons=st.integers(0, 15),
        near=st.booleans(),
        stylus=st.booleans(),
        tilt=st.none() | st.tuples(degrees, degrees),
    )


def decoder(model: Model = DIGITIZER, *, tilt: bool = False) -> Decoder:
    return Decoder(model, RESOLUTION, MAXIMA, tilt=tilt)


@pytest.mark.parametrize(("extra", "pressure"), [(1, 200), (2, 400)])
def test_the_known_packet_is_read_with_the_pressure_bits_of_its_model(extra: int, pressure: int) -> None:
    assert PenPacket.from_bytes(VECTOR, extra_bits=extra) == replace(CONTACT, pressure=pressure)


@pytest.mark.parametrize(("extra", "pressure"), [(1, 200), (2, 400)])
def test_the_known_packet_is_written(extra: int, pressure: int) -> None:
    assert replace(CONTACT, pressure=pressure).to_bytes(extra_bits=extra) == VECTOR


@given(extra_bits.flatmap(lambda extra: st.tuples(st.just(extra), packets(extra))))
def test_a_packet_survives_the_wire(case: tuple[int, PenPacket]) -> None:
    extra, packet = case
    data = packet.to_bytes(extra_bits=extra)
    assert len(data) == (7 if packet.tilt is None else 9)
    assert PenPacket.from_bytes(data, extra_bits=extra) == packet


@given(extra_bits, st.integers(0, 0x7F))
def test_pressure_is_as_the_kernel_computes_it(extra: int, byte: int) -> None:
    data = bytes([0xE4, 0, 0, 0x0C, 0, 0, byte])
    z = byte
    if extra >= 1:
        z = z << 1 | 1
    if extra >= 2:
        z = z << 1 | 1
    assert PenPacket.from_bytes(data, extra_bits=extra).pressure == z ^ (0x40 << extra)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(VECTOR[:-1], id="too short"),
        pytest.param(VECTOR + b"\0", id="too long"),
        pytest.param(b"\x60" + VECTOR[1:], id="no lead bit"),
        pytest.param(VECTOR[:3] + VECTOR[:4], id="a second lead bit"),
    ],
)
def test_what_is_no_packet_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError) as refused:
        PenPacket.from_bytes(data)
    assert refused.value.protocol == "Protocol IV"


@pytest.mark.parametrize("field", ["x", "y", "pressure", "buttons"])
def test_a_value_without_room_is_not_written(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        replace(CONTACT, **{field: 0x10000}).to_bytes()  # type: ignore[arg-type] # all of these fields are int


@pytest.mark.parametrize(
    ("reply", "name", "pressure_max", "lines"),
    [
        (b"~#UD-1212-R00,V1.3-5\r", "Wacom Digitizer II", 255, None),
        (b"~#UD-0608-R00,V1.2-0\r", "Wacom Digitizer II", 127, None),
        (b"~#CT-0045-R00,V1.3-5", "Wacom PenPartner", 255, (1000, 1000)),
        (b"~#ET-0405-R00,V1.0-3\r", "Wacom Graphire", 511, (1016, 1016)),
        (b"~#PL-400-R00,V1.0\r", "Wacom Cintiq", 255, (508, 508)),
        (b"~#PL-550-R00,V1.0\r", "Wacom Cintiq", 511, (508, 508)),
        (b"~#PL-710-R00,V1.0\r", "Wacom Cintiq", 511, (2540, 2540)),
        (b"~#PL-800-R00,V1.0\r", "Wacom Cintiq", 511, (508, 508)),
    ],
)
def test_the_model_decides_pressure_and_resolution(
    reply: bytes, name: str, pressure_max: int, lines: tuple[int, int] | None
) -> None:
    model = Model.from_reply(reply)
    assert (model.name, model.pressure_max, model.lines_per_inch) == (name, pressure_max, lines)


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(b"", id="silence"),
        pytest.param(b"~#", id="the echo only"),
        pytest.param(b"~#GD-0912-R00,V1.2\r", id="an Intuos, of Protocol V"),
        pytest.param(b"~C15240,15240\r", id="the reply to another query"),
        pytest.param(b"~#UD\x80\xff\r", id="noise"),
    ],
)
def test_a_tablet_of_another_protocol_is_refused(reply: bytes) -> None:
    with pytest.raises(ProtocolError):
        Model.from_reply(reply)


def test_the_resolution_is_the_last_two_numbers() -> None:
    assert Resolution.from_bytes(b"~RE203C900,002,02,1270,1016\r") == Resolution(1270, 1016)


@given(st.integers(1, 9999), st.integers(1, 9999))
def test_replies_survive_the_wire(x: int, y: int) -> None:
    assert Resolution.from_bytes(Resolution(x, y).to_bytes()) == Resolution(x, y)
    assert Maxima.from_bytes(Maxima(x, y).to_bytes()) == Maxima(x, y)


@pytest.mark.parametrize(
    ("read", "reply"),
    [
        (Model.from_reply, b"~#UD-1212-R00,V" + b"1" * 5000 + b".2\r"),
        (Resolution.from_bytes, b"~RE203C900,002,02," + b"9" * 400 + b",1\r"),
        (Resolution.from_bytes, b"~RE203C900,002,02,1," + b"9" * 5000 + b"\r"),
        (Maxima.from_bytes, b"~C1," + b"9" * 5000 + b"\r"),
    ],
)
def test_a_reply_that_is_longer_than_any_is_refused_unread(read: Callable[[bytes], object], reply: bytes) -> None:
    with pytest.raises(ProtocolError, match="at most 64 bytes"):
        read(reply)


@pytest.mark.parametrize("reply", [b"~RE203C900,002,02\r", b"~RE203C900,002,02,0,1270\r", b"~R\r", b""])
def test_a_reply_without_a_resolution_is_refused(reply: bytes) -> None:
    with pytest.raises(ProtocolError):
        Resolution.from_bytes(reply)


@pytest.mark.parametrize("reply", [b"~C\r", b"~C0,1\r", b"~C99999,1\r", b"~C1\r", b""])
def test_a_reply_without_maxima_is_refused(reply: bytes) -> None:
    with pytest.raises(ProtocolError):
        Maxima.from_bytes(reply)


def test_readings_are_in_millimetres_by_lines_per_inch() -> None:
    readings = decoder().feed(VECTOR)
    assert readings.x == pytest.approx(12345 / 1270 * 25.4)
    assert readings.y == pytest.approx(6789 / 1270 * 25.4)
    assert readings.p == pytest.approx(200 / 255)
    assert readings.touching.all()
    assert not readings.gap


@given(extra_bits.flatmap(lambda extra: st.tuples(st.just(extra), st.lists(packets(extra), max_size=20))))
def test_many_packets_decode_as_each_of_them(case: tuple[int, list[PenPacket]]) -> None:
    extra, many = case
    # The eraser has a test of its own; here its bit is nobody's.
    sound = [replace(packet, tilt=None) for packet in many if packet.x <= MAXIMA.x and packet.y <= MAXIMA.y]
    model = replace(DIGITIZER, extra_bits=extra, eraser=0)
    readings = decoder(model).feed(b"".join(packet.to_bytes(extra_bits=extra) for packet in sound))
    near = [packet.near and packet.stylus for packet in sound]
    assert np.allclose(readings.x, [packet.x * 0.02 for packet in sound])
    assert np.array_equal(readings.near, near)
    assert np.array_equal(readings.touching, [n and packet.buttons & 1 for n, packet in zip(near, sound, strict=True)])
    expected = [packet.pressure / model.pressure_max if n else 0.0 for n, packet in zip(near, sound, strict=True)]
    assert np.array_equal(readings.p, expected)


def test_a_packet_beyond_the_tablets_own_maxima_is_damage() -> None:
    readings = decoder().feed(VECTOR + replace(CONTACT, x=MAXIMA.x + 1).to_bytes())
    assert len(readings) == 1
    assert readings.gap


def test_a_cursor_is_no_pen() -> None:
    readings = decoder().feed(replace(CONTACT, stylus=False).to_bytes())
    assert not readings.near.any()
    assert not readings.touching.any()
    assert readings.p.tolist() == [0.0]


@pytest.mark.parametrize(("reply", "buttons"), [(b"~#UD-1212-R00,V1.3-5\r", 0x5), (b"~#ET-0405-R00,V1.0-3\r", 0x9)])
def test_the_eraser_of_each_model_does_not_write(reply: bytes, buttons: int) -> None:
    model = Model.from_reply(reply)
    eraser = replace(CONTACT, buttons=buttons).to_bytes(extra_bits=model.extra_bits)
    assert not decoder(model).feed(eraser).touching.any()


def test_tilt_is_in_degrees_where_packets_have_it() -> None:
    readings = decoder(tilt=True).feed(replace(CONTACT, tilt=(20, -30)).to_bytes())
    assert readings.tilt_x is not None
    assert readings.tilt_y is not None
    assert [*readings.tilt_x, *readings.tilt_y] == [20, -30]


@given(st.binary(max_size=300))
def test_whatever_the_noise_no_reading_leaves_the_tablet(noise: bytes) -> None:
    readings = decoder().feed(noise)
    assert ((readings.x >= 0) & (readings.x <= 304.8)).all()
    assert ((readings.p >= 0) & (readings.p <= 1)).all()
