"""`penlatch config`: valid or not, why, and what it comes to."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from penlatch.cli import main


@pytest.fixture
def file(tmp_path: Path) -> Path:
    secret = tmp_path / "secret"
    secret.write_text("hush")
    path = tmp_path / "penlatch.toml"
    path.write_text(
        f'[terminal]\nname = "door"\n[mqtt]\nhost = "broker"\nusername = "door"\npassword_file = "{secret}"\n'
    )
    return path


def test_a_valid_file_is_ok(file: Path) -> None:
    result = CliRunner().invoke(main, ["config", "check", str(file)])
    assert (result.exit_code, result.stdout) == (0, "ok\n")


def test_a_wrong_value_is_told_with_file_key_and_reason(file: Path) -> None:
    file.write_text('[mqtt]\nhost = "broker"\nport = 70000\n')
    result = CliRunner().invoke(main, ["config", "check", str(file)])
    assert result.exit_code == 1
    assert f"{file}: mqtt.port: " in result.stderr
    assert "65535" in result.stderr


def test_an_unknown_key_is_named(file: Path) -> None:
    file.write_text("[verify]\ntreshold = 0.4\n")
    result = CliRunner().invoke(main, ["config", "check", str(file), "--json"])
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["ok"] is False
    assert told["file"] == str(file)
    assert told["key"] == "verify.treshold"
    assert told["problem"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["config", "check", str(tmp_path / "absent.toml")])
    assert result.exit_code == 1
    assert "absent.toml: No such file or directory" in result.stderr


def test_show_tells_defaults_too(file: Path) -> None:
    result = CliRunner().invoke(main, ["config", "show", "--config", str(file)])
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["terminal"]["name"] == "door"
    assert told["mqtt"]["port"] == 1883
    assert told["mqtt"]["password_file"] == str(file.with_name("secret"))
    assert told["verify"]["threshold"] == 0.5
    assert "hush" not in result.output


def test_show_as_json_is_one_line(file: Path) -> None:
    result = CliRunner().invoke(main, ["config", "show", "--config", str(file), "--json"])
    assert len(result.stdout.splitlines()) == 1


def test_a_file_that_cannot_be_used_is_a_usage_error_elsewhere(tmp_path: Path) -> None:
    for command in (["run"], ["status"], ["config", "show"]):
        result = CliRunner().invoke(main, [*command, "--config", str(tmp_path / "absent.toml")])
        assert result.exit_code == 2, command
        assert "absent.toml" in result.stderr
        assert "Traceback" not in result.output
