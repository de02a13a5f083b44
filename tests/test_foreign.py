"""Foreign text: whatever others write, a log and a screen show it on one line, visibly changed, and not for ever."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from penlatch import config, errors
from penlatch.cli.checks.finding import Finding
from penlatch.cli.journal import JournalFormatter, PlainFormatter
from penlatch.cli.sentences import log_line, tell
from penlatch.control.wire import Call
from penlatch.errors import ConfigError, PenlatchError, RequestError
from penlatch.foreign import WORDS, escaped, plain, quoted, shows
from penlatch.ink import PenInfo
from penlatch.messages import Action, Part
from penlatch.report import connection
from penlatch.report.admission import Admission
from penlatch.report.delivery import Incoming
from penlatch.report.requests import Requests
from penlatch.report.topics import Topics
from penlatch.service.notify import Notifier
from support.attacks import ATTACKS, FORGED, assert_plain, hostile
from support.examples import armed, decision

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from penlatch.messages import Request, Response, Verb

attacks = pytest.mark.parametrize("attack", ATTACKS)


@given(st.text(), st.integers(20, 200))
def test_what_comes_out_is_printable_bounded_and_stays_as_it_is(text: str, limit: int) -> None:
    shown = plain(text, limit)
    assert all(map(shows, shown))
    assert len(shown) <= limit
    assert plain(shown, limit) == shown


@given(st.text(st.characters(categories=["L", "N", "P"]), max_size=100))
def test_words_of_every_language_stay_as_they_are(text: str) -> None:
    assert all(plain(c) == c for c in text if shows(c))


@pytest.mark.parametrize("text", ["Wacom Intuos S Pen", "Jürgen Groß", "김민수", "दीपक", "/var/lib/penlatch", ""])
def test_what_is_plain_is_not_touched(text: str) -> None:
    assert plain(text) == text


def test_escapes_are_those_of_json_so_that_json_stays_what_it_was() -> None:
    for character in ("\x1b", "\x9b", "\u202e", "\U000e0041", "\n"):
        assert json.loads(f'"{escaped(character)}"') == character


def test_a_cut_says_how_much_is_missing() -> None:
    assert plain("A" * 1000, 30).endswith("more)")
    assert "“" not in quoted("a”b“c")[1:-1]


@attacks
def test_the_log_shows_it_on_one_line(attack: str) -> None:
    record = logging.LogRecord("penlatch", logging.WARNING, "", 0, "said %s", (hostile(attack),), None)
    for formatter in (PlainFormatter("%(name)s: %(message)s"), JournalFormatter("%(name)s: %(message)s")):
        assert_plain(formatter.format(record))


@attacks
def test_no_line_of_a_traceback_looks_like_a_record(attack: str) -> None:
    error = ZeroDivisionError(hostile(attack))
    info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("penlatch", logging.ERROR, "", 0, "failed", (), info)
    assert_plain(PlainFormatter("%(message)s").format(record), lines=None)
    lines = JournalFormatter("%(message)s").format(record).split("\n")
    assert all(line.startswith("<3>| ") for line in lines[1:])


ERRORS: list[tuple[type[PenlatchError], dict[str, Any]]] = [
    (errors.ConfigError, {"path": "p", "key": "k"}),
    (errors.TraceError, {"path": "p"}),
    (errors.PictureError, {"path": "p"}),
    (errors.PenError, {"device": "d", "remedy": "r"}),
    (errors.ProtocolError, {"protocol": "p"}),
    (errors.ModelError, {"path": "p"}),
    (errors.StoreError, {"path": "p", "remedy": "r"}),
    (errors.BoltError, {"bolt": "b"}),
    (errors.RequestError, {"code": "busy"}),
]


def test_no_error_is_forgotten_here() -> None:
    assert {kind for kind, _ in ERRORS} == set(PenlatchError.__subclasses__())


@attacks
@pytest.mark.parametrize("kind", [kind for kind, _ in ERRORS])
def test_every_error_is_plain_whichever_field_is_foreign(kind: type[PenlatchError], attack: str) -> None:
    fields = dict(ERRORS)[kind]
    for foreign in ("problem", *(name for name in fields if name != "code")):
        error: Any = kind(**({"problem": "p"} | fields | {foreign: hostile(attack)}))
        assert_plain(str(error), longest=1000)
        assert_plain(error.problem)
        assert_plain(getattr(error, "remedy", None) or "")


@attacks
def test_health_is_plain_when_it_is_made_and_when_it_is_read(attack: str) -> None:
    part = Part(ok=False, detail=hostile(attack), last_error=hostile(attack))
    read = msgspec.json.decode(json.dumps({"ok": False, "detail": hostile(attack)}), type=Part) if (
        attack != "lone surrogate"  # which is no JSON
    ) else part  # fmt: skip
    for text in (part.detail, str(part.last_error), read.detail):
        assert_plain(text, longest=1000)


@attacks
def test_a_device_cannot_call_itself_so(attack: str) -> None:
    assert_plain(PenInfo(name=hostile(attack)).name, longest=WORDS)


@attacks
def test_the_reason_of_a_broker_is_quoted(attack: str) -> None:
    properties = Properties(PacketTypes.CONNACK)  # type: ignore[no-untyped-call] # paho left it untyped
    if attack not in ("NUL", "lone surrogate"):  # no string of MQTT
        properties.ReasonString = hostile(attack) if attack != "long" else "A" * 60_000
    else:
        object.__setattr__(properties, "ReasonString", hostile(attack))
    said = connection._text(ReasonCode(PacketTypes.CONNACK, "Banned"), properties)
    assert_plain(said, longest=200)
    assert said.startswith("Banned: “")


class Asked:
    """The way in for requests, and what came of them."""

    def __init__(self) -> None:
        self.said: list[bytes] = []
        self.requests = Requests(
            topics=Topics("door"),
            allowed=("status",),
            handle=self._handle,
            publish=lambda _topic, payload, _correlation: self.said.append(payload),
            admission=Admission(max_age_s=30),
        )

    async def _handle(self, _verb: Verb, _request: Request) -> AsyncIterator[Response]:
        raise RequestError(code="busy", problem="no")
        yield


@attacks
@pytest.mark.parametrize("where", ["key", "user", "response topic", "verb"])
def test_a_request_forges_no_log_line(attack: str, where: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    asked, text = Asked(), hostile(attack)[:3500]
    payload = {"key": {text: 1}, "user": {"user": text}}.get(where, {"no": 1})
    asked.requests.receive(
        Incoming(
            topic=f"penlatch/door/request/{text if where == 'verb' else 'status'}",
            payload=json.dumps(payload).encode(),
            retained=False,
            response_topic=text if where == "response topic" else None,
        )
    )
    assert caplog.records
    for record in caplog.records:
        assert_plain(record.getMessage(), longest=400)
    for answer in asked.said:
        assert_plain(json.loads(answer)["error"], longest=400)


@attacks
def test_a_configuration_names_its_fault_plainly(attack: str, tmp_path: Path) -> None:
    text = hostile(attack)
    if attack != "lone surrogate":  # which no key of TOML holds
        with pytest.raises(ConfigError) as raised:
            config.parse({"mqtt": {"host": "h", text: 1}})
        assert_plain(str(raised.value), longest=1000)
    path = tmp_path / "penlatch.toml"
    path.write_text(f"a = {text}", encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ConfigError) as raised:
        config.load(path)
    assert_plain(str(raised.value), longest=1000)


@attacks
def test_systemd_is_given_one_assignment(attack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(Notifier, "_send", lambda _self, message: sent.append(message))
    Notifier({}).status(hostile(attack))
    assert_plain(sent[0])


@attacks
def test_what_the_doctor_finds_is_plain(attack: str) -> None:
    found = Finding.fail("pen", hostile(attack), remedy=hostile(attack))
    assert_plain(found.detail)
    assert_plain(found.remedy or "")


@attacks
def test_sentences_are_plain_whoever_is_named(attack: str) -> None:
    for event in (armed(user=hostile(attack)), decision(user=hostile(attack))):
        for text in (tell(event), log_line(event)):
            assert_plain(text)


def test_a_call_with_a_name_that_is_no_text_is_refused_before_it_is_sent() -> None:
    with pytest.raises(UnicodeEncodeError):
        Call(method="org.penlatch.Verify", parameters={"user": "\udc9b"}).to_bytes()
    assert Action.VERIFY.isprintable()
    assert FORGED
