"""Replays on a real line: what the tablet sent once is refused when it is sent again, also by the next daemon."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np

from support.signing import ATTEMPTS

if TYPE_CHECKING:
    from penlatch.ink import Trace
    from penlatch.sim.writer import Writer
    from support.door import Door


REPLAYED = ("no_match", "replay")
EXACT_S = 0.02
"""Delay of a packet up to which a signature is played back as it was [s]: two frames."""


async def signed(door: Door, trace: Trace) -> tuple[str, str]:
    """Have a signature decided for ada: verdict and reason."""
    last: dict[str, Any] = (await asyncio.to_thread(door.verify, "ada", trace)).last
    return last["verdict"], last["reason"]


async def played_back(door: Door, trace: Trace) -> tuple[str, str]:
    """Have ada's door see `trace` again; return verdict and reason.

    A hand that the machine made late plays back something else, which is no replay: it does it once more.
    """
    for _ in range(ATTEMPTS):
        told = await signed(door, trace)
        if told == REPLAYED or door.tablet.lateness_s <= EXACT_S:
            break
    return told


async def test_what_was_accepted_rejected_or_enrolled_is_not_taken_again(
    new_door: Door, ada: Writer, eve: Writer
) -> None:
    door, rng = new_door, np.random.default_rng(0)
    with door.terminal.config.open("a", encoding="utf-8") as config:
        config.write("[lockout]\nenabled = false\n")  # so many failures in a row would be the end of it
    references = [ada.genuine(rng) for _ in range(5)]
    accepted, later, rejected = ada.genuine(rng), ada.genuine(rng), ada.forgery(rng, eve)
    try:
        door.switch_on()
        # More than are needed: one may be refused as unlike the others.
        more = [ada.genuine(rng) for _ in range(5)]
        enrolled = await asyncio.to_thread(door.enroll, "ada", [references[0]] * 2 + references + more)
        told = [(e["outcome"], e["reason"]) for e in enrolled.events if e["kind"] == "enrollment"]
        assert told[0] == ("accepted", None)
        assert ("retry", "replay") in told[1:3]
        assert told[-1] == ("enrolled", None)

        assert (await signed(door, accepted))[0] == "match"
        assert (await signed(door, rejected))[0] == "no_match"
        for trace in (accepted, rejected, references[0]):
            assert await played_back(door, trace) == REPLAYED
        door.terminal.kill()
        door.switch_on()
        for trace in (accepted, rejected, references[0]):
            assert await played_back(door, trace) == REPLAYED
        assert (await signed(door, later))[0] == "match"
        assert "a replay of the matched signature of ada" in door.terminal.log()
    finally:
        door.terminal.close()
