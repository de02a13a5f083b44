"""info: what a person gives to a door, read at the terminal."""

import json
from collections.abc import Callable

import msgspec
from click.testing import Result

from support.examples import INFO, INSTANCE
from support.verbs import ScriptedVerbs


def test_it_shows_instance_and_key(penlatch: Callable[..., Result], verbs: ScriptedVerbs) -> None:
    key = {"crv": "Ed25519", "kty": "OKP", "x": "11qYAYKx", "kid": "kPrK"}
    verbs.information = msgspec.structs.replace(INFO, instance=INSTANCE, key=key, decisions_from=7)
    shown = penlatch("info").stdout
    assert f"instance    {INSTANCE}" in shown
    assert "11qYAYKx" in shown
    assert "from number 7 on" in shown
    assert json.loads(penlatch("info", "--json").stdout)["instance"] == INSTANCE


def test_it_says_what_is_not_there(penlatch: Callable[..., Result]) -> None:
    shown = penlatch("info").stdout
    assert "the database cannot be used" in shown
    assert "not signed" in shown
