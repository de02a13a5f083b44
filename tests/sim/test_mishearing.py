"""A UART at the wrong speed hears noise, at the right one what was said."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.sim.mishearing import misheard


@given(st.binary(max_size=30), st.sampled_from([9600, 19_200, 38_400]))
@settings(deadline=None)
def test_at_equal_speeds_nothing_is_misheard(data: bytes, baud: int) -> None:
    assert misheard(data, sent=baud, heard=baud) == data


@pytest.mark.parametrize(("sent", "heard"), [(19_200, 38_400), (38_400, 19_200)])
def test_at_another_speed_something_else_is_heard(sent: int, heard: int) -> None:
    data = bytes.fromhex("a1180e0d21582c0000")
    assert misheard(data, sent=sent, heard=heard) != data


def test_a_receiver_of_half_the_speed_hears_at_most_about_half_the_bytes() -> None:
    assert 0 < len(misheard(bytes(range(100)), sent=38_400, heard=19_200)) <= 60


def test_a_byte_at_half_the_speed_is_heard_as_its_bits_doubled() -> None:
    # Start bit 0 and the data bits 0 0 0 0 1 ... (0x30, least significant first), each twice as long as expected.
    assert misheard(b"\x30", sent=19_200, heard=38_400)[0] == 0b0000_0000
    assert misheard(b"\xff", sent=19_200, heard=38_400) == b"\xfe"
