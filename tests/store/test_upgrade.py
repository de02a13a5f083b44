"""Upgrades: a database of the first release opens in this one, with everything that was in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from penlatch.messages import Failures, Reason, Row, Sitting, Stamp, Way
from penlatch.store import schema
from penlatch.store.database import Database
from penlatch.store.people import Held
from penlatch.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penlatch.messages import DecisionDraft
    from penlatch.store.vault import Vault

THEN = "2025-03-01T08:00:00.000Z"


@pytest.fixture
def old(path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database as the first release made it: ada with three references, one decision, still in the outbox."""
    with monkeypatch.context() as patch:
        first = dict(list(schema.MIGRATIONS.items())[:1])
        patch.setattr(schema, "MIGRATIONS", first)
        Database.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO meta VALUES ('key-check', ?)", (seal(vault, b"penlatch", "|key-check|0|1"),))
        connection.execute("INSERT INTO users (name, enrolled) VALUES ('ada', ?)", (THEN,))
        for position in range(3):
            sealed = seal(vault, f"ada {position}".encode(), f"ada|reference|{position}|1")
            connection.execute('INSERT INTO "references" VALUES (?, ?, ?)', ("ada", position, sealed))
        template = seal(vault, b"template", "ada|template|0|models-1")
        connection.execute("INSERT INTO templates VALUES ('ada', 'models-1', ?)", (template,))
        connection.execute(
            """INSERT INTO decisions (seq, boot, terminal, time, action, user, verdict, done, reason, attempt)
            VALUES (1, 1, 'door-1', ?, 'verify', 'ada', 'no_match', 1, 'speed', 1)""",
            (THEN,),
        )
        connection.execute("INSERT INTO outbox VALUES (1)")
        connection.execute("UPDATE meta SET value = 1 WHERE name = 'seq'")
    connection.close()
    return path


def seal(vault: Vault, plain: bytes, context: str) -> bytes:
    return vault.seal(plain, context=context)


def test_references_of_the_first_release_are_originals_of_their_enrolment(old: Path, vault: Vault) -> None:
    store = Store.open(old, vault)
    assert store.references("ada") == [b"ada 0", b"ada 1", b"ada 2"]
    history = store.history("ada")
    assert history.changed == THEN
    assert history.held == tuple(Held(position, THEN, adapted=False) for position in range(3))
    (ada,) = store.users()
    assert ada.sittings == (Sitting(time=THEN, origin="enrolled", references=3),)
    assert (ada.template_version, ada.quality) == ("models-1", None)
    assert store.templates()["ada"].data == b"template"
    store.close()


def test_decisions_of_the_first_release_wait_on_and_have_no_list_of_reasons(old: Path, vault: Vault) -> None:
    store = Store.open(old, vault)
    (made,) = store.pending(limit=10)
    waiting = made.decision
    assert (waiting.seq, waiting.reason, waiting.reasons) == (1, Reason.SPEED, ())
    assert store.failures("ada", before=2) == 1
    store.close()


def test_after_the_upgrade_more_can_be_added(old: Path, vault: Vault, draft: Callable[..., DecisionDraft]) -> None:
    store = Store.open(old, vault)
    store.change_references("ada", add=[b"new"], adapted=True, template=b"t", template_version="2", time="later")
    assert store.references("ada") == [b"ada 0", b"ada 1", b"ada 2", b"new"]
    assert store.record(draft()).seq == 2
    assert store.calibration() is None
    store.close()


def test_the_first_release_leaves_the_upgraded_file_alone(
    old: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store.open(old, vault).close()
    monkeypatch.setattr(schema, "MIGRATIONS", dict(list(schema.MIGRATIONS.items())[:1]))
    with pytest.raises(Exception, match="later penlatch"):
        Store.open(old, vault)


@pytest.mark.parametrize("subject", ["ada", ""])
def test_failures_of_before_hold_in_every_way(
    path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch, subject: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", dict(list(schema.MIGRATIONS.items())[:5]))
        Database.open(path).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO lockouts (subject, count, last) VALUES (?, 7, ?)", (subject, "2026-03-01"))
        connection.execute("INSERT INTO lockouts (subject, count, last) VALUES ('bob', 0, '2026-03-01')")
    store = Store.open(path, vault)
    row = Row(count=7, last=Stamp(time="2026-03-01"))
    ways = list(Way) if subject else [Way.IDENTIFY]
    assert store.lockouts() == {subject: Failures(ways=dict.fromkeys(ways, row))}
    store.close()
