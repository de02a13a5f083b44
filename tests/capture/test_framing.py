"""The framer finds packets again after any damage and says so; the eraser is told from the second side button."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penlatch.capture.framing import EraserRule, Framer
from support.wires import in_pieces

SIZE = 5
FOREIGN = 0x10
FOREIGN_SIZES = (3, 7)

payloads = st.lists(st.integers(0, 0x7F), min_size=SIZE - 1, max_size=SIZE - 1)
packets = payloads.map(lambda body: bytes([0x80, *body]))
foreign = st.sampled_from(FOREIGN_SIZES).map(lambda size: bytes([0x90]) + bytes(size - 1))


def framer() -> Framer:
    return Framer(SIZE, foreign=FOREIGN, foreign_sizes=FOREIGN_SIZES)


def run(reads: list[bytes]) -> tuple[list[bytes], bool]:
    machine, found, damaged = framer(), [], False
    for read in reads:
        rows, hurt = machine.feed(read)
        found += [row.tobytes() for row in rows]
        damaged |= hurt
    return found, damaged


@given(st.lists(packets | foreign), st.lists(st.integers(0, 200)))
def test_a_clean_stream_gives_every_pen_packet_and_no_damage_however_it_is_cut(
    stream: list[bytes], places: list[int]
) -> None:
    found, damaged = run(in_pieces(b"".join(stream), places))
    assert found == [packet for packet in stream if not packet[0] & FOREIGN]
    assert not damaged


@given(st.binary(max_size=80), st.lists(st.integers(0, 80)))
def test_cutting_never_changes_what_is_found_not_even_in_noise(stream: bytes, places: list[int]) -> None:
    whole = run([stream])
    assert run(in_pieces(stream, places)) == whole
    assert run([stream[i : i + 1] for i in range(len(stream))]) == whole


@given(st.lists(packets, min_size=1), st.binary(min_size=1, max_size=40), st.lists(packets, min_size=2))
def test_garbage_costs_no_packet_that_it_does_not_touch(before: list[bytes], noise: bytes, after: list[bytes]) -> None:
    found, _ = run([b"".join(before) + noise + b"".join(after)])
    assert found[: len(before)] == before
    assert found[-len(after) :] == after


@given(st.lists(packets, min_size=2, max_size=6), st.data())
def test_a_lost_byte_costs_one_packet_and_is_noticed(stream: list[bytes], data: st.DataObject) -> None:
    hurt = data.draw(st.integers(0, len(stream) - 2))
    place = data.draw(st.integers(0, SIZE - 1))
    damaged_packet = stream[hurt][:place] + stream[hurt][place + 1 :]
    found, damaged = run([b"".join([*stream[:hurt], damaged_packet, *stream[hurt + 1 :]])])
    assert found == stream[:hurt] + stream[hurt + 1 :]
    assert damaged


def test_an_excess_byte_is_noticed_even_when_it_comes_in_a_read_of_its_own() -> None:
    machine = framer()
    assert machine.feed(bytes([0x80, 1, 2, 3, 4]))[1] is False
    assert machine.feed(bytes([5]))[1] is True


def test_a_foreign_packet_of_no_known_length_is_damage() -> None:
    assert run([bytes([0x90, 1, 2, 3]), bytes([0x80, 1, 2, 3, 4])]) == ([bytes([0x80, 1, 2, 3, 4])], True)


@given(st.lists(st.just(b"\x90" + bytes(40)), min_size=1, max_size=20))
def test_what_is_kept_between_reads_is_bounded(reads: list[bytes]) -> None:
    machine = framer()
    for read in reads:
        machine.feed(read)
        assert len(machine._rest) <= max(FOREIGN_SIZES)


def flags(text: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.array([letter == "1" for letter in text], dtype=np.bool_)


@pytest.mark.parametrize(
    ("near", "bit", "erasing"),
    [
        pytest.param("01110", "00000", "00000", id="a pen without buttons"),
        pytest.param("01110", "01110", "01110", id="an eraser"),
        pytest.param("01110", "00110", "00000", id="a side button pressed later"),
        pytest.param("01111", "01101", "01100", id="an eraser whose bit goes out was the pen, and stays it"),
        pytest.param("01011", "01011", "01011", id="away and near again begins anew"),
        pytest.param("01011", "00011", "00011", id="a pen, then an eraser"),
        pytest.param("111", "111", "111", id="near from the first packet"),
        pytest.param("", "", "", id="nothing"),
    ],
)
def test_the_eraser_is_what_comes_near_with_the_bit_set(near: str, bit: str, erasing: str) -> None:
    assert EraserRule().erasing(flags(near), flags(bit)).tolist() == flags(erasing).tolist()


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1), st.lists(st.integers(0, 50)))
def test_the_eraser_rule_does_not_depend_on_batches(rows: list[tuple[bool, bool]], places: list[int]) -> None:
    near, bit = np.array(rows, dtype=np.bool_).T
    whole = EraserRule().erasing(near, bit)
    rule, parts = EraserRule(), []
    for part in in_pieces(bytes(range(len(rows))), places):
        parts += rule.erasing(near[list(part)], bit[list(part)]).tolist()
    assert parts == whole.tolist()


@given(st.lists(st.tuples(st.booleans(), st.booleans())))
def test_the_eraser_rule_is_the_kernels_state_machine(rows: list[tuple[bool, bool]]) -> None:
    tool, expected = "none", []
    for near, bit in rows:
        if tool == "rubber" and not bit:
            tool = "pen"
        elif tool == "none":
            tool = "rubber" if bit else "pen"
        expected.append(near and tool == "rubber")
        if not near:
            tool = "none"
    near_column = np.array([near for near, _ in rows], dtype=np.bool_)
    bits = np.array([bit for _, bit in rows], dtype=np.bool_)
    assert EraserRule().erasing(near_column, bits).tolist() == expected
