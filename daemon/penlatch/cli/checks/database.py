"""The database and its key: as the running daemon tells, else by a look that changes nothing."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote

from penlatch.cli.checks.finding import Finding
from penlatch.cli.todays_key import load_key
from penlatch.errors import StoreError
from penlatch.store import deputy, owners, schema
from penlatch.store.database import check_plain, check_shape, explained

if TYPE_CHECKING:
    from pathlib import Path

    from penlatch.config import Store
    from penlatch.messages import Health

OWNER = "it and its folder must belong to the user of the daemon, penlatch"


def usable(config: Store, health: Health | None) -> Finding:
    """Judge the database."""
    if health is not None:
        return Finding.told("database", health.store, remedy="the daemon's journal says more: journalctl -u penlatch")
    path = config.path
    try:
        if not path.exists():
            return _first_start(path)
        owner = owners.of_database(path)
        found = deputy.run(owner, lambda: _examined(path), str)
        load_key(config, owner)
    except StoreError as error:
        return Finding.fail("database", f"{error.path}: {error.problem}", remedy=error.remedy or OWNER)
    except OSError as error:
        return Finding.fail("database", f"{path}: {error.strerror}", remedy=OWNER)
    return Finding.ok("database", f"{path}: {found}")


def _examined(path: Path) -> str:
    with explained(path):
        return _look(path)


def _first_start(path: Path) -> Finding:
    folder = path.parent
    if not folder.is_dir():
        return Finding.fail("database", f"{folder} does not exist", remedy=f"install -d -m 700 -o penlatch {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        remedy = "ask as the daemon's user: sudo -u penlatch penlatch doctor"
        return Finding.warn("database", f"you may not write to {folder}", remedy=remedy)
    return Finding.ok("database", f"{path} will be made at the first start")


def _look(path: Path) -> str:
    """Check every page without writing one, and count what is there."""
    # A file without a write-ahead log is complete in itself; `immutable` spares it the files that reading a log makes.
    check_plain(path)
    log = path.with_name(f"{path.name}-wal")
    how = "mode=ro" if log.exists() else "mode=ro&immutable=1"
    with closing(sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True)) as connection:
        (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise StoreError(path=path, problem=f"it is damaged ({verdict})", remedy="restore it from a backup")
        pending = schema.pending(connection, path=path)
        check_shape(connection, path, lacking=pending)
        if pending:
            return "will be brought to the present schema at the next start"
        (users,) = connection.execute("SELECT count(*) FROM users").fetchone()
        (waiting,) = connection.execute("SELECT count(*) FROM outbox").fetchone()
    return f"{users} enrolled, {waiting} decisions not yet delivered"
