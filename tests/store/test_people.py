"""People: enrolled whole or not at all, sealed on the disk, forgotten when deleted."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import numpy as np
import pytest

from penlatch.errors import RequestError, StoreError
from penlatch.ink import Trace
from penlatch.messages import Quality, Sitting, User
from penlatch.store.store import StoredTemplate
from support.altering import alter_from_within

if TYPE_CHECKING:
    from pathlib import Path

    from penlatch.store.store import Store

THEN = "2025-03-01T08:00:00.000Z"
QUALITY = Quality(complexity=0.5, consistency=0.6, outlier=None)


def trace(seed: int) -> Trace:
    rng = np.random.default_rng(seed)
    n = 120
    return Trace(
        t=np.arange(n) / 100,
        x=rng.normal(50, 20, n),
        y=rng.normal(30, 10, n),
        p=rng.uniform(0.1, 1, n),
        down=np.ones(n, dtype=np.bool_),
    )


def enroll(store: Store, name: str, *, references: int = 3) -> None:
    store.enroll(
        name,
        references=[f"{name} {i}".encode() for i in range(references)],
        template=f"template of {name}".encode(),
        template_version="models-1",
        time=THEN,
    )


def given(references: int, time: str = THEN) -> Sitting:
    return Sitting(time=time, origin="enrolled", references=references)


def on_disk(path: Path) -> bytes:
    """Everything the database and its log hold at this moment."""
    return b"".join(p.read_bytes() for p in sorted(path.parent.glob(f"{path.name}*")))


def altered(path: Path, sql: str) -> None:
    """Change the file behind the back of penlatch."""
    with sqlite3.connect(path) as connection:
        assert connection.execute(sql).rowcount > 0
    connection.close()


def test_a_person_comes_back_as_enrolled(store: Store) -> None:
    enroll(store, "grace", references=5)
    enroll(store, "ada")
    assert store.users() == [
        User(name="ada", references=3, enrolled=THEN, template_version="models-1", sittings=(given(3),)),
        User(name="grace", references=5, enrolled=THEN, template_version="models-1", sittings=(given(5),)),
    ]
    assert store.references("ada") == [b"ada 0", b"ada 1", b"ada 2"]
    assert store.templates() == {
        "ada": StoredTemplate(version="models-1", data=b"template of ada"),
        "grace": StoredTemplate(version="models-1", data=b"template of grace"),
    }


def test_nobody_is_enrolled_twice(store: Store) -> None:
    enroll(store, "ada")
    with pytest.raises(RequestError) as caught:
        enroll(store, "ada", references=5)
    assert caught.value.code == "already_enrolled"
    assert store.users()[0].references == 3


@pytest.mark.parametrize("name", ["", "a|reference|0|1", "-x", "a b", "a" * 65, "ada\n"])
def test_a_name_that_could_be_taken_for_something_else_is_refused(store: Store, name: str) -> None:
    with pytest.raises(RequestError) as caught:
        enroll(store, name)
    assert caught.value.code == "bad_request"
    assert store.users() == []


@pytest.mark.parametrize("table", ["references", "templates"])
def test_an_enrolment_that_fails_half_way_leaves_nothing(store: Store, table: str) -> None:
    connection = store._database._connection
    connection.execute(
        f"CREATE TEMP TRIGGER fault BEFORE INSERT ON main.\"{table}\" BEGIN SELECT RAISE(ABORT, 'fault'); END"
    )
    with pytest.raises(StoreError, match="fault"):
        enroll(store, "ada")
    connection.execute("DROP TRIGGER fault")
    assert store.users() == []
    enroll(store, "ada")
    assert len(store.references("ada")) == 3


@pytest.mark.parametrize("verb", ["references", "delete_user"])
def test_a_stranger_is_unknown(store: Store, verb: str) -> None:
    with pytest.raises(RequestError) as caught:
        getattr(store, verb)("eve")
    assert caught.value.code == "unknown_user"
    with pytest.raises(RequestError) as caught:
        store.replace_template("eve", template=b"", template_version="1")
    assert caught.value.code == "unknown_user"


def test_a_template_can_be_made_anew(store: Store) -> None:
    enroll(store, "ada")
    store.replace_template("ada", template=b"better", template_version="models-2")
    assert store.templates() == {"ada": StoredTemplate(version="models-2", data=b"better")}
    assert store.users()[0].template_version == "models-2"
    assert len(store.references("ada")) == 3


class TestMoreReferences:
    """References may be added, and adapted ones dropped; originals stay."""

    def adapt(self, store: Store, number: int, *, drop: tuple[int, ...] = ()) -> None:
        store.change_references(
            "ada",
            add=[f"adapted {number}".encode()],
            adapted=True,
            drop=drop,
            template=f"template {number}".encode(),
            template_version="models-1",
            time=f"2025-0{number}-01T08:00:00.000Z",
            quality=QUALITY,
        )

    def test_a_second_sitting_is_added_to_the_first(self, store: Store) -> None:
        enroll(store, "ada")
        later = "2025-03-09T08:00:00.000Z"
        store.change_references("ada", add=[b"a", b"b"], template=b"all", template_version="2", time=later)
        assert store.references("ada") == [b"ada 0", b"ada 1", b"ada 2", b"a", b"b"]
        assert store.templates()["ada"] == StoredTemplate(version="2", data=b"all")
        (ada,) = store.users()
        assert (ada.references, ada.enrolled, ada.sittings) == (5, THEN, (given(3), given(2, later)))
        assert store.history("ada").changed == later

    def test_an_adapted_reference_takes_the_place_of_another(self, store: Store, path: Path) -> None:
        enroll(store, "ada")
        self.adapt(store, 4)
        sealed = store._database.rows('SELECT sealed FROM "references" WHERE position = 3')[0][0]
        self.adapt(store, 5, drop=(3,))
        assert store.references("ada") == [b"ada 0", b"ada 1", b"ada 2", b"adapted 5"]
        assert sealed not in on_disk(path)
        (ada,) = store.users()
        assert [(s.origin, s.references) for s in ada.sittings] == [("enrolled", 3), ("adapted", 1)]
        assert ada.quality == QUALITY

    @pytest.mark.parametrize("position", [0, 99])
    def test_an_original_never_goes(self, store: Store, position: int) -> None:
        enroll(store, "ada")
        with pytest.raises(RequestError, match="no adapted reference"):
            self.adapt(store, 4, drop=(position,))
        assert store.references("ada") == [b"ada 0", b"ada 1", b"ada 2"]
        assert store.templates()["ada"].data == b"template of ada"
        assert store.history("ada").changed == THEN

    def test_a_change_that_fails_half_way_changes_nothing(self, store: Store) -> None:
        enroll(store, "ada")
        store._database._connection.execute(
            "CREATE TEMP TRIGGER fault BEFORE UPDATE ON main.templates BEGIN SELECT RAISE(ABORT, 'fault'); END"
        )
        with pytest.raises(StoreError, match="fault"):
            self.adapt(store, 4)
        assert store.references("ada") == [b"ada 0", b"ada 1", b"ada 2"]
        assert store.users()[0].quality is None

    def test_a_stranger_has_no_references_to_change(self, store: Store) -> None:
        for change in (lambda: self.adapt(store, 4), lambda: store.history("ada")):
            with pytest.raises(RequestError) as caught:
                change()
            assert caught.value.code == "unknown_user"

    @pytest.mark.parametrize(
        "sql",
        [
            "UPDATE \"references\" SET origin = 'enrolled' WHERE position = 3",
            "UPDATE \"references\" SET origin = 'adapted' WHERE position = 0",
            "UPDATE \"references\" SET added = '2020-01-01T00:00:00.000Z' WHERE position = 3",
        ],
    )
    def test_a_reference_does_not_open_as_what_it_is_not(self, store: Store, sql: str) -> None:
        enroll(store, "ada")
        self.adapt(store, 4)
        assert alter_from_within(store, sql) > 0
        with pytest.raises(StoreError, match="enrol ada again"):
            store.references("ada")


def test_no_coordinate_reaches_the_disk(store: Store, path: Path) -> None:
    traces = [trace(seed) for seed in range(3)]
    plain = [t.to_bytes() for t in traces]
    store.enroll("ada", references=plain, template=traces[0].x.tobytes(), template_version="1", time=THEN)
    needles = [column.tobytes()[8 * i : 8 * i + 8] for t in traces for column in (t.x, t.y, t.p) for i in range(len(t))]
    assert all(any(needle in p for p in plain) for needle in needles), "what is looked for is in the plain form"
    for stage in ("in the log", "in the file"):
        disk = on_disk(path)
        assert b"ada" in disk
        assert not [needle for needle in needles if needle in disk], stage
        store._database.truncate_log()
    assert [Trace.from_bytes(data).x.tolist() for data in store.references("ada")] == [t.x.tolist() for t in traces]


def test_what_is_deleted_is_gone_from_the_disk(store: Store, path: Path) -> None:
    enroll(store, "ada")
    enroll(store, "grace")
    rows = store._database.rows("SELECT sealed FROM \"references\" WHERE user = 'ada'")
    sealed = [row[0] for row in rows]
    assert all(s in on_disk(path) for s in sealed)
    store.delete_user("ada")
    assert not any(s in on_disk(path) for s in sealed)
    assert [user.name for user in store.users()] == ["grace"]
    assert store.templates().keys() == {"grace"}
    enroll(store, "ada", references=4)
    assert store.users()[0].references == 4


class TestTampering:
    """Who can write to the file but has no key cannot make anybody somebody else."""

    @pytest.fixture
    def both(self, store: Store) -> Store:
        enroll(store, "ada")
        enroll(store, "eve")
        return store

    @pytest.mark.parametrize(
        "sql",
        [
            "UPDATE templates SET sealed = (SELECT sealed FROM templates WHERE user = 'eve') WHERE user = 'ada'",
            "UPDATE templates SET version = 'models-0' WHERE user = 'ada'",
            "UPDATE templates SET sealed = zeroblob(100) WHERE user = 'ada'",
        ],
    )
    def test_an_exchanged_or_altered_template_does_not_open(self, both: Store, sql: str) -> None:
        assert alter_from_within(both, sql) > 0
        with pytest.raises(StoreError, match="enrol ada again"):
            both.templates()

    @pytest.mark.parametrize(
        "sql",
        [
            """UPDATE "references" SET sealed = (SELECT sealed FROM "references" WHERE user = 'eve' AND position = 0)
            WHERE user = 'ada' AND position = 0""",
            """UPDATE "references" SET sealed = (SELECT sealed FROM "references" WHERE user = 'ada' AND position = 1)
            WHERE user = 'ada' AND position = 0""",
        ],
    )
    def test_an_exchanged_reference_does_not_open(self, both: Store, sql: str) -> None:
        assert alter_from_within(both, sql) > 0
        with pytest.raises(StoreError, match="enrol ada again"):
            both.references("ada")

    def test_a_person_who_was_renamed_does_not_open(self, both: Store, path: Path) -> None:
        altered(path, "UPDATE templates SET user = 'mallory' WHERE user = 'eve'")
        with pytest.raises(StoreError):
            both.templates()
