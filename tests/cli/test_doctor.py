"""`penlatch doctor`: each look finds what is wrong, says what mends it, and changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from penlatch.cli import main
from penlatch.cli.checks import backup, daemon, database, host, models, pen
from penlatch.cli.checks import broker as broker_check
from penlatch.config import Config, Mqtt, Pen, Store, Verify, parse
from penlatch.errors import RequestError
from penlatch.messages import Health, Part
from penlatch.sim.tablet import Isdv4Tablet
from penlatch.store.backup import back_up
from penlatch.store.store import Store as OpenStore
from penlatch.store.vault import Vault
from support.altering import alter
from support.broker import TERMINAL
from support.examples import health

if TYPE_CHECKING:
    from pathlib import Path

    from support.broker import Mosquitto
    from support.verbs import ScriptedVerbs

SHOWN = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "UnitFileState": "enabled",
    "NRestarts": "0",
}


def made(path: Path) -> Path:
    """Make a database with its key, as a first start does."""
    OpenStore.open(path, Vault.load(database=path)).close()
    return path


# -- host ------------------------------------------------------------------------------------------------------------


def test_a_clock_before_penlatch_was_made_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(time, "gmtime", lambda: (1970, 1, 1, 0, 0, 0, 3, 1, 0))
    assert host.clock().state == "fail"


@pytest.mark.parametrize(("state", "found"), [(0, "ok"), (host.TIME_ERROR, "warn"), (-1, "ok")])
def test_a_clock_that_nothing_keeps_is_a_warning(monkeypatch: pytest.MonkeyPatch, state: int, found: str) -> None:
    monkeypatch.setattr(time, "time", lambda: host.BUILT + 1.0)
    monkeypatch.setattr(host, "kernel_clock_state", lambda: state)
    assert host.clock().state == found


def test_the_kernel_tells_the_state_of_its_clock() -> None:
    assert host.kernel_clock_state() in range(-1, 6)


@pytest.mark.parametrize(
    ("changed", "state"),
    [
        ({}, "ok"),
        ({"ActiveState": "failed"}, "fail"),
        ({"ActiveState": "inactive"}, "warn"),
        ({"UnitFileState": "disabled"}, "warn"),
        ({"NRestarts": "3"}, "warn"),
        ({"LoadState": "not-found"}, "warn"),
    ],
)
def test_the_unit_is_judged_by_what_systemctl_shows(changed: dict[str, str], state: str) -> None:
    finding = host.judge_unit(SHOWN | changed)
    assert finding.state == state
    assert (finding.remedy is None) == (state == "ok")


# -- database --------------------------------------------------------------------------------------------------------


def test_a_database_that_is_to_be_made_is_fine(tmp_path: Path) -> None:
    finding = database.usable(Store(path=tmp_path / "penlatch.db"), None)
    assert finding.state == "ok"
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_fails_with_the_command_that_makes_it(tmp_path: Path) -> None:
    finding = database.usable(Store(path=tmp_path / "absent" / "penlatch.db"), None)
    assert finding.state == "fail"
    assert finding.remedy
    assert f"{tmp_path / 'absent'}" in finding.remedy


def test_a_sound_database_is_counted_and_left_as_it_is(tmp_path: Path) -> None:
    path = made(tmp_path / "penlatch.db")
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    finding = database.usable(Store(path=path), None)
    assert finding.state == "ok"
    assert "0 enrolled, 0 decisions" in finding.detail
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_database_in_use_can_be_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "penlatch.db"
    store = OpenStore.open(path, Vault.load(database=path))
    assert database.usable(Store(path=path), None).state == "ok"
    store.close()


def test_a_database_with_a_trigger_fails(tmp_path: Path) -> None:
    path = made(tmp_path / "penlatch.db")
    alter(path, "CREATE TRIGGER t AFTER INSERT ON lockouts BEGIN SELECT 1; END")
    finding = database.usable(Store(path=path), None)
    assert finding.state == "fail"
    assert "somebody added the trigger 't'" in finding.detail


def test_a_lost_key_fails(tmp_path: Path) -> None:
    path = made(tmp_path / "penlatch.db")
    path.with_name("store.key").unlink()
    finding = database.usable(Store(path=path), None)
    assert finding.state == "fail"
    assert "key" in finding.detail
    assert not path.with_name("store.key").exists()


def test_a_key_that_others_may_read_fails(tmp_path: Path) -> None:
    path = made(tmp_path / "penlatch.db")
    path.with_name("store.key").chmod(0o644)
    finding = database.usable(Store(path=path), None)
    assert finding.state == "fail"
    assert finding.remedy == f"chmod 600 {path.with_name('store.key')}"


def test_a_damaged_database_fails(tmp_path: Path) -> None:
    path = made(tmp_path / "penlatch.db")
    content = bytearray(path.read_bytes())
    content[100:4096] = os.urandom(3996)
    path.write_bytes(content)
    assert database.usable(Store(path=path), None).state == "fail"


def test_a_running_daemon_is_believed_about_its_database(tmp_path: Path) -> None:
    told = health(ok=False, store=Part(ok=False, detail="there is no room to write"))
    finding = database.usable(Store(path=tmp_path / "absent" / "penlatch.db"), told)
    assert (finding.state, finding.detail) == ("fail", "there is no room to write")


# -- pen, models, broker, daemon -------------------------------------------------------------------------------------


def test_a_tablet_that_answers_is_named() -> None:
    with Isdv4Tablet() as tablet:
        finding = pen.reachable(Pen(device=f"isdv4:{tablet.path}"), None)
        assert tablet.path in finding.detail
    assert finding.state == "ok"


def test_a_pen_that_is_not_there_fails(tmp_path: Path) -> None:
    finding = pen.reachable(Pen(device=f"isdv4:{tmp_path / 'ttyS9'}"), None)
    assert finding.state == "fail"
    assert finding.remedy


def test_a_running_daemon_is_believed_about_its_pen() -> None:
    finding = pen.reachable(Pen(device="isdv4:/dev/null"), health(pen=Part(ok=True, detail="Wacom at /dev/ttyS4")))
    assert (finding.state, finding.detail) == ("ok", "Wacom at /dev/ttyS4")


def test_a_tablet_that_speaks_the_other_protocol_is_found() -> None:
    with Isdv4Tablet() as tablet:
        finding = pen.reachable(Pen(device=f"protocol4:{tablet.path}"), None)
        assert finding.state == "fail"
        assert "no Protocol IV tablet answered" in finding.detail
        assert finding.remedy
        assert f'write pen.device = "isdv4:{tablet.path}"' in finding.remedy


def test_a_line_that_another_program_has_names_it() -> None:
    with Isdv4Tablet() as tablet:
        line = os.path.realpath(tablet.path)
        program = "import serial, sys, time; s = serial.Serial(sys.argv[1], exclusive=True); print(); time.sleep(60)"
        with subprocess.Popen([sys.executable, "-uc", program, line], stdout=subprocess.PIPE) as holder:
            assert holder.stdout
            holder.stdout.readline()
            finding = pen.reachable(Pen(device=f"isdv4:{tablet.path}"), None)
            holder.kill()
    assert finding.state == "fail"
    assert finding.remedy
    assert f"(pid {holder.pid})" in finding.remedy


def test_a_missing_adapter_says_which_lines_there_are(tmp_path: Path) -> None:
    finding = pen.reachable(Pen(device=f"isdv4:{tmp_path / 'ttyUSB0'}"), None)
    assert finding.remedy
    assert "serial line" in finding.remedy


@pytest.mark.parametrize("device", ["evdev:", "isdv4:/dev/absent", "replay:/absent"])
def test_a_pen_that_a_running_daemon_lacks_has_a_remedy(device: str) -> None:
    finding = pen.reachable(Pen(device=device), health(ok=False, pen=Part(ok=False, detail="pen: there is none")))
    assert (finding.state, finding.detail) == ("fail", "pen: there is none")
    assert finding.remedy


def test_missing_models_fail(tmp_path: Path) -> None:
    finding = models.intact(Verify(models=tmp_path))
    assert finding.state == "fail"
    assert str(tmp_path) in finding.detail


def test_a_broker_that_lets_us_in_is_fine(broker: Mosquitto, tmp_path: Path) -> None:
    user, password = TERMINAL
    (tmp_path / "password").write_text(password)
    mqtt = Mqtt(host="127.0.0.1", port=broker.port, username=user, password_file=tmp_path / "password")
    assert broker_check.reachable(Config(mqtt=mqtt), None).state == "ok"


def test_a_broker_that_refuses_us_fails_and_says_why(broker: Mosquitto) -> None:
    stranger = Mqtt(host="127.0.0.1", port=broker.port, username="nobody")
    finding = broker_check.reachable(Config(mqtt=stranger), None)
    assert finding.state == "fail"
    assert "refuses us" in finding.detail


def test_a_broker_that_is_not_there_fails() -> None:
    finding = broker_check.reachable(Config(mqtt=Mqtt(host="127.0.0.1", port=1)), None)
    assert finding.state == "fail"
    assert "127.0.0.1:1" in finding.detail


def test_no_broker_is_a_warning() -> None:
    assert broker_check.reachable(Config(), None).state == "warn"


def test_a_daemon_that_does_not_run_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "absent.sock"
    told = daemon.ask(path)
    assert isinstance(told, RequestError)
    assert daemon.socket(path, told).state == "warn"


def test_a_daemon_that_runs_is_asked(socket: Path, verbs: ScriptedVerbs) -> None:
    told = daemon.ask(socket)
    assert isinstance(told, Health)
    assert daemon.socket(socket, told).detail.endswith(f"idle, {len(verbs.people)} enrolled")


# -- the whole -------------------------------------------------------------------------------------------------------


def test_a_configuration_that_cannot_be_read_ends_the_examination(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["doctor", "--json", "--config", str(tmp_path / "absent.toml")])
    assert result.exit_code == 1
    found = {line["name"]: line for line in map(json.loads, result.stdout.splitlines())}
    assert found["configuration"]["state"] == "fail"
    assert "models" not in found


def test_everything_is_looked_at_and_every_fault_has_a_remedy(tmp_path: Path) -> None:
    config = tmp_path / "penlatch.toml"
    config.write_text(
        f'[pen]\ndevice = "isdv4:{tmp_path / "ttyS9"}"\n[store]\npath = "{tmp_path / "penlatch.db"}"\n'
        f'[control]\nsocket = "{tmp_path / "absent.sock"}"\n[mqtt]\nhost = "127.0.0.1"\nport = 1\n'
    )
    result = CliRunner().invoke(main, ["doctor", "--json", "--config", str(config)])
    assert result.exit_code == 1
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["name"] for line in found] == [
        "clock",
        "unit",
        "configuration",
        "models",
        "daemon",
        "database",
        "pen",
        "broker",
    ]
    assert all(line["remedy"] for line in found if line["state"] != "ok")
    text = CliRunner().invoke(main, ["doctor", "--config", str(config)]).stdout
    assert "FAIL  pen" in text
    assert "→ " in text


# -- backup ----------------------------------------------------------------------------------------------------------


def kept_backup(path: Path, *, key: Vault | None = None) -> Config:
    """A database with one backup, and the configuration of both."""
    made(path)
    back_up(path, path.parent / "backups", keep=1, vault=key or Vault.load(database=path))
    return parse({"store": {"path": str(path)}})


def test_the_newest_backup_and_its_key_are_named(tmp_path: Path) -> None:
    config = kept_backup(tmp_path / "penlatch.db")
    finding = backup.kept(config, None)
    assert finding is not None
    assert finding.state == "ok"
    assert f"made under today's key {Vault.load(database=config.store.path).id}" in finding.detail


def test_a_backup_that_todays_key_does_not_open_fails(tmp_path: Path) -> None:
    config = kept_backup(tmp_path / "penlatch.db")
    (tmp_path / "store.key").write_bytes(bytes(32))
    finding = backup.kept(config, None)
    assert finding is not None
    assert finding.state == "fail"
    assert "none of 1 opens with today's key" in finding.detail


def test_without_a_backup_the_command_that_makes_one_is_named(tmp_path: Path) -> None:
    made(tmp_path / "penlatch.db")
    finding = backup.kept(parse({"store": {"path": str(tmp_path / "penlatch.db")}}), None)
    assert finding is not None
    assert finding.state == "warn"
    assert finding.remedy == "make one: sudo penlatch store backup"
