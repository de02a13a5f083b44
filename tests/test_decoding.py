"""What is nested deeper than Python lets anything be is refused by every reader, and never ends a program."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from penlatch.config import load
from penlatch.control.client import _decode
from penlatch.control.wire import Call
from penlatch.decoding import UNREADABLE
from penlatch.errors import ConfigError, ModelError, RequestError, StoreError, TraceError
from penlatch.ink import Trace
from penlatch.report.admission import Admission
from penlatch.report.delivery import Incoming
from penlatch.report.door import Door, NotOpeningError
from penlatch.report.requests import Requests
from penlatch.report.signing import Signer
from penlatch.report.topics import Topics
from penlatch.store import head
from penlatch.store.database import understood
from penlatch.verify.artefacts import MANIFEST, Artefacts
from penlatch.verify.calibrate import Calibration
from penlatch.verify.pair import read_head
from penlatch.verify.template import Template

if TYPE_CHECKING:
    from collections.abc import Callable

BRACKETS = b"[" * 1100
DEEP = b'{"no such field": ' + BRACKETS
DEEP_PACKED = b"\x81\xa1y" + b"\x91" * 1100
"""msgpack: a map with one key, whose value is an array in an array in an array."""
WHERE = Path("somewhere")


def manifest(folder: Path) -> Artefacts:
    (folder / MANIFEST).write_bytes(DEEP)
    return Artefacts.load(folder)


def kept_head(folder: Path) -> head.Kept | None:
    (folder / "head").write_bytes(DEEP)
    return head.read(folder / "head")


def configuration(folder: Path) -> object:
    (folder / "penlatch.toml").write_bytes(b"a = " + BRACKETS)
    return load(folder / "penlatch.toml")


def value_of_a_row(_: Path) -> object:
    with understood(WHERE):
        return msgspec.json.decode(BRACKETS)


def payload_at_a_door(_: Path) -> object:
    return Door("door-1", Signer(bytes(32)).jwk, "0f" * 16).opens_for(DEEP)


@pytest.mark.parametrize(
    ("read", "refusal"),
    [
        (lambda _: Trace.from_bytes(DEEP_PACKED), TraceError),
        (lambda _: Template.from_bytes(DEEP_PACKED), StoreError),
        (lambda _: Calibration.from_bytes(DEEP, path=WHERE), ModelError),
        (lambda _: read_head(DEEP, path=WHERE), ModelError),
        (lambda _: _decode(DEEP), RequestError),
        (lambda _: Call.from_bytes(DEEP), UNREADABLE),
        (manifest, ModelError),
        (kept_head, StoreError),
        (configuration, ConfigError),
        (value_of_a_row, StoreError),
        (payload_at_a_door, NotOpeningError),
    ],
)
def test_it_is_refused(tmp_path: Path, read: Callable[[Path], Any], refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        read(tmp_path)


async def test_a_request_of_it_is_answered_as_any_bad_one() -> None:
    answered: list[bytes] = []
    requests = Requests(
        topics=Topics("door-1"),
        allowed=("status",),
        handle=lambda *_: pytest.fail("nothing asks for anything"),
        publish=lambda _topic, payload, _properties: answered.append(payload),
        admission=Admission(max_age_s=30),
    )
    requests.receive(Incoming(topic="penlatch/door-1/request/status", payload=DEEP, retained=False))
    await asyncio.sleep(0)
    (answer,) = answered
    assert msgspec.json.decode(answer)["code"] == "bad_request"
