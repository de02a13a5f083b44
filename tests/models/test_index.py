"""One's own people as a table: what it takes, and what it says about a line that it cannot take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.drawings import scrawl
from support.svc2004 import as_svc2004
from training.datasets import DataMissingError, DatasetError, read

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "user,kind,session,path"


def table(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "people.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed in range(4):
        (tmp_path / f"s{seed}.txt").write_text(as_svc2004(scrawl(seed)), encoding="ascii")
    return tmp_path


def test_signatures_come_in_the_order_of_sittings_and_of_the_table(folder: Path) -> None:
    path = table(
        folder,
        "ada, genuine, 2, s0.txt",
        "ada,genuine,1,s1.txt",
        "",
        "bob,genuine,1,s2.txt",
        "ada,skilled,,s3.txt",
    )
    loaded = read("index", path)
    assert [(r.user, r.kind, r.session, r.index) for r in loaded.records] == [
        ("ada", "genuine", 1, 1),
        ("ada", "genuine", 2, 1),
        ("ada", "skilled", 0, 1),
        ("bob", "genuine", 1, 1),
    ]
    assert len(loaded.records[0].trace) == len(scrawl(1))


def test_a_table_from_a_spreadsheet_may_begin_with_a_byte_order_mark(folder: Path) -> None:
    assert len(read("index", table(folder, "ada,genuine,1,s0.txt", header="\ufeff" + HEADER)).records) == 1


def test_a_signature_too_short_to_be_one_is_counted_apart(folder: Path) -> None:
    (folder / "dot.txt").write_text("2\n1 1 0 1 0 900 500\n1 1 10 1 0 900 500\n", encoding="ascii")
    loaded = read("index", table(folder, "ada,genuine,1,dot.txt"))
    assert loaded.records == ()
    assert loaded.unusable == (("ada", "genuine"),)


def test_the_digest_follows_what_is_signed_and_who_is_said_to_have(folder: Path) -> None:
    first = read("index", table(folder, "ada,genuine,1,s0.txt")).sha256
    assert read("index", table(folder, "ada,genuine,1,s0.txt")).sha256 == first
    assert read("index", table(folder, "bob,genuine,1,s0.txt")).sha256 != first
    assert read("index", table(folder, "ada,genuine,1,s1.txt")).sha256 != first


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("ada,genuine,1", "3 columns, not 4"),
        (",genuine,1,s1.txt", "user is empty"),
        ("ada,forged,1,s1.txt", "'forged'; it must be genuine or skilled"),
        ("ada,genuine,,s1.txt", "number of the sitting, from 1"),
        ("ada,genuine,0,s1.txt", "number of the sitting, from 1"),
        ("ada,genuine,one,s1.txt", "number of the sitting, from 1"),
        ("ada,genuine,1,", "path is empty"),
        ("ada,genuine,1,nowhere.txt", "nowhere.txt cannot be read: No such file"),
        ("ada,genuine,1,people.csv", "people.csv cannot be read: line 1"),
        ("bob,genuine,1,s0.txt", "already in line 2"),
    ],
)
def test_a_bad_row_is_named_by_its_line_with_what_to_do(folder: Path, row: str, problem: str) -> None:
    path = table(folder, "ada,genuine,1,s0.txt", row)
    with pytest.raises(DatasetError) as caught:
        read("index", path)
    assert caught.value.line == 3
    assert caught.value.remedy
    assert str(caught.value).startswith(f"{path}:3: ")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("header", "problem"), [("user;kind;session;path", "first line must be user,kind"), ("", "missing")]
)
def test_other_columns_are_refused(folder: Path, header: str, problem: str) -> None:
    with pytest.raises(DatasetError, match=problem):
        read("index", table(folder, header=header))


def test_an_empty_table_is_refused(folder: Path) -> None:
    with pytest.raises(DatasetError, match="names no signatures"):
        read("index", table(folder))


def test_a_missing_table_says_what_it_must_hold(folder: Path) -> None:
    for where in (None, folder, folder / "nobody.csv"):
        with pytest.raises(DataMissingError, match="user,kind,session,path"):
            read("index", where)
