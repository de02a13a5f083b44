"""`sudo penlatch store …` against whoever owns the folder of the database: nothing of root is changed or given away."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from penlatch.store.backup import back_up
from penlatch.store.store import Store
from penlatch.store.vault import Vault
from support.attacker import GID, UID, Watched, World, attacking, needs_root, world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = needs_root

THEN = "2026-03-01T08:00:00.000Z"
UNFORESEEN = re.compile(r"\d{8}T\d{6}\.\d{6}Z|\.[0-9a-f]{16}$")
"""In a name that nobody can plant beforehand: a time to the microsecond, a random number."""
BACKUP = "penlatch-20260301T031500.000000Z.db"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database that has one person, its key and a backup."""
    folder = tmp_path_factory.mktemp("template") / "penlatch"
    folder.mkdir()
    path = folder / "penlatch.db"
    vault = Vault.load(database=path, environment={})
    store = Store.open(path, vault)
    store.enroll("ada", references=[b"one"], template=b"t", template_version="m", time=THEN)
    store.close()
    made = back_up(path, folder / "backups", keep=3, vault=vault)
    made.rename(made.with_name(BACKUP))
    return folder


@pytest.fixture
def place(template: Path) -> Iterator[World]:
    with world(template) as made:
        yield made


def commands(place: World) -> dict[str, tuple[str, ...]]:
    """Every command that root runs on a database, in every form that takes another way through the files."""
    return {
        "backup": ("store", "backup"),
        "backup --to": ("store", "backup", "--to", str(place.base / "usb")),
        "audit": ("store", "audit"),
        "restore": ("store", "restore", str(place.folder / "backups" / BACKUP)),
        "rotate-key": ("store", "rotate-key", "--yes"),
        "rotate-key --to": ("store", "rotate-key", "--yes", "--to", str(place.base / "new.key")),
        "doctor": ("doctor",),
    }


NAMES = ("backup", "backup --to", "audit", "restore", "rotate-key", "rotate-key --to", "doctor")


@pytest.mark.parametrize("name", NAMES)
def test_the_command_does_its_work_and_leaves_everything_to_the_owner(place: World, name: str) -> None:
    (place.base / "usb").mkdir(mode=0o700)
    before = place.snapshot()
    ended = place.penlatch(*commands(place)[name])
    assert ended.status == 0 or name == "doctor", ended.output
    assert "Traceback" not in ended.output
    assert place.not_of_the_attacker() == []
    assert place.snapshot() == before


def make_pipe(place: World, path: Path) -> None:
    os.mkfifo(path)
    place.give(path)


PLANTS: dict[str, Callable[[World, Path], None]] = {
    "a link to a file of root": lambda place, path: path.symlink_to(place.secret),
    "a link to where nothing is yet": lambda place, path: path.symlink_to(place.roots / "new"),
    "a link to a folder of root": lambda place, path: path.symlink_to(place.roots / "folder"),
    "a second name of a file of root": lambda place, path: path.hardlink_to(place.secret),
    "a pipe": make_pipe,
}


@pytest.fixture(scope="module")
def foreseeable(template: Path) -> dict[str, set[str]]:
    """Return for each command the names in the attacker's folder that it opens or makes, if they can be planted before.

    The kernel reports them, so that no name is missing when the code changes.
    """
    found: dict[str, set[str]] = {}
    for name in NAMES:
        with world(template) as place:
            (place.base / "usb").mkdir(mode=0o700)
            watched = Watched(place.folder, place.folder / "backups")
            place.penlatch(*commands(place)[name])
            paths = {str(path.relative_to(place.folder)) for path in watched.paths()}
        found[name] = {path for path in paths if not UNFORESEEN.search(path.removesuffix(".draft"))}
        # What is looked for and not there is planted, too.
        found[name] |= {"penlatch.db-wal", "penlatch.db-journal", "store.key.next"}
    return found


def test_the_kernel_reports_every_name(foreseeable: dict[str, set[str]]) -> None:
    assert {"penlatch.db.restoring", "penlatch.db.restoring-lock", "penlatch.db-head.draft"} <= foreseeable["restore"]
    assert {"store.key.next", "store.key.next.draft", "penlatch.db-lock"} <= foreseeable["rotate-key"]
    assert {"penlatch.db", "store.key", "backups"} <= foreseeable["doctor"]
    assert "penlatch.db.copying" in foreseeable["backup --to"]


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("name", NAMES)
def test_whatever_is_planted_at_a_name_that_is_written_root_loses_nothing(
    template: Path, foreseeable: dict[str, set[str]], name: str, plant: str
) -> None:
    for planted in sorted(foreseeable[name]):
        with world(template) as place:
            (place.base / "usb").mkdir(mode=0o700)
            path = place.folder / planted
            if path.is_dir():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
            PLANTS[plant](place, path)
            before = place.snapshot()
            ended = place.penlatch(*commands(place)[name])
            assert place.snapshot() == before, (planted, ended.output)
            assert "Traceback" not in ended.output, (planted, ended.output)
            assert ended.status >= 0, f"it hangs: {planted}"
            assert b"secret" not in b"".join(p.read_bytes() for p in (place.base / "usb").iterdir())
            assert [path for path in place.not_of_the_attacker() if not Path(path).samefile(place.secret)] == []


