"""What is kept: a finished part is not computed twice, and another setting's part is not taken for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from training.seeds.kept import Kept

if TYPE_CHECKING:
    from pathlib import Path


def test_a_finished_part_is_kept(tmp_path: Path) -> None:
    assert Kept("part", {"a": 1}, folder=tmp_path).result("U01", lambda: [1, 2.5]) == [1, 2.5]
    assert Kept("part", {"a": 1}, folder=tmp_path).result("U01", lambda: pytest.fail("again")) == [1, 2.5]


@pytest.mark.parametrize(
    ("what", "setting", "name"), [("part", {"a": 2}, "U01"), ("other", {"a": 1}, "U01"), ("part", {"a": 1}, "U02")]
)
def test_another_part_is_computed(tmp_path: Path, what: str, setting: dict[str, int], name: str) -> None:
    Kept("part", {"a": 1}, folder=tmp_path).result("U01", lambda: "old")
    assert Kept(what, setting, folder=tmp_path).result(name, lambda: "new") == "new"


def test_a_part_that_failed_is_not_kept(tmp_path: Path) -> None:
    kept = Kept("part", {}, folder=tmp_path)
    with pytest.raises(ZeroDivisionError):
        kept.result("U01", lambda: 1 / 0)
    assert kept.result("U01", lambda: 3) == 3
