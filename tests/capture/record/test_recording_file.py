"""The file of a recording: new, private, and in the folder that was named, whoever exchanges folders meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from penlatch.capture.record.file import RecordingFile
from penlatch.errors import PenError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "mine"
    path.mkdir()
    return path


def test_it_is_private_and_never_one_that_was_there(folder: Path, tmp_path: Path) -> None:
    with RecordingFile(folder / "pen.evemu") as file:
        file.write("E: 1\n")
    assert (folder / "pen.evemu").stat().st_mode & 0o777 == 0o600
    (folder / "link.evemu").symlink_to(tmp_path / "nowhere")
    for name in ("pen.evemu", "link.evemu"):
        with pytest.raises(PenError, match="there already"):
            RecordingFile(folder / name)
    assert not (tmp_path / "nowhere").exists()


def test_nothing_recorded_removes_it_from_the_folder_that_was_named(folder: Path, tmp_path: Path) -> None:
    """Whoever owns the folder above puts another one in its place, with a file of the same name."""
    with RecordingFile(folder / "pen.evemu") as file:
        folder.rename(tmp_path / "aside")
        folder.mkdir()
        (folder / "pen.evemu").write_text("another's", encoding="utf-8")
        file.discard()
    assert (folder / "pen.evemu").read_text(encoding="utf-8") == "another's"
    assert list((tmp_path / "aside").iterdir()) == []


def test_another_file_in_its_place_is_not_removed(folder: Path) -> None:
    with RecordingFile(folder / "pen.evemu") as file:
        (folder / "pen.evemu").unlink()
        (folder / "pen.evemu").write_text("another's", encoding="utf-8")
        file.discard()
    assert (folder / "pen.evemu").exists()