@pytest.mark.parametrize("name", NAMES)
def test_folders_that_are_exchanged_meanwhile_mislead_nobody(place: World, name: str) -> None:
    backups, lure, aside = place.folder / "backups", place.folder / "lure", place.folder / "aside"
    lure.mkdir()
    # Whoever lists this folder and then goes through the names meets one of root by and by.
    for name_in_it in ["secret", "inner", *(f"{number:03}" for number in range(300))]:
        (lure / name_in_it).touch()
    place.give(lure)

    def exchange() -> None:
        for folder in (lure, backups):
            folder.rename(aside)
            for target in (place.roots, place.roots / "folder"):
                folder.symlink_to(target)
                folder.unlink()
            aside.rename(folder)

    (place.base / "usb").mkdir(mode=0o700)
    before = place.snapshot()
    with attacking(exchange):
        for _ in range(8):
            (place.base / "new.key").unlink(missing_ok=True)
            ended = place.penlatch(*commands(place)[name])
            assert "Traceback" not in ended.output
            assert place.snapshot() == before


@pytest.mark.parametrize("name", NAMES)
def test_files_that_become_links_as_soon_as_they_are_there_mislead_nobody(place: World, name: str) -> None:
    kept = {"penlatch.db", "store.key", BACKUP}

    def exchange() -> None:
        for folder in (place.folder, place.folder / "backups"):
            for entry in os.scandir(folder):
                if entry.name not in kept and entry.is_file(follow_symlinks=False):
                    Path(entry.path).unlink()
                    Path(entry.path).symlink_to(place.secret)

    (place.base / "usb").mkdir(mode=0o700)
    before = place.snapshot()
    with attacking(exchange):
        for _ in range(5):
            (place.base / "new.key").unlink(missing_ok=True)
            place.penlatch(*commands(place)[name])
            assert place.snapshot() == before


@pytest.mark.parametrize("name", NAMES)
def test_the_folder_itself_exchanged_for_one_of_root_misleads_nobody(template: Path, name: str) -> None:
    """The attacker owns the folder above, too: a path such as ~/penlatch/penlatch.db."""
    with world(template) as place:
        home = place.base / "home"
        home.mkdir(mode=0o755)
        place.folder.rename(home / "penlatch")
        place.folder = home / "penlatch"
        place.give(home)
        place.config.write_text(f"[store]\npath = '{place.database}'\n", encoding="utf-8")
        shutil.copytree(template, place.roots / "penlatch")
        aside = home / "aside"

        def exchange() -> None:
            place.folder.rename(aside)
            place.folder.symlink_to(place.roots / "penlatch")
            place.folder.unlink()
            aside.rename(place.folder)

        (place.base / "usb").mkdir(mode=0o700)
        before = place.snapshot()
        with attacking(exchange):
            for _ in range(8):
                (place.base / "new.key").unlink(missing_ok=True)
                place.penlatch(*commands(place)[name])
                assert place.snapshot() == before


def test_a_link_of_the_attacker_to_a_folder_of_root_is_not_followed(template: Path) -> None:
    with world(template) as place:
        shutil.copytree(template, place.roots / "penlatch")
        (place.folder / "link").symlink_to(place.roots / "penlatch")
        place.config.write_text(f"[store]\npath = '{place.folder}/link/penlatch.db'\n", encoding="utf-8")
        before = place.snapshot()
        ended = place.penlatch("store", "backup")
        assert ended.status == 3
        assert place.snapshot() == before


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o707])
def test_a_folder_to_which_others_write_is_refused_with_its_remedy(place: World, mode: int) -> None:
    place.folder.chmod(mode)
    ended = place.penlatch("store", "audit")
    assert ended.status == 3
    assert "chmod go-w" in ended.output


def test_a_path_that_two_users_can_change_is_refused(place: World) -> None:
    above = place.base / "above"
    above.mkdir(mode=0o755)
    os.chown(above, UID + 1, GID)
    place.folder.rename(above / "penlatch")
    place.folder = above / "penlatch"
    place.config.write_text(f"[store]\npath = '{place.database}'\n", encoding="utf-8")
    ended = place.penlatch("store", "audit")
    assert ended.status == 3
    assert f"several users can change where this path leads: {UID}, {UID + 1}" in ended.output


def test_a_link_of_root_to_the_folder_is_followed(place: World) -> None:
    (place.base / "var").symlink_to(place.folder)
    place.config.write_text(f"[store]\npath = '{place.base}/var/penlatch.db'\n", encoding="utf-8")
    ended = place.penlatch("store", "audit")
    assert ended.status == 0, ended.output
    assert place.not_of_the_attacker() == []


