"""Naming: nobody new gets a name that people take for another; who has one keeps it."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pytest

from penlatch.errors import NameTakenError, RequestError
from penlatch.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penlatch.store.vault import Vault

THEN = "2026-01-01T00:00:00.000Z"


def pen(store: Store, name: str) -> None:
    store.enroll(name, references=[b"r"], template=b"t", template_version="1", time=THEN)


def scan(store: Store, name: str) -> None:
    store.add_picture(name, b"p", time=THEN)


@pytest.mark.parametrize("first", [pen, scan])
@pytest.mark.parametrize("second", [pen, scan])
@pytest.mark.parametrize("name", ["Ada", "\u0430da", "ａｄａ", "ad\u0430"])  # noqa: RUF001 - full width is the point
def test_no_way_of_enrolling_gives_a_name_that_looks_like_another(
    store: Store, first: Callable[..., None], second: Callable[..., None], name: str
) -> None:
    first(store, "ada")
    with pytest.raises(NameTakenError, match="take it for ada") as caught:
        second(store, name)
    assert caught.value.code == "already_enrolled"
    assert "ada" not in caught.value.discreet.replace(name, "")
    assert store.names() == ["ada"]


def test_a_name_is_free_again_when_its_person_is_deleted(store: Store) -> None:
    pen(store, "ada")
    store.delete_user("ada")
    pen(store, "Ada")
    assert store.names() == ["Ada"]


def test_a_name_in_another_spelling_is_never_stored(store: Store) -> None:
    for way in (pen, scan):
        with pytest.raises(RequestError) as caught:
            way(store, unicodedata.normalize("NFD", "김"))
        assert caught.value.code == "bad_request"
    assert store.names() == []


def test_people_of_before_who_collide_keep_working(path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(path, vault)
    with monkeypatch.context() as patch:
        patch.setattr("penlatch.store.naming.check", lambda *_, **__: None)
        for name in ("ada", "Ada", unicodedata.normalize("NFD", "김")):
            pen(store, name)
        scan(store, "\u0430da")
    store.close()
    store = Store.open(path, vault)
    assert len(store.names()) == 4
    for name in ("ada", "Ada", unicodedata.normalize("NFD", "김")):
        store.change_references(name, add=[b"more"], template=b"t", template_version="1", time=THEN)
        assert store.references(name) == [b"r", b"more"]
    assert store.add_picture("\u0430da", b"p", time=THEN) == 2
    with pytest.raises(NameTakenError):
        pen(store, "ADA")
    store.close()
