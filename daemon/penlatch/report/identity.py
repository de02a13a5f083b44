"""Identity: which instance of a terminal speaks, on every message that says what it is or how it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

import msgspec

from penlatch.messages import Health, Info, State

if TYPE_CHECKING:
    from penlatch.report.signing import Signer

M = TypeVar("M", State, Info, Health)


@dataclass(frozen=True, slots=True)
class Identity:
    """The instance, and the signed statement of it."""

    instance: str | None = None
    jws: str | msgspec.UnsetType = msgspec.UNSET

    @classmethod
    def of(cls, signer: Signer | None, *, terminal: str, instance: str | None, boot: int) -> Self:
        """Return the identity of a terminal since its start number `boot`, signed if it signs."""
        if signer is None or instance is None:
            return cls(instance)
        return cls(instance, signer.state(terminal=terminal, instance=instance, boot=boot))

    def on(self, message: M) -> M:
        """Return a message that says who speaks."""
        return msgspec.structs.replace(message, instance=self.instance or msgspec.UNSET, instance_jws=self.jws)
