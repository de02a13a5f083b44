"""The database file, byte by byte: it is refused, or everything in it can be asked for."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING
from unittest.mock import patch

from fuzzlib.target import FOLDER, Target, without_chance
from penlatch.config import Replay
from penlatch.errors import RequestError, StoreError
from penlatch.messages import (
    Action,
    DecisionDraft,
    Failures,
    OperatingPoint,
    Quality,
    Rate,
    Reason,
    Row,
    SiteCalibration,
    Stamp,
    Verdict,
    Way,
)
from penlatch.store.signatures import Seen
from penlatch.store.store import Store
from penlatch.store.vault import Vault

if TYPE_CHECKING:
    from pathlib import Path

_TIME = "2025-03-01T08:00:00.000Z"
_FAILURES = Failures(ways={Way.LOCAL: Row(count=1, last=Stamp(time=_TIME))})


def new_folder() -> Path:
    """Return an empty folder for a database and what SQLite puts beside it."""
    folder = FOLDER.path / "database"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


@cache
def made() -> bytes:
    """Return a database with something in most of its tables, the same every time."""
    path = new_folder() / "penlatch.db"
    with without_chance(), patch("penlatch.store.audit.utc_now", lambda: _TIME):
        store = Store.open(path, Vault(bytes(32)))
        _fill(store)
        store.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE _sqlite_migrations SET applied_at = ?", (_TIME,))
    return path.read_bytes()


def _fill(store: Store) -> None:
    store.enroll(
        "ada",
        references=[bytes(20), bytes(21)],
        template=bytes(30),
        template_version="m",
        time=_TIME,
        quality=Quality(complexity=0.5, consistency=0.5, outlier=None),
        seen=[Seen(user="ada", kind="enrolled", course=bytes(8), version=1, time=_TIME)],
        rule=Replay(),
    )
    store.add_picture("bob", bytes(9), time=_TIME)
    rate = Rate(errors=1, trials=100, rate=0.01, low=0.0, high=0.05)
    store.keep_calibration(
        SiteCalibration(
            time=_TIME,
            models="m",
            people=9,
            references=45,
            target_fmr=0.01,
            smallest_fmr=0.01,
            proposed=None,
            current=OperatingPoint(threshold=0.5, fmr=rate, pairs=rate, fnmr=rate),
            curve=(),
            applied=False,
            notes=(),
        )
    )
    for verdict in (Verdict.MATCH, Verdict.NO_MATCH):
        draft = DecisionDraft(
            terminal="door-1",
            time=_TIME,
            action=Action.VERIFY,
            user="ada",
            verdict=verdict,
            done=True,
            reason=Reason.AGREES,
            probability=0.9,
            threshold=0.5,
        )
        store.record(draft, failures={"ada": _FAILURES})


def ask(path: Path) -> None:
    """Open a database as the daemon does, and ask for everything in it."""
    store = Store.open(path, Vault(bytes(32)))
    try:
        store.users()
        store.templates()
        store.lockouts()
        store.history("ada")
        store.references("ada")
        store.pictures("bob")
        store.calibration()
        store.signatures(store.signature_ids())
        store.decisions(limit=10)
        store.pending(limit=10)
        store.oldest_pending()
        store.dropped()
        store.signing_key()
        store.check_audit()
        store.heartbeat()
    finally:
        store.close()


def _feed(data: bytes) -> None:
    path = new_folder() / "penlatch.db"
    path.write_bytes(data)
    ask(path)


# Somebody may have another name by then.
TARGET = Target("the database file", _feed, lambda: [made()], (StoreError, RequestError), slow=True)
