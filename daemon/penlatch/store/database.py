"""Database: one SQLite file, opened so that a commit survives a power cut and a fault is told with its remedy."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import stat
from typing import TYPE_CHECKING, Any, Protocol

from penlatch.decoding import UNREADABLE
from penlatch.errors import StoreError
from penlatch.store import schema, shape
from penlatch.store.files import Folder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

BUSY_TIMEOUT_MS = 5000
"""How long a statement waits for another process (a backup, a look into the file) to let go [ms]."""

_BEFORE_READING: Mapping[str, int] = {
    "trusted_schema": 0,  # a schema that was tampered with calls no function
    "cell_size_check": 1,  # a damaged page is found when it is read, not when it is believed
}
"""Pragmas that protect the first look into the file. They write nothing."""

PRAGMAS: Mapping[str, int | str] = {
    "busy_timeout": BUSY_TIMEOUT_MS,
    **_BEFORE_READING,
    "recursive_triggers": 1,  # a row that REPLACE takes out is counted by the ledger, too
    "secure_delete": 1,  # what is deleted is overwritten
    "foreign_keys": 1,
    "journal_mode": "wal",
    "synchronous": 2,  # FULL: in WAL mode, NORMAL may lose the last commits in a power cut
}
"""Set on every connection, in this order, and read back: none is left to how SQLite was built."""

_BACKUP = "restore it from a backup; penlatch leaves the file as it is"
_OWNED = "its folder must exist and belong to the user of the daemon"

_FAULTS: Mapping[int, tuple[str, str]] = {
    sqlite3.SQLITE_FULL: ("there is no room to write", "make room on its file system"),
    sqlite3.SQLITE_BUSY: ("another process holds it locked", "end that process"),
    sqlite3.SQLITE_LOCKED: ("another process holds it locked", "end that process"),
    sqlite3.SQLITE_READONLY: ("it cannot be written", "it and its folder must belong to the user of the daemon"),
    sqlite3.SQLITE_PERM: ("it cannot be opened", "it and its folder must belong to the user of the daemon"),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "it and its folder must belong to the user of the daemon"),
    sqlite3.SQLITE_IOERR: ("its disk fails to read or write", "see the kernel's log; replace the disk"),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", _BACKUP),
    # What is asked is always the same: a table or a column is missing that was there.
    sqlite3.SQLITE_ERROR: ("it is damaged", _BACKUP),
    sqlite3.SQLITE_NOTADB: ("it is not a database, or its head is damaged", _BACKUP),
}
"""What SQLite's primary result codes (sqlite.org/rescode.html) mean to a person, and what to do."""


class Follower(Protocol):
    """Something that sees every transaction: the ledger."""

    def watch(self, connection: sqlite3.Connection) -> None:
        """Prepare the connection, outside of any transaction."""

    def look(self, connection: sqlite3.Connection) -> None:
        """Look at what is about to be read; raise to refuse it."""

    def begin(self, connection: sqlite3.Connection) -> None:
        """Look at a transaction that just began; raise to refuse it."""

    def finish(self, connection: sqlite3.Connection) -> None:
        """Add to a transaction that is about to be committed."""

    def undo(self) -> None:
        """Take note that it was rolled back."""


