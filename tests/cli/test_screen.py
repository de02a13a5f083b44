"""The screen: no command shows foreign text as it came."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from penlatch.cli import devices as devices_command
from penlatch.cli import holders, main, screen
from penlatch.cli.screen import Guarded, guarded
from penlatch.messages import Part
from support.attacks import ATTACKS, assert_plain, hostile
from support.examples import armed, decision, health

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from support.verbs import ScriptedVerbs

attacks = pytest.mark.parametrize("attack", ATTACKS)
SENDABLE = [attack for attack in ATTACKS if attack != "lone surrogate"]
"""A daemon sends JSON, which has none."""


@pytest.mark.parametrize("attack", SENDABLE)
def test_status_shows_foreign_words_plainly(penlatch: Callable[..., Result], verbs: ScriptedVerbs, attack: str) -> None:
    verbs.health = health(ok=False, broker=Part(ok=False, detail=hostile(attack)))
    shown = penlatch("status")
    assert_plain(shown.stdout, lines=None)
    assert_plain(shown.stderr, lines=None)
    assert json.loads(penlatch("status", "--json").stdout)["broker"]["ok"] is False


@pytest.mark.parametrize("attack", SENDABLE)
def test_events_are_shown_plainly(penlatch: Callable[..., Result], verbs: ScriptedVerbs, attack: str) -> None:
    verbs.script = [armed(user=hostile(attack)), decision(user=hostile(attack), transaction=hostile(attack))]
    shown = penlatch("verify", "alice")
    assert_plain(shown.stdout, lines=1)
    assert_plain(shown.stderr, lines=1)
    as_json = penlatch("verify", "alice", "--json").stdout
    assert_plain(as_json, lines=2, longest=400_000)
    assert json.loads(as_json.splitlines()[1])["transaction"] == hostile(attack)


@attacks
def test_a_name_on_the_command_line_is_shown_plainly(penlatch: Callable[..., Result], attack: str) -> None:
    for command in (["user", "show"], ["verify"], ["enroll"], ["pam", "--user"]):
        shown = penlatch(*command, hostile(attack))
        assert shown.exit_code in {2, 3}, shown.output
        assert_plain(shown.stderr, lines=None)
        assert_plain(shown.stdout, lines=None)


@attacks
def test_a_file_name_is_shown_plainly(attack: str, tmp_path: Path) -> None:
    if attack in ("NUL", "long"):
        pytest.skip("no file is named so")
    path = tmp_path / f"{hostile(attack)}.inkml"
    path.write_text("no ink")
    for arguments in (["replay", str(path), "--reference", str(path)], ["config", "check", str(path)]):
        for more in ([], ["--json"]):
            shown = CliRunner().invoke(main, [*arguments, *more])
            assert shown.exit_code in {1, 3}
            assert_plain(shown.stdout, lines=1 if more else None)
            assert_plain(shown.stderr, lines=None)


@attacks
def test_a_device_and_a_program_are_shown_plainly(attack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = tmp_path / "4242"
    (process / "fd").mkdir(parents=True)
    (process / "fd" / "3").symlink_to("/dev/null")
    (process / "comm").write_bytes(hostile(attack).encode("utf-8", "surrogateescape"))
    monkeypatch.setattr(holders, "PROC", tmp_path)
    monkeypatch.setattr(
        devices_command,
        "_serial_devices",
        lambda: [devices_command.serial_device("/dev/null", hostile(attack), may_use=True)],
    )
    for more in ([], ["--json"]):
        shown = CliRunner().invoke(main, ["devices", *more])
        assert shown.exit_code == 0, shown.output
        assert "4242" in shown.stdout
        assert_plain(shown.stdout, lines=None)


@attacks
def test_the_guard_lets_nothing_through_but_line_breaks_of_ours(attack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding in ("utf-8", "ascii", "latin-1"):
        below = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", below)
        with guarded():
            click.echo(hostile(attack))
        assert sys.stdout is below
        below.flush()
        written = below.buffer.getvalue().decode(encoding)
        assert_plain(written.replace("\n", ""), longest=200_000)


def test_an_unforeseen_error_leaves_the_guard_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    monkeypatch.setattr(sys, "stdout", sys.stdout)

    def fail() -> None:
        with guarded():
            raise ZeroDivisionError("\x1b")

    with pytest.raises(ZeroDivisionError):
        fail()
    assert isinstance(sys.stderr, Guarded)


def test_our_own_colour_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    below: Any = io.StringIO()
    monkeypatch.setattr(sys, "stdout", below)
    with guarded():
        screen.control("\x1b[32mok\x1b[0m")
    assert below.getvalue() == "\x1b[32mok\x1b[0m"
