"""Bytes on a wire: cut wherever reads may cut them, damaged as wires damage them."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from penlatch.capture.framing import Readings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from penlatch.capture.framing import Decoder


def in_pieces(data: bytes, places: Sequence[int]) -> list[bytes]:
    """Cut at some places, whatever numbers they are."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:stop] for start, stop in pairwise(edges)]


def read(decoder: Decoder, pieces: Iterable[bytes]) -> Readings:
    """Return all that a decoder makes of some reads."""
    parts = [decoder.feed(b""), *(decoder.feed(piece) for piece in pieces)]
    columns = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(Readings)
        if field.name != "gap" and getattr(parts[0], field.name) is not None
    }
    return Readings(**columns, gap=any(part.gap for part in parts))
