"""Agreement: models made again are told from the shipped ones, and judged by what they make of people."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from penlatch.verify.artefacts import NETWORK, default_directory
from penlatch.verify.verifier import Verifier
from training import agreement
from training.agreement import compare, judge

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "PEOPLE", 2)
    monkeypatch.setattr(agreement, "QUERIES", 2)


def test_the_same_models_are_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(default_directory(), default_directory())
    told = capsys.readouterr().out
    assert told.count(": the same;") == 2
    assert "0.0000 apart" in told


def test_models_that_judge_otherwise_do_not_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter([judge(Verifier.load()), tuple(1.0 - side for side in judge(Verifier.load()))])
    monkeypatch.setattr(agreement, "judge", lambda _: next(found))
    assert not compare(default_directory(), default_directory())


def test_a_file_of_other_bytes_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(default_directory(), tmp_path / "made", ignore=shutil.ignore_patterns("training", "folds"))
    (tmp_path / "made" / NETWORK).write_bytes(b"another")
    same = judge(Verifier.load())
    monkeypatch.setattr(agreement, "judge", lambda _: same)
    monkeypatch.setattr(Verifier, "load", lambda _: None)
    assert compare(tmp_path / "made", default_directory())
    assert f"{NETWORK}: another;" in capsys.readouterr().out
