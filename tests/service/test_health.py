"""Health beside the parts of the terminal: room, clock and certificate, and what was wrong with each part last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from penlatch.messages import Part
from penlatch.service import health
from support.certificates import Authority

if TYPE_CHECKING:
    from pathlib import Path


def test_a_part_that_is_well_again_still_says_what_was_wrong() -> None:
    book = health.ErrorBook()
    assert book.note("pen", Part(ok=True)).last_error is msgspec.UNSET
    assert book.note("pen", Part(ok=False, detail="unplugged")).last_error == "unplugged"
    told = book.note("pen", Part(ok=True, detail="Wacom"))
    assert (told.ok, told.detail, told.last_error) == (True, "Wacom", "unplugged")
    assert isinstance(told.last_error_time, str)
    assert book.note("broker", Part(ok=True)).last_error is msgspec.UNSET


def test_of_one_error_that_lasts_the_beginning_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    book = health.ErrorBook()
    times = iter(["first", "second"])
    monkeypatch.setattr("penlatch.clock.utc_now", lambda: next(times))
    assert book.note("pen", Part(ok=False, detail="away")).last_error_time == "first"
    assert book.note("pen", Part(ok=False, detail="away")).last_error_time == "first"
    assert book.note("pen", Part(ok=False, detail="grabbed")).last_error_time == "second"


def test_a_disk_without_room_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert health.disk(tmp_path).ok
    monkeypatch.setattr(health, "LEAST_ROOM_BYTES", 1 << 62)
    assert not health.disk(tmp_path).ok
    assert "No such file" in health.disk(tmp_path / "none").detail


def test_a_clock_from_before_this_release_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    assert health.time_of_day().ok
    monkeypatch.setattr(health, "RELEASED", datetime.now(UTC) + timedelta(days=1))
    assert "set it" in health.time_of_day().detail


def test_a_certificate_is_a_fault_before_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Authority(tmp_path).issue("door-1")
    monkeypatch.setattr(health, "CERTIFICATE_NOTICE", timedelta())
    told = health.certificate(pair.certificate)
    assert told.ok
    assert "it ends on " in told.detail
    monkeypatch.setattr(health, "CERTIFICATE_NOTICE", timedelta(days=36500))
    assert not health.certificate(pair.certificate).ok


@pytest.mark.parametrize("content", [b"", b"no certificate", bytes(range(156, 256))])
def test_what_is_no_certificate_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "door.pem"
    path.write_bytes(content)
    assert "cannot be read" in health.certificate(path).detail
    assert "cannot be read" in health.certificate(tmp_path / "none").detail


@pytest.mark.parametrize(("since", "told"), [(None, None), ("", None), ("2099-01-01T00:00:00.000Z", 0.0)])
def test_an_age_is_none_or_something(since: str | None, told: float | None) -> None:
    assert health.age_s(since) == told
    then = (datetime.now(UTC) - timedelta(seconds=90)).isoformat()
    assert health.age_s(then) == pytest.approx(90, abs=30)