class TestPlacesOfRoot:
    """What only root may read or write is reached as root, and nothing else is."""

    def test_a_backup_goes_to_a_folder_of_root_and_belongs_to_root(self, place: World) -> None:
        for folder in (place.roots, place.roots / "made"):
            before = set(folder.iterdir()) if folder.exists() else set()
            ended = place.penlatch("store", "backup", "--to", str(folder))
            assert ended.status == 0, ended.output
            (made,) = {path for path in folder.iterdir() if path.is_file()} - before
            seen = made.stat()
            assert (seen.st_uid, seen.st_mode & 0o777) == (0, 0o600)
            assert str(made) in ended.output
        assert place.not_of_the_attacker() == []
        assert {path.name for path in place.folder.iterdir()} <= {
            *(f"penlatch.db{suffix}" for suffix in ("", "-head", "-lock", "-shm", "-wal")),
            "store.key",
            "backups",
        }

    def test_only_so_many_backups_stay_there(self, place: World) -> None:
        folder = place.base / "usb"
        for _ in range(5):
            assert place.penlatch("store", "backup", "--to", str(folder)).status == 0
        assert len(list(folder.iterdir())) == 3

    def test_a_backup_that_only_root_may_read_is_restored(self, place: World) -> None:
        kept = place.roots / BACKUP
        shutil.copy(place.folder / "backups" / BACKUP, kept)
        kept.chmod(0o600)
        ended = place.penlatch("store", "restore", str(kept))
        assert ended.status == 0, ended.output
        assert place.not_of_the_attacker() == []
        assert place.database.stat().st_mode & 0o777 == 0o600

    def test_a_link_of_the_attacker_to_a_file_of_root_is_no_backup(self, place: World) -> None:
        (place.folder / "mine.db").symlink_to(place.secret)
        ended = place.penlatch("store", "restore", str(place.folder / "mine.db"))
        assert ended.status == 3
        assert "symbolic link" in ended.output

    @pytest.mark.parametrize("name", NAMES)
    def test_a_key_in_a_folder_of_root_serves(self, place: World, name: str) -> None:
        key = place.base / "etc" / "store.key"
        key.parent.mkdir(mode=0o755)
        (place.folder / "store.key").rename(key)
        place.config.write_text(f"[store]\npath = '{place.database}'\nkey_file = '{key}'\n", encoding="utf-8")
        ended = place.penlatch(*commands(place)[name])
        assert ended.status == 0 or name == "doctor", ended.output
        assert place.not_of_the_attacker() == []
        seen = key.stat()
        assert (seen.st_uid, seen.st_gid, seen.st_mode & 0o777) == (UID, GID, 0o600)
        in_force = place.base / "new.key" if name == "rotate-key --to" else key
        Store.open(place.database, Vault.load(database=place.database, key_file=in_force)).close()
        assert {path.name for path in key.parent.iterdir()} == {"store.key"}

    def test_a_key_that_only_root_may_read_serves(self, place: World) -> None:
        key = place.roots / "store.key"
        (place.folder / "store.key").rename(key)
        os.chown(key, 0, 0)
        place.config.write_text(f"[store]\npath = '{place.database}'\nkey_file = '{key}'\n", encoding="utf-8")
        for arguments in (("store", "audit"), ("store", "backup"), ("store", "rotate-key", "--yes")):
            ended = place.penlatch(*arguments)
            assert ended.status == 0, ended.output
        assert key.stat().st_uid == 0

    def test_a_credential_of_systemd_serves_and_is_not_exchanged(self, place: World) -> None:
        credentials = place.base / "credentials"
        credentials.mkdir(mode=0o500)
        (place.folder / "store.key").rename(credentials / "penlatch.key")
        os.chown(credentials / "penlatch.key", 0, 0)

        def given() -> None:
            os.environ["CREDENTIALS_DIRECTORY"] = str(credentials)

        assert place.penlatch("store", "audit", before=given).status == 0
        ended = place.penlatch("store", "rotate-key", "--yes", before=given)
        assert ended.status == 3
        assert "rotate-key --to FILE" in ended.output
        ended = place.penlatch("store", "rotate-key", "--yes", "--to", str(place.roots / "new"), before=given)
        assert ended.status == 0, ended.output
        assert (place.roots / "new").stat().st_mode & 0o777 == 0o600


def test_the_bait_is_taken_where_root_does_the_work_itself(place: World) -> None:
    """The attack is a real one: root, writing by path into this folder, hits what the link leads to."""
    (place.folder / "bait").symlink_to(place.roots / "new")
    before = place.snapshot()
    (place.folder / "bait").write_bytes(b"written through")
    assert place.snapshot() != before


def test_the_daemon_does_not_run_as_root_in_the_folder_of_another_user(place: World) -> None:
    before = sorted(path.name for path in place.folder.iterdir())
    ended = place.penlatch("run")
    assert ended.status == 3
    assert f"sudo -u '#{UID}' penlatch run" in ended.output
    assert sorted(path.name for path in place.folder.iterdir()) == before
