"""Names: one spelling each, and whoever could be taken for somebody else is found."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penlatch import names

SCRIPT = Path(__file__).parents[1] / "scripts" / "confusables"

ALIKE = [
    ("ada", "Ada"),
    ("ada", "ADA"),
    ("ada", "\u0430da"),  # Cyrillic a
    ("Ada", "\u0410da"),
    ("ada", "\u03b1da"),  # Greek alpha
    ("ada", "ａｄａ"),  # noqa: RUF001 - full width is the point
    ("\u0441\u0430\u0440", "cap"),  # whole-script: Cyrillic throughout
    ("Ian", "lan"),
    ("ian", "Ian"),
    ("bob", "b0b"),
    ("bill", "bi11"),
    ("mario", "rnario"),
    ("straße", "STRASSE"),
    ("\u0131lker", "ilker"),  # dotless
    ("\u0130lker", "ilker"),
    ("a\u3164da", "ada"),  # a filler that shows nothing
    ("a\u200dda", "ada"),
    ("a\u202eda", "ada"),
    ("ada\ufe0f", "ada"),
    ("jos\u00e9", "JOSE\u0301"),
    ("x\u0661", "xl"),  # an Arabic digit one
    ("\ufb01n", "fin"),  # a ligature
    ("김", unicodedata.normalize("NFD", "김")),
    ("o'brien", "o\u2019brien"),
    ("\U0001d41ada", "ada"),  # a mathematical letter
]
APART = [
    ("ada", "adb"),
    ("rene", "ren\u00e9"),
    ("ian", "lan"),
    ("user10", "user11"),
    ("anna", "ana"),
    ("a.b", "ab"),
    ("a.b", "a_b"),
    ("müller", "muller"),
    ("김", "박"),
]

anything = st.text(max_size=12)
letters = st.text(st.characters(categories=["L", "M", "N"]), min_size=1, max_size=12)


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_names_that_look_alike_collide(one: str, other: str) -> None:
    assert names.colliding(one, [other]) == other
    assert names.colliding(other, [one]) == one


@pytest.mark.parametrize(("one", "other"), APART)
def test_names_that_differ_do_not_collide(one: str, other: str) -> None:
    assert names.colliding(one, [other]) is None
    assert names.colliding(other, [one]) is None


def test_a_name_does_not_collide_with_itself() -> None:
    assert names.colliding("ada", ["ada", "bob"]) is None


def test_the_skeleton_of_every_character_is_stable() -> None:
    for code in (*range(0xD800), *range(0xE000, 0x30000)):
        found = names.skeleton(chr(code))
        assert names.skeleton(found) == found, hex(code)


@given(anything)
def test_a_skeleton_is_stable_and_the_same_in_every_normalization_form(text: str) -> None:
    found = names.skeleton(text)
    assert names.skeleton(found) == found
    assert {names.skeleton(unicodedata.normalize(form, text)) for form in ("NFC", "NFD", "NFKC", "NFKD")} == {found}


@given(letters)
def test_whatever_case_changes_collides(text: str) -> None:
    for changed in (text.upper(), text.lower(), text.title(), text.casefold()):
        assert changed == text or names.colliding(text, [changed]) == changed


@given(letters, st.data())
def test_a_character_replaced_by_one_that_looks_like_it_collides(text: str, data: st.DataObject) -> None:
    table = names._prototypes()
    place = data.draw(st.integers(0, len(text) - 1))
    twin = data.draw(st.sampled_from(sorted(table)))
    one = text[:place] + twin + text[place + 1 :]
    other = text[:place] + table[twin] + text[place + 1 :]
    assert names.colliding(one, [other]) in (other, None if one == other else other)


@given(letters, st.sampled_from("\u200b\u200e\u202e\u2066\u3164\ufe0f\U000e0061\u00ad\u034f"), st.integers(0, 12))
def test_what_is_not_seen_makes_no_other_name(text: str, unseen: str, place: int) -> None:
    changed = text[:place] + unseen + text[place:]
    assert names.skeleton(changed) == names.skeleton(text)


@given(anything)
def test_nothing_is_judged_by_its_spelling(text: str) -> None:
    judged = {names.problem_of(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}
    assert len(judged) == 1


@pytest.mark.parametrize("name", ["ada", "김", "józef", "a.b@c-d", "_x", "7", "x" * 64, "jose\u0301"])
def test_what_can_be_a_name(name: str) -> None:
    assert names.problem_of(name) is None


@pytest.mark.parametrize("name", ["", ".ada", "a b", "a\nb", "a/b", "x" * 65, "a\u202eb", "a\u200bb", "x" * 10_000])
def test_what_cannot_is_refused_in_a_sentence_without_a_regular_expression(name: str) -> None:
    problem = names.problem_of(name)
    assert problem is not None
    assert problem.startswith("a name has")
    assert "\\" not in problem


def test_a_letter_that_shows_nothing_is_refused() -> None:
    assert names.problem_of("a\u3164da") == "a name has no invisible characters"


def test_a_person_of_an_earlier_release_is_found_under_every_spelling() -> None:
    decomposed = unicodedata.normalize("NFD", "김")
    assert names.resolved("김", [decomposed]) == decomposed
    assert names.resolved(decomposed, ["김"]) == "김"
    assert names.resolved(decomposed, ["김", decomposed]) == decomposed
    assert names.resolved(decomposed, []) == "김"


def test_the_table_is_made_anew_as_it_is(tmp_path: Path) -> None:
    """A table that the script reads again is the table: nothing was edited by hand."""
    table = names._prototypes()
    source = tmp_path / "confusables.txt"
    points = "\n".join(
        f"{ord(one):04X} ;\t{' '.join(f'{ord(c):04X}' for c in prototype)} ;\tMA\t#" for one, prototype in table.items()
    )
    source.write_text(f"\ufeff# Version: 16.0.0\n{points}\n", encoding="utf-8")
    licence = tmp_path / "LICENSE"
    kept = Path(names.__file__).with_name(names.TABLE)
    head = [line.removeprefix("#")[1:] for line in kept.read_text(encoding="utf-8").split("\n") if line.startswith("#")]
    licence.write_text("\n".join(head[3:]), encoding="utf-8")
    copy = tmp_path / "scripts" / "confusables"
    (tmp_path / "daemon" / "penlatch").mkdir(parents=True)
    copy.parent.mkdir()
    copy.write_bytes(SCRIPT.read_bytes())
    subprocess.run([sys.executable, copy, source, licence], check=True)
    assert (tmp_path / "daemon" / "penlatch" / names.TABLE).read_bytes() == kept.read_bytes()
