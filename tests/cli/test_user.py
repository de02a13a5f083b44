"""`penlatch user`: when a person's references came and what they are worth; and dropping those that were adapted."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from penlatch.messages import Quality, Sitting
from support.examples import ALICE

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

    from support.verbs import ScriptedVerbs

    Invoke = Callable[..., Result]


@pytest.fixture
def alice(verbs: ScriptedVerbs) -> None:
    """Let alice have given references twice, and one more be adapted."""
    sittings = (
        Sitting(time="2026-01-01T00:00:00.000Z", origin="enrolled", references=5),
        Sitting(time="2026-01-08T00:00:00.000Z", origin="enrolled", references=3),
        Sitting(time="2026-03-01T00:00:00.000Z", origin="adapted", references=1),
    )
    quality = Quality(complexity=0.52, consistency=0.61, outlier=2)
    verbs.people["alice"] = msgspec.structs.replace(ALICE, references=9, sittings=sittings, quality=quality)


@pytest.mark.usefixtures("alice")
def test_show_lists_originals_and_adapted_ones_with_their_dates(penlatch: Invoke) -> None:
    shown = penlatch("user", "show", "alice").stdout
    assert "5 given 2026-01-01" in shown
    assert "3 given 2026-01-08" in shown
    assert "1 adapted 2026-03-01" in shown


@pytest.mark.usefixtures("alice")
def test_show_says_what_they_are_worth_and_which_is_odd(penlatch: Invoke) -> None:
    shown = penlatch("user", "show", "alice").stdout
    assert "complexity  0.52" in shown
    assert "consistency 0.61" in shown
    assert "reference 2 is unlike all others" in shown


def test_what_is_not_known_of_a_person_is_not_shown(penlatch: Invoke) -> None:
    shown = penlatch("user", "show", "bob").stdout
    assert "complexity" not in shown
    assert "adapted" not in shown


@pytest.mark.usefixtures("alice")
def test_revert_asks_first(penlatch: Invoke) -> None:
    kept = penlatch("user", "revert", "alice", input="n\n")
    assert kept.exit_code == 3
    assert "Nothing was dropped" in kept.stderr
    dropped = penlatch("user", "revert", "alice", input="y\n")
    assert (dropped.exit_code, dropped.stdout) == (0, "1 adapted references of alice were dropped.\n")


@pytest.mark.usefixtures("alice")
def test_revert_as_json_says_how_many(penlatch: Invoke) -> None:
    told = json.loads(penlatch("user", "revert", "alice", "--yes", "--json").stdout)
    assert told == {"kind": "reverted", "user": "alice", "dropped": 1}


def test_where_nothing_was_adapted_nothing_is_asked(penlatch: Invoke) -> None:
    result = penlatch("user", "revert", "bob")
    assert (result.exit_code, result.stdout) == (0, "0 adapted references of bob were dropped.\n")


def test_a_stranger_cannot_be_reverted(penlatch: Invoke) -> None:
    assert penlatch("user", "revert", "eve", "--yes").exit_code == 3


@pytest.mark.parametrize(
    ("arguments", "user", "said"),
    [(["alice"], "alice", "alice was unlocked.\n"), (["--terminal"], None, "The terminal was unlocked.\n")],
)
def test_unlock_frees_a_person_or_the_terminal(
    penlatch: Invoke, verbs: ScriptedVerbs, arguments: list[str], user: str | None, said: str
) -> None:
    result = penlatch("user", "unlock", *arguments)
    assert (result.exit_code, result.stdout) == (0, said)
    assert verbs.asked == [("unlock", user, f"uid {os.geteuid()}")]
    as_json = penlatch("user", "unlock", *arguments, "--json").stdout
    assert json.loads(as_json) == {"kind": "unlocked", "user": user}


@pytest.mark.parametrize("arguments", [[], ["alice", "--terminal"]])
def test_unlock_wants_a_person_or_the_terminal(penlatch: Invoke, verbs: ScriptedVerbs, arguments: list[str]) -> None:
    assert penlatch("user", "unlock", *arguments).exit_code == 2
    assert verbs.asked == []


def test_a_stranger_cannot_be_unlocked(penlatch: Invoke) -> None:
    assert penlatch("user", "unlock", "eve").exit_code == 3
