"""Every command explains itself, with an example; and asking for help, or talking to the socket, stays cheap."""

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from penlatch.cli import COMMANDS, main

HEAVY = (
    "asyncio",
    "email",
    "numpy",
    "tflite_runtime",
    "ai_edge_litert",
    "evdev",
    "serial",
    "paho",
    "sqlite_utils",
    "cryptography",
)
"""What a command that only talks to the socket must never import."""


def every_command(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))
        else:
            yield (*path, name), command


ALL = dict(every_command(main))


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_has_an_example_that_names_the_command(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*path, "--help"])
    assert result.exit_code == 0
    assert "Example" in result.stdout
    assert f"penlatch {' '.join(path)}" in result.stdout


@pytest.mark.parametrize("path", [path for path in ALL if path != ("run",)], ids=" ".join)
def test_every_command_but_run_takes_json(path: tuple[str, ...]) -> None:
    assert "--json" in CliRunner().invoke(main, [*path, "--help"]).stdout


@pytest.mark.parametrize("command", ["verify", "identify", "enroll", "replay"])
def test_help_of_what_judges_documents_its_exit_status(command: str) -> None:
    assert "Exit status: 0" in " ".join(CliRunner().invoke(main, [command, "--help"]).stdout.split())


def test_the_overview_lists_every_command() -> None:
    listed = CliRunner().invoke(main, ["--help"]).stdout
    assert all(f"  {name} " in listed for name in COMMANDS)


def test_wrong_usage_is_2() -> None:
    runner = CliRunner()
    assert runner.invoke(main, ["verify"]).exit_code == 2
    assert runner.invoke(main, ["no-such-command"]).exit_code == 2
    assert runner.invoke(main, ["enroll", "alice", "--references", "2"]).exit_code == 2


def imported_by(arguments: list[str]) -> set[str]:
    program = (
        "import sys\n"
        "from penlatch.cli import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit:\n"
        "    pass\n"
        "print('\\n' + ' '.join(sys.modules), file=sys.stderr)\n"
    )
    path = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=path)
    return {name.partition(".")[0] for name in done.stderr.splitlines()[-1].split()}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["verify", "alice", "--socket", "/nonexistent/penlatch.sock"],
        ["enroll", "alice", "--socket", "/nonexistent/penlatch.sock"],
        ["user", "list", "--socket", "/nonexistent/penlatch.sock"],
        ["decisions", "--socket", "/nonexistent/penlatch.sock"],
        ["status", "--socket", "/nonexistent/penlatch.sock"],
        ["config", "check"],
    ],
    ids=" ".join,
)
def test_commands_that_only_talk_import_nothing_heavy(arguments: list[str]) -> None:
    assert not imported_by(arguments) & set(HEAVY)


def test_the_version_is_told() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith("penlatch ")
