"""Askers: each ends what they began, and root at the terminal whatever anybody began."""

from __future__ import annotations

import asyncio
import os

import pytest

from penlatch.asker import BROKER, PAD, ROOT, UNKNOWN, Asker, asking, asking_as

ADA, BOB = Asker.local(4001), Asker.local(4002)
OTHERS = [ADA, BOB, BROKER, PAD, UNKNOWN]


@pytest.mark.parametrize("asker", OTHERS)
def test_each_ends_what_they_began_and_nothing_else(asker: Asker) -> None:
    assert [asker.may_end(begun) for begun in OTHERS] == [begun == asker for begun in OTHERS]


@pytest.mark.parametrize("uid", [ROOT, os.geteuid()])
def test_root_and_the_user_of_the_daemon_end_whatever_anybody_began(uid: int) -> None:
    assert all(Asker.local(uid).may_end(begun) for begun in OTHERS)


async def test_who_asks_is_known_to_what_is_called_and_to_nothing_else() -> None:
    heard: list[Asker] = []

    async def called() -> None:
        heard.append(asking())

    with asking_as(ADA):
        await called()
        begun = asyncio.create_task(called())
        with asking_as(BROKER):
            await called()
        await called()
    await begun
    await called()
    assert heard == [ADA, BROKER, ADA, ADA, UNKNOWN]
