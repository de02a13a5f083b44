"""Finding: what one look of the doctor found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

import msgspec

from penlatch.foreign import plain

if TYPE_CHECKING:
    from penlatch.messages import Part


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the doctor's report."""

    name: str
    state: Literal["ok", "warn", "fail"]
    """`fail`: the terminal cannot do its work; `warn`: it can, but something should be looked at."""
    detail: str
    remedy: str | None = None
    """What mends it."""

    def __post_init__(self) -> None:
        """Make the texts plain: they may repeat foreign words."""
        msgspec.structs.force_setattr(self, "detail", plain(self.detail))
        if self.remedy is not None:
            msgspec.structs.force_setattr(self, "remedy", plain(self.remedy))

    @classmethod
    def ok(cls, name: str, detail: str) -> Self:
        """Nothing is wrong."""
        return cls(name=name, state="ok", detail=detail)

    @classmethod
    def warn(cls, name: str, detail: str, *, remedy: str) -> Self:
        """Something should be looked at."""
        return cls(name=name, state="warn", detail=detail, remedy=remedy)

    @classmethod
    def fail(cls, name: str, detail: str, *, remedy: str) -> Self:
        """The terminal cannot do its work like this."""
        return cls(name=name, state="fail", detail=detail, remedy=remedy)

    @classmethod
    def told(cls, name: str, part: Part, *, remedy: str) -> Self:
        """Repeat what the running daemon says of a part of itself."""
        detail = part.detail or ("well" if part.ok else "at fault")
        return cls.ok(name, detail) if part.ok else cls.fail(name, detail, remedy=remedy)
