"""Decoding: what msgspec raises for bytes that are not what they should be."""

from __future__ import annotations

from typing import Final

import msgspec

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""No JSON or msgpack, or of another type; no UTF-8; nested too deep, which a kilobyte of brackets suffices for."""
