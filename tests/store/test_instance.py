"""The instance: terminal, instance and number are unique for ever, whatever becomes of the database."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from penlatch.errors import StoreError
from penlatch.store.backup import back_up, restore
from penlatch.store.database import Database
from penlatch.store.store import Store
from penlatch.store.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penlatch.messages import Decision, DecisionDraft

    Draft = Callable[..., DecisionDraft]


def known(decision: Decision) -> tuple[str, str, int]:
    return decision.terminal, decision.instance, decision.seq


def test_it_is_random_lasts_and_stands_in_every_decision(path: Path, vault: Vault, draft: Draft) -> None:
    store = Store.open(path, vault)
    instance = store.instance
    assert re.fullmatch("[0-9a-f]{32}", instance)
    store.record(draft())
    store.close()
    again = Store.open(path, vault)
    assert (again.instance, again.record(draft()).instance) == (instance, instance)
    assert [made.decision.instance for made in again.pending(limit=9)] == [instance] * 2
    again.close()


@pytest.mark.parametrize("lost", ["card", "database"])
def test_no_number_is_given_twice_after_a_restore_or_a_new_beginning(tmp_path: Path, draft: Draft, lost: str) -> None:
    vault = Vault(bytes(range(32)))
    first = tmp_path / "first"
    first.mkdir()
    store = Store.open(first / "penlatch.db", vault)
    told = [store.record(draft())]
    backup = back_up(first / "penlatch.db", tmp_path / "backups", keep=7)
    told += [store.record(draft()) for _ in range(3)]  # the broker has them, the backup has not
    store.close()
    for again in ("restored", "begun anew", "restored once more"):
        folder = first if lost == "database" and again != "begun anew" else tmp_path / again
        folder.mkdir(exist_ok=True)
        if again != "begun anew":
            done = restore(backup, folder / "penlatch.db", vault)
        store = Store.open(folder / "penlatch.db", vault)
        if again != "begun anew":
            assert store.instance == done.instance
        told += [store.record(draft()) for _ in range(3)]
        store.check_audit()
        store.close()
    assert len({known(decision) for decision in told}) == len(told)
    assert len({decision.instance for decision in told}) == 4


def test_what_a_restored_database_still_has_keeps_its_own_instance(path: Path, vault: Vault, draft: Draft) -> None:
    store = Store.open(path, vault)
    before = store.record(draft())
    backup = back_up(path, path.parent / "backups", keep=7)
    store.close()
    restore(backup, path, vault)
    store = Store.open(path, vault)
    assert store.instance != before.instance
    assert [made.decision for made in store.pending(limit=9)] == [before], (
        "it goes out again as what it was, and a consumer knows it"
    )
    assert [d.seq for d in store.decisions_of(before.instance, 1, 99, limit=9)] == [before.seq]
    store.close()


def test_a_database_without_one_is_damaged(path: Path, vault: Vault) -> None:
    Store.open(path, vault).close()
    database = Database.open(path)
    with database.transaction() as connection:
        connection.execute("UPDATE meta SET value = 'x' WHERE name = 'instance'")
    database.close()
    with pytest.raises(StoreError, match=r"instance|rows of meta"):
        Store.open(path, vault)
