"""Signatures of before: sealed, bounded, bound to their place, and gone when their person is."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from penlatch.config import Replay
from penlatch.errors import StoreError
from penlatch.messages import Verdict
from penlatch.store import signatures
from penlatch.store.signatures import Seen
from penlatch.store.store import Store
from support.altering import alter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penlatch.messages import DecisionDraft
    from penlatch.store.signatures import Kind
    from penlatch.store.vault import Vault

THEN = "2025-03-01T08:00:00.000Z"
RULE = Replay(remember=2, strangers=1)


def seen(course: bytes, user: str | None = "ada", kind: Kind = "matched", version: int = 1) -> Seen:
    return Seen(user=user, kind=kind, course=course, version=version, time=THEN)


def courses(store: Store) -> list[bytes]:
    return [kept.course for kept in store.signatures(store.signature_ids())]


@pytest.fixture
def known(store: Store) -> Store:
    """A store in which ada and bob are enrolled, each with one reference that is remembered."""
    for name in ("ada", "bob"):
        store.enroll(
            name,
            references=[b"r"],
            template=b"t",
            template_version="1",
            time=THEN,
            seen=[seen(f"{name} enrolled".encode(), name, "enrolled")],
            rule=RULE,
        )
    return store


ENROLLED = [b"ada enrolled", b"bob enrolled"]


def test_a_decision_and_its_signature_are_kept_together_or_not_at_all(
    known: Store, draft: Callable[..., DecisionDraft], monkeypatch: pytest.MonkeyPatch
) -> None:
    known.record(draft(), seen=[seen(b"signed")], rule=RULE)
    assert courses(known) == [*ENROLLED, b"signed"]

    def fail(*_: object, **__: object) -> None:
        raise StoreError(path="penlatch.db", problem="no")

    with monkeypatch.context() as patch:
        patch.setattr(known._signatures, "add", fail)
        with pytest.raises(StoreError):
            known.record(draft(), seen=[seen(b"more")], rule=RULE)
    assert known.last_seq() == 1
    assert courses(known) == [*ENROLLED, b"signed"]


def test_without_a_rule_nothing_is_kept(known: Store, draft: Callable[..., DecisionDraft]) -> None:
    known.record(draft(), seen=[seen(b"signed")])
    assert courses(known) == ENROLLED


def test_of_each_person_and_kind_the_last_are_kept(known: Store, draft: Callable[..., DecisionDraft]) -> None:
    for number in range(4):
        for user in ("ada", "bob"):
            known.record(draft(user=user), seen=[seen(f"{user} {number}".encode(), user)], rule=RULE)
    known.record(draft(verdict=Verdict.NO_MATCH), seen=[seen(b"forged", kind="refused")], rule=RULE)
    assert courses(known) == [*ENROLLED, b"ada 2", b"bob 2", b"ada 3", b"bob 3", b"forged"]


def test_whoever_forges_often_makes_it_forget_no_match(known: Store, draft: Callable[..., DecisionDraft]) -> None:
    known.record(draft(), seen=[seen(b"matched")], rule=RULE)
    for number in range(10):
        known.record(draft(), seen=[seen(f"forged {number}".encode(), kind="refused")], rule=RULE)
    assert courses(known) == [*ENROLLED, b"matched", b"forged 8", b"forged 9"]


def test_of_strangers_the_last_are_kept(known: Store, draft: Callable[..., DecisionDraft]) -> None:
    for number in range(3):
        known.record(draft(user=None), seen=[seen(f"{number}".encode(), None, "refused")], rule=RULE)
    assert courses(known) == [*ENROLLED, b"2"]


def test_in_all_there_is_a_bound_and_what_was_enrolled_goes_last(
    known: Store, draft: Callable[..., DecisionDraft], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signatures, "MOST", 4)
    for kind in ("refused", "matched", "refused", "matched"):
        known.record(draft(), seen=[seen(kind.encode(), kind=kind)], rule=RULE)
    assert courses(known) == [*ENROLLED, b"matched", b"matched"]
    monkeypatch.setattr(signatures, "MOST", 1)
    known.record(draft(), seen=[seen(b"matched")], rule=RULE)
    assert courses(known) == [b"bob enrolled"]


def test_a_deleted_person_leaves_none(known: Store, draft: Callable[..., DecisionDraft], path: Path) -> None:
    known.record(draft(), seen=[seen(b"ada signed")], rule=RULE)
    with sqlite3.connect(path) as connection:
        sealed = [
            bytes(row[0]) for row in connection.execute("SELECT sealed FROM signatures_of_before WHERE user = 'ada'")
        ]
    connection.close()
    known.delete_user("ada")
    assert courses(known) == [b"bob enrolled"]
    stored = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    assert len(sealed) == 2
    assert not any(blob in stored for blob in sealed)


def test_what_was_signed_while_known_by_a_picture_is_remembered_after_the_enrolment(
    store: Store, draft: Callable[..., DecisionDraft]
) -> None:
    store.add_picture("ada", b"raster", time=THEN)
    store.record(draft(), seen=[seen(b"signed")], rule=RULE)
    store.enroll("ada", references=[b"r"], template=b"t", template_version="1", time="later")
    assert courses(store) == [b"signed"]
    assert store.count_pictures("ada") == 0
    assert [(user.name, user.enrolled) for user in store.users()] == [("ada", "later")]


def test_all_can_be_forgotten_or_all_of_another_version(known: Store) -> None:
    known.keep_signatures([seen(b"later", version=2)], RULE)
    assert known.forget_signatures(but_version=2) == 2
    assert courses(known) == [b"later"]
    assert known.forget_signatures() == 1
    assert courses(known) == []


def test_nothing_is_on_the_disk_in_plain(known: Store, path: Path) -> None:
    known.close()
    stored = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    assert b"ada enrolled" not in stored


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE signatures_of_before SET user = 'bob' WHERE user = 'ada'",
        "UPDATE signatures_of_before SET user = NULL WHERE user = 'ada'",
        "UPDATE signatures_of_before SET kind = 'refused' WHERE user = 'ada'",
        "UPDATE signatures_of_before SET id = 77 WHERE user = 'ada'",
        "UPDATE signatures_of_before SET time = 'then' WHERE user = 'ada'",
        "UPDATE signatures_of_before SET version = 7 WHERE user = 'ada'",
        "UPDATE signatures_of_before SET sealed = zeroblob(800) WHERE user = 'ada'",
    ],
)
def test_one_that_was_moved_or_altered_opens_nothing(known: Store, path: Path, vault: Vault, change: str) -> None:
    known.close()
    assert alter(path, change) == 1
    with pytest.raises(StoreError, match="rows of signatures_of_before are not as penlatch left them"):
        Store.open(path, vault)


def test_one_that_a_bad_disk_damaged_does_not_open(known: Store, path: Path, vault: Vault) -> None:
    known.close()
    assert alter(path, "UPDATE signatures_of_before SET sealed = spoiled(sealed) WHERE user = 'ada'") == 1
    store = Store.open(path, vault)
    with pytest.raises(StoreError, match="of before cannot be used") as refused:
        courses(store)
    assert refused.value.remedy
    assert "enabled" in refused.value.remedy
    store.close()
