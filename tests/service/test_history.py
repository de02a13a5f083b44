"""History: a consumer gets again what it missed, page by page, and no more than the terminal can bear."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

import msgspec
import pytest

from penlatch.config import Mqtt
from penlatch.errors import RequestError
from penlatch.messages import Request
from penlatch.report.outgoing import Writer
from penlatch.report.signing import Signer, verified
from penlatch.service import history, remote
from penlatch.service.history import BURST, PAGE_BYTES, PAGE_ROWS, PER_S, ROWS, History
from support.examples import INSTANCE, decision
from support.verbs import ScriptedVerbs

if TYPE_CHECKING:
    from penlatch.messages import Decision, Response

SIGNER = Signer(bytes(range(32)))


class Rows:
    """Decisions 1 to `last` of one instance, of which the first ones may be gone."""

    def __init__(self, last: int, *, first: int = 1, text: str | None = None) -> None:
        self.all = [decision(seq, transaction=text, probability=0.123456) for seq in range(first, last + 1)]
        self.now = 0.0

    async def __call__(self, instance: str, first: int, last: int, *, limit: int) -> list[Decision]:
        return [d for d in self.all if d.instance == instance and first <= d.seq <= last][:limit]

    def history(self) -> History:
        return History(self, clock=lambda: self.now)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "PAUSE_S", 0.0)


async def ask(
    asked: History, first: int, last: int, *, instance: str = INSTANCE, writer: Writer | None = None
) -> list[Response]:
    pages = asked.answer(instance=instance, first=first, last=last, writer=writer or Writer())
    return [page async for page in pages]


def told(pages: list[Response]) -> list[int]:
    return [each.seq for page in pages for each in page.decisions or ()]


@pytest.mark.parametrize("count", [1, PAGE_ROWS - 1, PAGE_ROWS, PAGE_ROWS + 1, 3 * PAGE_ROWS, ROWS])
async def test_a_range_comes_in_order_and_whole(count: int) -> None:
    pages = await ask(Rows(count).history(), 1, count)
    assert told(pages) == list(range(1, count + 1))
    assert [page.status for page in pages] == ["progress"] * (len(pages) - 1) + ["ok"]
    assert pages[-1].next is None
    assert all(len(page.decisions or ()) <= PAGE_ROWS for page in pages)
    assert all(each.historical for page in pages for each in page.decisions or ())
    assert {each.probability for page in pages for each in page.decisions or ()} == {0.12}


@pytest.mark.parametrize(("first", "last"), [(1, 10**30), (10**30, 10**31), (2**63 - 1, 2**63)])
async def test_no_number_is_too_large_to_be_asked_for(first: int, last: int) -> None:
    rows, asked = Rows(3), []

    async def looked_up(instance: str, first: int, last: int, *, limit: int) -> list[Decision]:
        asked.extend(sqlite3.connect(":memory:").execute("SELECT ?, ?", (first, last)).fetchone())
        return await rows(instance, first, last, limit=limit)

    pages = await ask(History(looked_up), first, last)
    assert told(pages) == ([1, 2, 3] if first == 1 else [])
    assert (pages[-1].status, pages[-1].next) == ("ok", None)
    assert asked


async def test_a_range_beyond_the_bound_says_where_to_go_on() -> None:
    rows = Rows(2 * ROWS + 10)
    asked, first, found = rows.history(), 1, []
    for _ in range(3):
        pages = await ask(asked, first, 10**9)
        found += told(pages)
        first = pages[-1].next or 0
    assert found == list(range(1, 2 * ROWS + 11))
    assert first == 0


async def test_what_is_gone_or_of_another_instance_is_not_there() -> None:
    asked = Rows(20, first=11).history()
    assert told(await ask(asked, 1, 15)) == [11, 12, 13, 14, 15]
    empty = await ask(asked, 1, 15, instance="a5" * 16)
    assert (told(empty), empty[-1].status, empty[-1].next) == ([], "ok", None)


@pytest.mark.parametrize("only", [False, True])
async def test_every_message_is_bounded_and_signed_as_configured(only: bool) -> None:  # noqa: FBT001 - of the test
    pages = await ask(Rows(60, text="x" * 128).history(), 1, 60, writer=Writer(SIGNER, only=only))
    assert max(len(msgspec.json.encode(page)) for page in pages) < PAGE_BYTES + 4096
    tokens = [str(jws) for page in pages for jws in page.jws or [each.jws for each in page.decisions or ()]]
    found = [json.loads(verified(token, SIGNER.jwk)) for token in tokens]
    assert [each["seq"] for each in found] == list(range(1, 61))
    assert all(each["historical"] for each in found)
    assert all((page.decisions is None) is only for page in pages)


async def test_requests_are_bounded_in_rate() -> None:
    rows = Rows(3)
    asked = rows.history()
    for _ in range(BURST):
        await ask(asked, 1, 3)
    with pytest.raises(RequestError, match="again in") as raised:
        await ask(asked, 1, 3)
    assert raised.value.code == "busy"
    rows.now += 1 / PER_S
    assert told(await ask(asked, 1, 3)) == [1, 2, 3]


async def test_one_is_answered_at_a_time_and_one_that_is_given_up_frees_the_place() -> None:
    asked = Rows(3 * PAGE_ROWS).history()
    first = asked.answer(instance=INSTANCE, first=1, last=200, writer=Writer())
    await anext(first)
    with pytest.raises(RequestError, match="too often"):
        await ask(asked, 1, 3)
    await first.aclose()
    assert told(await ask(asked, 1, 3)) == [1, 2, 3]


async def test_a_range_that_runs_backwards_is_refused() -> None:
    with pytest.raises(RequestError, match="below"):
        await ask(Rows(3).history(), 3, 1)


@pytest.mark.parametrize("missing", ["instance", "from", "to"])
async def test_over_mqtt_it_needs_all_three(missing: str) -> None:
    fields = {"instance": INSTANCE, "from": 1, "to": 2}
    fields.pop(missing)
    request = msgspec.convert(fields, Request)
    (answer,) = [each async for each in remote.answer(ScriptedVerbs(), "history", request)]
    assert (answer.status, answer.code) == ("error", "bad_request")


async def test_over_mqtt_it_gives_the_pages_of_the_verb() -> None:
    verbs = ScriptedVerbs()
    verbs.journal = [decision(1), decision(2)]
    request = msgspec.convert({"instance": INSTANCE, "from": 1, "to": 2}, Request)
    (answer,) = [each async for each in remote.answer(verbs, "history", request)]
    assert (answer.status, answer.decisions) == ("ok", (decision(1), decision(2)))


def test_it_is_off_unless_named() -> None:
    assert "history" not in Mqtt(host="h").requests
