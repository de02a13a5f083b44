"""The stage: decisions told to people, within their terminal's width and their terminal's letters."""

from __future__ import annotations

import io
import os
import sys
from concurrent.futures import Future

import msgspec
import numpy as np
import pytest
from click import unstyle

from penlatch.messages import Reason, Verdict
from penlatch.sim.demo.stage import Stage
from penlatch.sim.writer import Writer
from support.examples import decision

TRACE = Writer(1).genuine(np.random.default_rng(1))
NO_MATCH = decision(7, verdict=Verdict.NO_MATCH, reason=Reason.SPEED, probability=0.1234, latency_ms=9.87)


def test_a_judgement_is_told_in_full() -> None:
    told = unstyle("\n".join(Stage().judged(NO_MATCH, [])))
    for part in ("NO MATCH", "0.1234 < threshold 0.50", "speed", "9.9 ms", "decision 7, attempt 1"):
        assert part in told


def test_a_retry_has_no_probability() -> None:
    retry = msgspec.structs.replace(
        NO_MATCH, verdict=Verdict.RETRY, reason=Reason.TOO_SHORT, probability=None, threshold=None, latency_ms=None
    )
    told = unstyle("\n".join(Stage().judged(retry, [])))
    assert "RETRY" in told
    assert "too_short" in told
    assert "P(genuine)" not in told


def test_what_is_wrong_is_said_beside_it() -> None:
    assert "WRONG: match was expected" in unstyle("\n".join(Stage().judged(NO_MATCH, ["match was expected"])))


@pytest.mark.parametrize("columns", [20, 60, 80, 100, 200])
def test_nothing_is_wider_than_the_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    stage = Stage()
    stage.written(TRACE, beside=stage.judged(NO_MATCH, []))
    lines = unstyle(capsys.readouterr().out).splitlines()
    inked = [line for line in lines if any(0x2800 <= ord(character) < 0x2900 for character in line)]
    assert inked
    assert max(map(len, inked)) <= columns
    if columns >= 60:
        assert max(map(len, lines)) <= columns


def test_a_terminal_without_braille_gets_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", errors="strict"))
    stage = Stage()
    stage.written(TRACE, beside=stage.judged(NO_MATCH, []))
    sys.stdout.flush()
    assert "*" in raw.getvalue().decode("ascii")


def test_elsewhere_than_on_a_terminal_nothing_is_animated(capsys: pytest.CaptureFixture[str]) -> None:
    done: Future[bool] = Future()
    done.set_result(True)
    Stage().writing(TRACE, done)
    assert capsys.readouterr().out == ""


def test_on_a_terminal_the_pen_is_seen_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    primary, secondary = os.openpty()
    with os.fdopen(secondary, "w", encoding="utf-8") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        done: Future[bool] = Future()
        done.set_result(True)
        Stage().writing(TRACE, done)
        terminal.flush()
        shown = b""
        while b"\033[J" not in shown:
            shown += os.read(primary, 65536)
    os.close(primary)
    assert shown.endswith(b"A\033[J")
