"""Mutation: an input with something wrong about it, the same for the same dice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

LARGEST: Final = 1 << 20
"""No input is longer [bytes]."""
REPEATED: Final = 1 << 16
"""Up to so much a part is repeated, in one input of a thousand: what is quadratic shows there [bytes]."""
DEEP: Final = 1200
"""Deeper than Python lets anything be nested."""
WORDS: Final = (
    *(b"\0", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xed\xa0\x80"),
    *(b"-1", b"0", b"1e999", b"NaN", b"-0", b"9" * 20, b"4294967296", b"9223372036854775808", b"9" * 400),
    *(b"[" * DEEP, b'{"":' * DEEP, b"\x91" * DEEP),
    *(b'"', b"{", b"}", b"[", b"]", b",", b":", b"\n", b" ", b".", b"-", b"null", b"true"),
)
"""What parsers of any language stumble over."""


def mutated(data: bytes, dice: Random, corpus: Sequence[bytes], words: Sequence[bytes] = WORDS) -> bytes:
    """Return `data` with one to sixteen changes, some of them parts of others of the corpus."""
    new = bytearray(data)
    for _ in range((1, 1, 2, 4, 16)[int(dice.random() * 5)]):
        _change(new, dice, corpus, words)
    if dice.random() < 1e-3:
        _repeat(new, dice)
    return bytes(new[:LARGEST])


def _change(data: bytearray, dice: Random, corpus: Sequence[bytes], words: Sequence[bytes]) -> None:
    # random() and int() cost a third of randrange(), and this is run millions of times.
    at = int(dice.random() * (len(data) + 1))
    size = 1 + int(dice.random() ** 3 * 64)
    match int(dice.random() * 9):
        case 0 if data:
            data[at % len(data)] ^= 1 << int(dice.random() * 8)
        case 1 if data:
            data[at % len(data)] = int(dice.random() * 256)
        case 2:
            data[at:at] = words[int(dice.random() * len(words))]
        case 3:
            word = words[int(dice.random() * len(words))]
            data[at : at + len(word)] = word
        case 4:
            del data[at : at + size]
        case 5:
            data[at:at] = data[at : at + 4 * size]
        case 6:
            other = corpus[int(dice.random() * len(corpus))]
            start = int(dice.random() * (len(other) + 1))
            data[at : at + int(dice.random() * size)] = other[start : start + 2 * size]
        case 7 if data:
            place = at % len(data)
            data[place] = (data[place] + int(dice.random() * 9) - 4) % 256
        case _:
            data[at:at] = dice.randbytes(1 + size // 4)


def _repeat(data: bytearray, dice: Random) -> None:
    if data:
        at = int(dice.random() * len(data))
        part = data[at : at + 1 + int(dice.random() * 64)]
        data[at:at] = part * (int(dice.random() * REPEATED) // len(part))
