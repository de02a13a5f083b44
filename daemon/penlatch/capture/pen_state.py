"""PenState: away, hovering or in contact; which change is legal, and how an illegal one is repaired."""

from __future__ import annotations

from enum import Enum


class PenState(Enum):
    """Where the pen is, as `PenState` of hid-tools has it, without its buttons and its eraser.

    A pen comes near before it touches and hovers before it leaves. Devices skip steps all the same: one that has
    no proximity goes from away straight into contact, one that is lifted fast leaves from contact. Both are repaired
    by taking the step that is missing (`path_to`), so that every arrival and every lift is seen exactly once.
    """

    AWAY = "away"
    """Out of proximity: nothing is known of its position."""
    HOVERING = "hovering"
    """In proximity, not touching; an eraser never comes closer than this."""
    CONTACT = "contact"
    """Touching: it writes."""

    @classmethod
    def of(cls, *, near: bool, touching: bool) -> PenState:
        """Return the state behind a frame's two flags.

        Contact is the stronger evidence: a pen that touches is near, whatever its proximity flag says.
        """
        if touching:
            return cls.CONTACT
        return cls.HOVERING if near else cls.AWAY

    @property
    def legal(self) -> frozenset[PenState]:
        """States the next frame may be in; staying is always legal."""
        return _LEGAL[self]

    def path_to(self, state: PenState) -> tuple[PenState, ...]:
        """Return the states entered on the way to `state`, itself last; empty where nothing changes.

        A legal change is one step. An illegal one, between `AWAY` and `CONTACT`, goes through `HOVERING`.
        """
        if state is self:
            return ()
        if state in self.legal:
            return (state,)
        return (PenState.HOVERING, state)


_LEGAL = {
    PenState.AWAY: frozenset({PenState.AWAY, PenState.HOVERING}),
    PenState.HOVERING: frozenset(PenState),
    PenState.CONTACT: frozenset({PenState.CONTACT, PenState.HOVERING}),
}
