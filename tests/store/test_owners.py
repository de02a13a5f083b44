"""Owners: with whose rights root touches a place, and that these are all that is left then."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from penlatch.errors import StoreError
from penlatch.store import deputy, owners
from penlatch.store.owners import Owner
from support.attacker import GID, UID, needs_root

if TYPE_CHECKING:
    from collections.abc import Iterator

SOMEBODY = Owner(UID, GID)


@pytest.fixture
def base() -> Iterator[Path]:
    """Return a folder that other users can enter, as those of pytest are not."""
    path = Path(tempfile.mkdtemp(prefix="penlatch-owners-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def folder_of(path: Path, uid: int = UID, mode: int = 0o755) -> Path:
    path.mkdir()
    path.chmod(mode)
    os.chown(path, uid, GID if uid else 0)
    return path


def uid_for(database: Path) -> int:
    found = owners.of_database(database)
    assert found is not None
    return found.uid


def rights() -> list[Any]:
    status = dict(line.split(":\t") for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    try:
        os.seteuid(0)
    except PermissionError:
        back = False
    else:
        back = True
    return [
        *os.getresuid(),
        *os.getresgid(),
        os.getgroups(),
        int(status["CapPrm"], 16),
        int(status["CapEff"], 16),
        back,
    ]


@needs_root
def test_nothing_of_root_is_left_after_the_drop() -> None:
    groups = os.getgroups()
    os.setgroups([0, 4])
    try:
        assert deputy.run(SOMEBODY, rights, list) == [UID] * 3 + [GID] * 3 + [[], 0, 0, False]
    finally:
        os.setgroups(groups)


@needs_root
def test_acting_ends_with_all_rights_given_back(base: Path) -> None:
    before = (os.getresuid(), os.getresgid(), os.getgroups())
    theirs = folder_of(base / "theirs")
    with owners.acting(SOMEBODY):
        assert os.geteuid() == UID
        (theirs / "made").touch()
        with pytest.raises(PermissionError):
            (base / "made").touch()
    assert (theirs / "made").stat().st_uid == UID
    assert (os.getresuid(), os.getresgid(), os.getgroups()) == before


def test_who_is_not_root_keeps_the_own_rights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(owners, "is_root", lambda: False)
    assert owners.of_database(tmp_path / "absent" / "penlatch.db") is None
    assert deputy.run(None, os.getpid, int) == os.getpid()


@needs_root
class TestWalk:
    """Whoever could have changed a path is found."""

    def test_the_owner_of_the_folder_owns_the_database(self, base: Path) -> None:
        assert owners.of_database(folder_of(base / "a") / "penlatch.db") == SOMEBODY
        assert owners.of_database(folder_of(base / "b", uid=0) / "penlatch.db") == owners.ROOT

    def test_in_a_folder_of_root_the_owner_of_the_file_counts(self, base: Path) -> None:
        (base / "penlatch.db").touch()
        os.chown(base / "penlatch.db", UID, GID)
        assert owners.of_database(base / "penlatch.db") == SOMEBODY

    def test_a_user_above_counts_as_well(self, base: Path) -> None:
        inner = folder_of(folder_of(base / "home") / "inner", uid=0)
        assert uid_for(inner / "penlatch.db") == UID

    def test_a_link_in_a_folder_of_the_user_counts_as_the_users(self, base: Path) -> None:
        link = folder_of(base / "home") / "link"
        link.symlink_to(folder_of(base / "roots", uid=0))
        assert uid_for(link / "penlatch.db") == UID

    def test_in_a_folder_for_everybody_the_owner_of_the_entry_counts(self, base: Path) -> None:
        link = folder_of(base / "tmp", uid=0, mode=0o1777) / "link"
        link.symlink_to(folder_of(base / "roots", uid=0))
        os.chown(link, UID, GID, follow_symlinks=False)
        assert uid_for(link / "penlatch.db") == UID

    @pytest.mark.parametrize("path", ["a/../a", "./a", "link", "link/../a", "circle"])
    def test_every_way_to_write_a_path_is_walked(self, base: Path, path: str) -> None:
        folder_of(base / "a")
        (base / "link").symlink_to("a")
        (base / "circle").symlink_to("circle")
        if path == "circle":
            with pytest.raises(StoreError, match="symbolic link"):
                owners.of_database(base / path / "penlatch.db")
        else:
            assert owners.of_database(base / path / "penlatch.db") == SOMEBODY

    @pytest.mark.parametrize("mode", [0o777, 0o775])
    def test_a_folder_that_others_change_is_refused(self, base: Path, mode: int) -> None:
        inner = folder_of(folder_of(base / "open", mode=mode) / "inner")
        with pytest.raises(StoreError, match="others than its owner") as caught:
            owners.of_database(inner / "penlatch.db")
        assert caught.value.remedy is not None

    def test_a_group_of_a_user_without_one_is_never_that_of_root(self, base: Path) -> None:
        folder = folder_of(base / "a")
        os.chown(folder, UID, 0)
        found = owners.of_database(folder / "penlatch.db")
        assert found is not None
        assert found.gid != 0


@needs_root
class TestDeputy:
    """A child with the rights of one user, whose answer is believed no more than its shape."""

    def test_an_error_comes_over_with_all_its_fields(self) -> None:
        def fail() -> None:
            raise StoreError(path="/x", problem="no", remedy="do", in_use=True)

        with pytest.raises(StoreError) as caught:
            deputy.run(SOMEBODY, fail, None)
        error = caught.value
        assert (error.path, error.problem, error.remedy, error.in_use) == ("/x", "no", "do", True)

    @pytest.mark.parametrize("answer", [{"a": 1}, "text", None, [1]])
    def test_an_answer_of_another_shape_is_an_error(self, answer: object) -> None:
        with pytest.raises(StoreError, match="without an answer"):
            deputy.run(SOMEBODY, lambda: answer, int)

    def test_a_child_that_dies_is_an_error(self) -> None:
        with pytest.raises(StoreError, match="status 7"):
            deputy.run(SOMEBODY, lambda: os._exit(7), int)

    def test_where_the_rights_cannot_be_taken_nothing_is_done(
        self, monkeypatch: pytest.MonkeyPatch, base: Path
    ) -> None:
        def refuse(*_: int) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "setresuid", refuse)
        with pytest.raises(StoreError, match="its rights cannot be taken"):
            deputy.run(SOMEBODY, (base / "made").touch, None)
        assert not (base / "made").exists()
