"""Expiring: decisions older than `store.keep_days` go, little by little, while the daemon runs."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from penlatch.errors import PenlatchError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

LOOK_S: Final = 3600.0
"""Time until the next look, once nothing is left to do [s]."""
PAUSE_S: Final = 2.0
"""Time between two batches [s]: a database of five years is worked off in about an hour, and nobody notices."""


async def expire_for_ever(batch: Callable[[], Awaitable[int]], *, done: Callable[[], Awaitable[None]]) -> None:
    """Take batches of old decisions away until cancelled.

    Args:
        batch: takes some away and returns how many.
        done: called when some went and no more are left.
    """
    gone = 0
    while True:
        try:
            count = await batch()
            gone += count
            if not count and gone:
                log.info("%d decisions were older than store.keep_days and are gone", gone)
                await done()
                gone = 0
        except PenlatchError as error:
            log.warning("old decisions stay for now: %s", error)
            count = 0
        await asyncio.sleep(PAUSE_S if count else LOOK_S)
