"""`penlatch store`: what an operator types to keep, to bring back, to check and to seal anew."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from penlatch.cli import main
from penlatch.store.store import Store as OpenStore
from penlatch.store.vault import Vault
from support.altering import alter


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "penlatch.db"
    OpenStore.open(path, Vault.load(database=path, environment={})).close()
    return path


@pytest.fixture
def config(tmp_path: Path, database: Path) -> Path:
    path = tmp_path / "penlatch.toml"
    path.write_text(f"[store]\npath = '{database}'\n[backup]\nkeep = 2\n")
    return path


def store(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["store", *arguments, "--config", str(config)])


def test_a_backup_is_named_and_can_be_restored(config: Path, database: Path) -> None:
    made = store(config, "backup")
    assert made.exit_code == 0, made.output
    file = made.stdout.strip()
    assert file.startswith(str(database.parent / "backups" / "penlatch-"))
    back = store(config, "restore", file)
    assert back.exit_code == 0, back.output
    assert "restored to decision 0; the next one is 1" in back.output
    assert "delete it when it is of no more use" in back.output
    OpenStore.open(database, Vault.load(database=database, environment={})).close()


def test_the_audit_is_checked_under_a_running_daemon(config: Path, database: Path) -> None:
    running = OpenStore.open(database, Vault.load(database=database, environment={}))
    told = store(config, "audit")
    running.close()
    assert told.exit_code == 0, told.output
    assert told.stdout.startswith("2 entries, none altered or missing")


def test_a_broken_audit_is_status_1_and_says_where(config: Path, database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE audit SET time = '' WHERE number = 1")
    connection.close()
    told = store(config, "audit")
    assert told.exit_code != 0
    assert "entry 1 " in told.output


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("INSERT INTO lockouts (subject, count, last) VALUES ('ada', 0, '')", "rows of lockouts"),
        ("DELETE FROM meta WHERE name = 'ledger'", "ledger was taken out"),
        ("CREATE TRIGGER t AFTER INSERT ON lockouts BEGIN SELECT 1; END", "somebody added the trigger"),
    ],
)
def test_rows_that_somebody_wrote_are_status_1_also_under_a_running_daemon(
    config: Path, database: Path, change: str, problem: str
) -> None:
    running = OpenStore.open(database, Vault.load(database=database, environment={}))
    alter(database, change)
    told = store(config, "audit")
    running.close()
    assert told.exit_code != 0
    assert problem in told.output


def test_a_new_key_opens_what_the_old_one_sealed(config: Path, database: Path) -> None:
    key = database.with_name("store.key")
    old = key.read_bytes()
    told = store(config, "rotate-key", "--yes")
    assert told.exit_code == 0, told.output
    assert key.read_bytes() != old
    assert key.stat().st_mode & 0o777 == 0o600
    OpenStore.open(database, Vault.load(database=database, environment={})).close()


def test_a_new_key_may_go_to_a_file_that_is_not_there_yet(config: Path, database: Path, tmp_path: Path) -> None:
    place = tmp_path / "new.key"
    assert store(config, "rotate-key", "--yes", "--to", str(place)).exit_code == 0
    OpenStore.open(database, Vault.load(database=database, key_file=place)).close()
    again = store(config, "rotate-key", "--yes", "--to", str(place))
    assert again.exit_code != 0
    assert "it is there already" in again.output


@pytest.mark.parametrize("arguments", [("rotate-key", "--yes"), ("restore", "FILE")])
def test_under_a_running_daemon_nothing_is_exchanged(config: Path, database: Path, arguments: tuple[str, ...]) -> None:
    file = store(config, "backup").stdout.strip()
    running = OpenStore.open(database, Vault.load(database=database, environment={}))
    told = store(config, *(file if argument == "FILE" else argument for argument in arguments))
    running.close()
    assert told.exit_code != 0
    assert "another penlatch is using it" in told.output


def test_a_backup_that_todays_key_does_not_open_is_an_error(config: Path, database: Path) -> None:
    database.with_name("store.key").write_bytes(bytes(32))
    told = store(config, "backup")
    assert told.exit_code == 3
    assert "another key than today's" in told.output
    assert list((database.parent / "backups").iterdir()) == []


def test_without_the_key_a_backup_is_made_and_not_called_checked(config: Path, database: Path) -> None:
    database.with_name("store.key").unlink()
    told = store(config, "backup")
    assert told.exit_code == 3
    assert "this backup was not checked with the key" in told.stderr
    assert Path(told.stdout.strip()).exists()
    assert not database.with_name("store.key").exists()


def test_no_command_makes_a_key(config: Path, database: Path) -> None:
    file = store(config, "backup").stdout.strip()
    for path in (*database.parent.glob("penlatch.db*"), database.with_name("store.key")):
        path.unlink()
    for arguments in (("audit",), ("restore", file), ("rotate-key", "--yes")):
        told = store(config, *arguments)
        assert told.exit_code == 3, told.output
        assert not database.with_name("store.key").exists()


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("audit", "penlatch.db"),
        ("audit", "store.key"),
        *(("rotate-key", name) for name in ("penlatch.db", "store.key", "penlatch.db-lock")),
    ],
)
def test_a_link_is_followed_nowhere_in_the_folder(config: Path, database: Path, name: str, command: str) -> None:
    path = database.with_name(name)
    if not path.exists():
        path.touch()
    target = path.rename(database.parent / "elsewhere")
    path.symlink_to(target)
    before = target.read_bytes()
    told = store(config, command, *(["--yes"] if command == "rotate-key" else []))
    assert told.exit_code == 3, told.output
    assert "ymbolic link" in told.output
    assert "Traceback" not in told.output
    assert target.read_bytes() == before