class Database:
    """An open database, held by this process alone. It lives on the thread that opened it."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: int, *, writable: bool = True) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock
        self._writable = writable
        self._follower: Follower | None = None

    @classmethod
    def open(cls, path: Path, *, lock: int | None = None) -> Database:
        """Open the database at `path`, checked and with the present schema. It is made, mode 0600, where there is none.

        Args:
            path: of the SQLite file.
            lock: descriptor of `reserve`, where the caller holds the database longer than it is open.

        Raises:
            StoreError: if another penlatch has it open, if it cannot be opened or is damaged, or if it was written by
                another program or a later penlatch. The file is then as it was.
        """
        with contextlib.ExitStack() as undo:
            lock = reserve(path) if lock is None else os.dup(lock)
            undo.callback(os.close, lock)
            _make_private(path)
            with explained(path):
                check_plain(path)
                # Autocommit: a transaction begins where `transaction` says so and nowhere else.
                connection = sqlite3.connect(path, isolation_level=None)
                undo.callback(connection.close)
                pending = _look_over(connection, path)
                # From here on the file is known to be ours to write to.
                _set_pragmas(connection, path)
                schema.apply(connection, pending)
                connection.row_factory = sqlite3.Row
            undo.pop_all()
            return cls(path, connection, lock)

    @classmethod
    def look(cls, path: Path) -> Database:
        """Open the database at `path` to read it, also while a daemon has it.

        Raises:
            StoreError: if there is none, or it is not ours.
        """
        with explained(path), contextlib.ExitStack() as undo:
            check_plain(path)
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
            undo.callback(connection.close)
            if _look_over(connection, path):
                raise StoreError(path=path, problem="it is of an older release", remedy="start the daemon once")
            connection.row_factory = sqlite3.Row
            undo.pop_all()
        return cls(path, connection, os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), writable=False)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._lock < 0

    def close(self) -> None:
        """Close the file and let other processes have it. Safe to call twice."""
        if self._lock >= 0:
            self._connection.close()
            os.close(self._lock)
            self._lock = -1

    def follow(self, follower: Follower) -> None:
        """Have a follower see every transaction from here on.

        Raises:
            StoreError: if SQLite refuses what it prepares.
        """
        if self._writable:
            with explained(self.path):
                follower.watch(self._connection)
            self._follower = follower

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Read, inside, one state of the database, whatever another process writes meanwhile.

        Raises:
            StoreError: if SQLite refuses a query, or another process changed what is there.
        """
        with explained(self.path):
            self._connection.execute("BEGIN")
            try:
                if self._follower:
                    self._follower.look(self._connection)
                yield self._connection
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run what is inside as one transaction: all of it is on the disk afterwards, or, after an exception, none.

        Raises:
            StoreError: if SQLite refuses a statement or the commit, or another process changed what is there.
        """
        follower = self._follower
        with explained(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                if follower:
                    follower.begin(self._connection)
                yield self._connection
                if follower:
                    follower.finish(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                if follower:
                    follower.undo()
                # Some faults, a full disk among them, have rolled back already.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[sqlite3.Row]:
        """Return all rows of a query.

        Raises:
            StoreError: if SQLite cannot answer it, or another process changed what is there.
        """
        if self._follower and not self._connection.in_transaction:
            with self.snapshot() as connection:
                return connection.execute(sql, parameters).fetchall()
        return self._run(sql, parameters)

    def truncate_log(self) -> None:
        """Fold the write-ahead log into the file and cut it to nothing, so that it keeps nothing that was deleted.

        Where another process is just reading, the log is cut by a later call.

        Raises:
            StoreError: if the disk fails.
        """
        self._run("PRAGMA wal_checkpoint(TRUNCATE)")

    def vacuum(self) -> None:
        """Write the whole file anew, so that no page of it keeps what was deleted, and cut the log.

        Raises:
            StoreError: if the disk fails, or has no room for a second copy meanwhile; what was deleted is overwritten
                all the same (`secure_delete`).
        """
        self._run("VACUUM")
        self.truncate_log()

    def _run(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[sqlite3.Row]:
        with explained(self.path):
            return self._connection.execute(sql, parameters).fetchall()


def check_plain(path: Path) -> None:
    """Make sure that SQLite will find regular files or none: it would follow a link, and wait for a pipe.

    The files are looked at and not opened: closing one would drop SQLite's locks.

    Raises:
        OSError: if the database is not there (ENOENT); if it, or a file beside it, is a link or no regular file.
    """
    for name in (path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal"))):
        try:
            mode = name.lstat().st_mode
        except FileNotFoundError:
            if name is path:
                raise
            continue
        if stat.S_ISLNK(mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(name))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(name))


def damaged(path: Path, problem: str) -> StoreError:
    """Return the error for a file that SQLite can read and that holds what penlatch never wrote."""
    return StoreError(path=path, problem=f"it is damaged ({problem})", remedy=_BACKUP)


@contextlib.contextmanager
def understood(path: Path) -> Iterator[None]:
    """Turn what makes no sense, in values that were read from the database, into a `StoreError`."""
    try:
        yield
    except (*UNREADABLE, ValueError, TypeError, LookupError) as error:  # the last: a column has another name
        raise damaged(path, str(error)) from error


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an error of SQLite or of the file system into a `StoreError` that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        problem, remedy = _FAULTS.get(-1 if code is None else code & 0xFF, ("the database refuses", None))
        raise StoreError(path=path, problem=f"{problem} ({error})", remedy=remedy) from error
    except UnicodeDecodeError as error:  # SQLite repeats what it found, and that is not always text
        raise damaged(path, "a text in it is none") from error
    except OSError as error:
        problem, remedy = f"it cannot be opened: {error.strerror}", _OWNED
        if error.errno == errno.ELOOP:
            problem, remedy = "it is a symbolic link, and none is followed here", "put the file itself in its place"
        raise StoreError(path=path, problem=problem, remedy=remedy) from error


def reserve(path: Path) -> int:
    """Reserve the database for this process; return the descriptor that holds the lock.

    The lock is on a file of its own: closing a second descriptor of the database would drop SQLite's own locks
    (sqlite.org/howtocorrupt.html, section 2.2).
    """
    with explained(path), Folder.open(path.parent) as folder:
        lock = folder.open_file(f"{path.name}-lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise StoreError(
            path=path,
            problem="another penlatch is using it",
            remedy="stop that one first: systemctl stop penlatch",
            in_use=True,
        ) from error
    return lock


def _make_private(path: Path) -> None:
    """Make sure that the file is there and that its owner alone can read it; SQLite gives its log the same mode."""
    with explained(path), Folder.open(path.parent) as folder:
        descriptor = folder.open_file(path.name, os.O_RDWR | os.O_CREAT)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)


def _look_over(connection: sqlite3.Connection, path: Path) -> list[str]:
    """Refuse what is damaged, not ours or of another schema, without a write; return the migrations it lacks.

    Nothing that could fire a trigger or ask a view runs before its schema is known.
    """
    for name, value in _BEFORE_READING.items():
        connection.execute(f"PRAGMA {name} = {value}").fetchall()
    check_pages(connection, path)
    pending = schema.pending(connection, path=path)
    check_shape(connection, path, lacking=pending)
    return pending


def check_pages(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse damaged pages, and an index that does not hold exactly the rows of its table.

    An index that somebody made to fit no row hides rows from a query, or has others deleted. `quick_check` passes it.

    Raises:
        StoreError: if there is such a thing.
    """
    (verdict, *_), *_ = connection.execute("PRAGMA integrity_check(1)").fetchall()
    if verdict != "ok":
        raise StoreError(path=path, problem=f"it is damaged ({verdict})", remedy=_BACKUP)


def check_shape(connection: sqlite3.Connection, path: Path, *, lacking: Collection[str] = ()) -> None:
    """Refuse a schema that is not what the migrations make, without those that it is `lacking`.

    Raises:
        StoreError: if it is another.
    """
    shape.check(connection, [run for name, run in schema.MIGRATIONS.items() if name not in lacking], path=path)


def _set_pragmas(connection: sqlite3.Connection, path: Path) -> None:
    """Set every pragma of `PRAGMAS` and make sure that SQLite took it."""
    for name, value in PRAGMAS.items():
        connection.execute(f"PRAGMA {name} = {value}").fetchall()
        (taken,) = connection.execute(f"PRAGMA {name}").fetchone()
        if taken != value:
            raise StoreError(
                path=path,
                problem=f"SQLite cannot set {name} to {value} here, it stays {taken}",
                remedy="keep the database on a local file system",
            )
