"""Varlink on the wire: JSON objects, each ended by a NUL byte (https://varlink.org/Method-Call)."""

from __future__ import annotations

from typing import Any

import msgspec

END = b"\0"
"""Ends every message."""
LARGEST_CALL = 64 * 1024
"""Calls may not be longer [bytes]; the longest sensible one, with a picture, is 11 thousand."""


class Call(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A method call."""

    method: str
    """Fully qualified: interface, dot, member."""
    parameters: dict[str, Any] = {}
    more: bool = False
    """The caller takes any number of replies."""
    oneway: bool = False
    """The caller takes no reply at all."""
    upgrade: bool = False
    """The caller wants the connection to speak another protocol afterwards."""

    @property
    def interface(self) -> str:
        """The interface that the method belongs to."""
        return self.method.rpartition(".")[0]

    @classmethod
    def from_bytes(cls, message: bytes) -> Call:
        """Read a call, with or without its NUL.

        Raises:
            UNREADABLE: it is no call (`penlatch.decoding`).
        """
        return _DECODE_CALL.decode(message.removesuffix(END))

    def to_bytes(self) -> bytes:
        """Return the call with its NUL."""
        return msgspec.json.encode(self) + END


class Reply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reply, or an error."""

    parameters: Any = {}
    continues: bool = False
    """More replies to this call follow."""
    error: str | None = None
    """Fully qualified name of an error, whose fields `parameters` are."""

    @classmethod
    def from_bytes(cls, message: bytes) -> Reply:
        """Read a reply, with or without its NUL.

        Raises:
            UNREADABLE: it is no reply (`penlatch.decoding`).
        """
        return _DECODE_REPLY.decode(message.removesuffix(END))

    def to_bytes(self) -> bytes:
        """Return the reply with its NUL."""
        return msgspec.json.encode(self) + END


_DECODE_CALL = msgspec.json.Decoder(Call)
_DECODE_REPLY = msgspec.json.Decoder(Reply)
