"""Signatures of before: sealed, bounded, bound to their place, and gone when their person is."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
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
    monkeypatch.setattr(signatures, "_PRUNE_EVERY", 1)
    monkeypatch.setattr(signatures, "most", lambda _: 4)
    for kind in ("refused", "matched", "refused", "matched"):
        known.record(draft(), seen=[seen(kind.encode(), kind=kind)], rule=RULE)
    assert courses(known) == [*ENROLLED, b"matched", b"matched"]
    monkeypatch.setattr(signatures, "most", lambda _: 1)
    known.record(draft(), seen=[seen(b"matched")], rule=RULE)
    assert courses(known) == [b"bob enrolled"]


def test_by_default_a_person_has_twenty_a_day_for_a_year_and_a_terminal_more_than_150_000() -> None:
    assert Replay().remember >= 20 * 365
    assert signatures.most(Replay()) > 150_000


def test_a_signature_takes_no_more_room_than_is_said(known: Store, path: Path) -> None:
    """A course is 2.7 kB and has 12 marks."""
    before = path.stat().st_size
    rng = np.random.default_rng(0)
    for _ in range(300):
        marks = tuple(int(mark) for mark in rng.integers(0, 2**63, 12))
        known.keep_signatures([replace(seen(rng.bytes(2700)), marks=marks)], Replay())
    known.close()
    assert (path.stat().st_size - before) / 300 < signatures.BYTES


def test_marks_outlive_a_person_and_no_number_is_given_twice(known: Store, path: Path) -> None:
    known.keep_signatures([replace(seen(b"signed"), marks=(5, 7))], RULE)
    (place,) = {signature for _, signature in known.marked([5, 7])}
    known.delete_user("ada")
    known.delete_user("bob")
    assert sorted(known.marked([5, 6, 7])) == [(5, place), (7, place)]
    known.keep_signatures([replace(seen(b"of nobody", None), marks=(5,))], RULE)
    assert known.signature_ids() == [place + 1]
    known.close()
    with sqlite3.connect(path) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(signature_marks)")]
    connection.close()
    assert columns == ["mark", "signature"], "neither a name nor a time"


def test_the_oldest_marks_go_beyond_their_bound(known: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for mark in (1, 2, 3):
        known.keep_signatures([replace(seen(b"signed"), marks=(mark,))], RULE)
    assert known.forget_marks(Replay()) == 0
    monkeypatch.setattr(signatures, "MARKED_BYTES", 100_000)
    assert known.forget_marks(Replay(megabytes=1)) == 1
    assert [mark for mark, _ in known.marked([1, 2, 3])] == [2, 3]


def test_the_key_of_marks_stays(known: Store) -> None:
    assert known.mark_key() == known.mark_key()
    assert len(known.mark_key()) == signatures.MARK_KEY_BYTES


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
