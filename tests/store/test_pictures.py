"""Pictures: sealed like references, replaced by these, forgotten with their person."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from penlatch.errors import RequestError, StoreError
from penlatch.messages import MOST_PICTURES
from support.altering import alter_from_within

if TYPE_CHECKING:
    from pathlib import Path

    from penlatch.store.store import Store

THEN = "2025-03-01T08:00:00.000Z"
LATER = "2025-03-02T08:00:00.000Z"


def enroll_with_a_pen(store: Store, name: str) -> None:
    store.enroll(name, references=[b"one", b"two"], template=b"template", template_version="models-1", time=LATER)


def on_disk(path: Path) -> bytes:
    """Everything the database and its log hold at this moment."""
    return b"".join(p.read_bytes() for p in sorted(path.parent.glob(f"{path.name}*")))


def test_a_picture_comes_back_as_it_was_given(store: Store) -> None:
    assert [store.add_picture("ada", picture, time=THEN) for picture in (b"one", b"two")] == [1, 2]
    assert store.pictures("ada") == [b"one", b"two"]
    assert store.count_pictures("ada") == 2
    assert store.count_pictures("grace") == 0


def test_whoever_is_known_by_a_picture_is_listed(store: Store) -> None:
    store.add_picture("ada", b"one", time=THEN)
    (ada,) = store.users()
    assert (ada.name, ada.pictures, ada.references, ada.template_version) == ("ada", 1, 0, "")


def test_a_picture_is_sealed_on_the_disk(store: Store, path: Path) -> None:
    store.add_picture("ada", b"a picture that anybody could read", time=THEN)
    assert b"a picture that anybody could read" not in on_disk(path)


@pytest.mark.parametrize("sql", ["UPDATE pictures SET position = 7", "UPDATE pictures SET user = 'eve'"])
def test_a_picture_opens_for_no_other_person_and_in_no_other_place(store: Store, sql: str) -> None:
    store.add_picture("ada", b"one", time=THEN)
    enroll_with_a_pen(store, "eve")
    assert alter_from_within(store, sql) == 1
    name = "eve" if "eve" in sql else "ada"
    with pytest.raises(StoreError, match=f"delete {name}"):
        store.pictures(name)


def test_references_of_a_pen_replace_pictures(store: Store) -> None:
    store.add_picture("ada", b"one", time=THEN)
    enroll_with_a_pen(store, "ada")
    assert store.pictures("ada") == []
    (ada,) = store.users()
    assert (ada.pictures, ada.references) == (0, 2)


def test_whoever_gave_references_gets_no_picture(store: Store) -> None:
    enroll_with_a_pen(store, "ada")
    with pytest.raises(RequestError) as refused:
        store.add_picture("ada", b"one", time=THEN)
    assert refused.value.code == "already_enrolled"


def test_there_is_room_for_so_many(store: Store) -> None:
    for _ in range(MOST_PICTURES):
        store.add_picture("ada", b"one", time=THEN)
    with pytest.raises(RequestError) as refused:
        store.add_picture("ada", b"one", time=LATER)
    assert refused.value.code == "bad_request"
    assert store.count_pictures("ada") == MOST_PICTURES


@pytest.mark.parametrize("name", ["", "a|b", "x" * 200])
def test_an_impossible_name_is_refused(store: Store, name: str) -> None:
    with pytest.raises(RequestError) as refused:
        store.add_picture(name, b"one", time=THEN)
    assert refused.value.code == "bad_request"
    assert store.users() == []


def test_pictures_go_with_their_person(store: Store) -> None:
    store.add_picture("ada", b"one", time=THEN)
    store.delete_user("ada")
    assert store.count_pictures("ada") == 0
    assert store.users() == []
