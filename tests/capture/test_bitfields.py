"""A layout reads one packet, reads many and writes them, and all three agree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penlatch.capture.bitfields import Layout

LAYOUT = Layout(3, {"wide": ((0, 0x03), (2, 0x70)), "flag": ((0, 0x40),), "seven": ((1, 0x7F),)})


def test_a_field_gathers_its_bits_most_significant_first() -> None:
    assert LAYOUT.read(bytes([0b1000_0010, 0, 0b0101_0000])) == {"wide": 0b10101, "flag": 0, "seven": 0}


def test_the_maximum_of_a_field_follows_from_its_bits() -> None:
    assert [LAYOUT.maximum(field) for field in LAYOUT.fields] == [31, 1, 127]


@given(wide=st.integers(0, 31), flag=st.integers(0, 1), seven=st.integers(0, 127))
def test_what_is_written_is_read_back(wide: int, flag: int, seven: int) -> None:
    packet = LAYOUT.write(0x80, wide=wide, flag=flag, seven=seven)
    assert packet[0] & 0x80
    assert LAYOUT.read(packet) == {"wide": wide, "flag": flag, "seven": seven}


@given(st.lists(st.binary(min_size=3, max_size=3), max_size=5))
def test_reading_many_is_reading_each(packets: list[bytes]) -> None:
    columns = LAYOUT.columns(np.frombuffer(b"".join(packets), dtype=np.uint8).reshape(-1, 3))
    assert columns.shape == (3, len(packets))
    assert columns.T.tolist() == [list(LAYOUT.read(packet).values()) for packet in packets]


@pytest.mark.parametrize("value", [-1, 32])
def test_a_value_without_room_is_refused_by_the_name_of_its_field(value: int) -> None:
    with pytest.raises(ValueError, match="wide"):
        LAYOUT.write(0x80, wide=value)
