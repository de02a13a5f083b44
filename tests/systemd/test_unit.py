"""What is laid down for systemd and udev: free of mistakes, tight, and of one mind with itself and the code."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import get_args, get_type_hints

import msgspec
import pytest

from penlatch import config
from penlatch.bolt.bolt import LET_GO_S, Bolt
from penlatch.report.credentials import CREDENTIAL as PASSWORD_CREDENTIAL
from penlatch.service.signals import STOP_LIMIT_S
from penlatch.store.vault import CREDENTIAL as KEY_CREDENTIAL

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNIT = SYSTEMD / "penlatch.service"

EXPOSURE_LIMIT = 1.3
"""Of `systemd-analyze security`, where 10 is a service that may do everything."""


def settings(text: str, *, commented: bool = False) -> list[tuple[str, str]]:
    """Every `key=value` line of a unit, or those that are commented out."""
    return re.findall(rf"(?m)^{'#' if commented else ''}(\w+)=(.*)$", text)


NEEDED = {
    "PrivateDevices": "pens and serial lines are devices",
    "DeviceAllow": "likewise",
    "PrivateUsers": "it would take the groups away to which they belong",
    "PrivateNetwork": "the broker",
    "RestrictAddressFamilies_AF_INET_INET6": "likewise",
    "IPAddressDeny": "likewise: it is anywhere",
    "RestrictAddressFamilies_AF_UNIX": "its own socket, systemd's and the journal's",
    "ProcSubset": "the inference runtime asks /proc/cpuinfo for the fast instructions",
    "RootDirectoryOrRootImage": "Python and its libraries are the system's",
}
"""What `systemd-analyze security` finds open, and why it is."""
UNWEIGHED = {
    # What it does not look at; tests/kernel/test_installed_terminal.py sees what they do.
    *("LimitCORE", "MemorySwapMax", "TasksMax", "NoExecPaths", "ExecPaths", "ReadOnlyPaths", "InaccessiblePaths"),
    *("PrivateIPC", "SystemCallErrorNumber", "DeviceAllow", "IPAddressAllow", "IPAddressDeny"),
    # Said, although it is systemd's default.
    *("DevicePolicy", "AmbientCapabilities", "KeyringMode"),
}
HARDENING = [
    f"{key}={value}"
    for key, value in settings(UNIT.read_text().partition("# What it may touch")[2])
    if key not in {*UNWEIGHED, "WantedBy"}
]

needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed: apt-get install systemd"
)


def setting(key: str) -> str:
    """The one value of a key of the unit."""
    (value,) = [v for k, v in settings(UNIT.read_text()) if k == key]
    return value


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A file system with the unit and something executable where it looks for the daemon."""
    unit = tmp_path / "etc/systemd/system/penlatch.service"
    unit.parent.mkdir(parents=True)
    shutil.copy(UNIT, unit)
    program = tmp_path / setting("ExecStart").split()[0].lstrip("/")
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return tmp_path


def exposed(unit: Path) -> set[str]:
    """What `systemd-analyze security` finds open, by the names of its JSON."""
    command = ["systemd-analyze", "security", "--offline=true", "--json=short", str(unit)]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return {check["json_field"] for check in json.loads(told) if check["set"] is False}


def verify(root: Path) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", "verify", f"--root={root}", "--recursive-errors=no", "penlatch.service"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@needs_systemd
class TestUnit:
    """`systemd-analyze` on the unit as it ships."""

    def test_it_is_verified_without_a_word(self, root: Path) -> None:
        result = verify(root)
        # An unknown key is but a warning: what counts is that nothing at all is said.
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")

    @pytest.mark.parametrize("mistake", ["ProtectHome=", "WatchdogSec=", "DeviceAllow="])
    def test_a_misspelt_key_would_be_found(self, root: Path, mistake: str) -> None:
        unit = root / "etc/systemd/system/penlatch.service"
        unit.write_text(unit.read_text().replace(f"\n{mistake}", f"\nX{mistake}"))
        assert "Unknown key" in verify(root).stderr

    def test_a_program_that_is_not_there_would_be_found(self, root: Path) -> None:
        shutil.rmtree(root / "opt")
        assert "not executable" in verify(root).stderr

    def test_its_exposure_is_small(self) -> None:
        command = ["systemd-analyze", "security", "--offline=true", str(UNIT)]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", result.stdout)
        assert exposure is not None
        assert float(exposure[1]) <= EXPOSURE_LIMIT

    def test_what_it_is_exposed_to_is_what_it_needs(self) -> None:
        assert exposed(UNIT) == set(NEEDED)

    @pytest.mark.parametrize("line", HARDENING)
    def test_a_line_of_its_sandbox_that_went_would_be_missed(self, tmp_path: Path, line: str) -> None:
        loosened = tmp_path / UNIT.name
        loosened.write_text(UNIT.read_text().replace(f"\n{line}\n", "\n"))
        assert exposed(loosened) > set(NEEDED)


class TestAgreement:
    """The unit, the files beside it and the defaults of the configuration mean the same places and names."""

    def test_the_daemon_is_watched_and_restarted(self) -> None:
        assert setting("Type") == "notify"
        assert setting("Restart") == "always"
        assert setting("WatchdogSec") == "60s"

    def test_a_stop_has_the_time_that_the_longest_pulse_may_take(self) -> None:
        (longest_s,) = [
            rule.le
            for rule in get_args(get_type_hints(config.Bolt, include_extras=True)["pulse_s"])
            if isinstance(rule, msgspec.Meta) and rule.le is not None
        ]
        bolt = Bolt(config.Bolt(command=("/bin/true",), pulse_s=longest_s))
        needed_s = bolt._actuator.limit_s + LET_GO_S + STOP_LIMIT_S
        assert float(setting("TimeoutStopSec").removesuffix("s")) > needed_s

    def test_who_hangs_is_ended_long_before(self) -> None:
        assert float(setting("TimeoutAbortSec").removesuffix("s")) <= 15

    def test_the_program_that_opened_gets_no_signal_of_systemds_before_the_daemon_has_ended(self) -> None:
        assert setting("KillMode") == "mixed"

    def test_it_reads_the_configuration_where_everybody_expects_it(self) -> None:
        assert setting("ExecStart").endswith(f"run --config {config.DEFAULT_PATH}")

    def test_the_default_places_are_the_folders_the_unit_makes(self) -> None:
        default = config.Config()
        assert default.store.path.parent == Path("/var/lib", setting("StateDirectory"))
        assert default.control.socket.parent == Path("/run", setting("RuntimeDirectory"))
        assert config.DEFAULT_PATH.parent == Path("/etc", setting("ConfigurationDirectory"))

    def test_the_tmpfiles_make_the_same_folders_with_the_same_modes(self) -> None:
        user, group = setting("User"), setting("Group")
        lines = [
            line.split()
            for line in (SYSTEMD / "penlatch.tmpfiles").read_text().splitlines()
            if line and not line.startswith("#")
        ]
        assert {line[1]: tuple(line[2:5]) for line in lines} == {
            "/etc/penlatch": ("0755", "root", "root"),
            f"/var/lib/{setting('StateDirectory')}": (setting("StateDirectoryMode"), user, group),
            f"/run/{setting('RuntimeDirectory')}": (setting("RuntimeDirectoryMode"), user, group),
        }

    def test_people_in_the_group_reach_the_socket_and_nothing_else(self) -> None:
        assert setting("RuntimeDirectoryMode") == "0750"
        assert setting("StateDirectoryMode") == "0700"
        assert setting("UMask") == "0077"
        assert setting("Group") in config.Control().allow_groups

    def test_the_user_is_in_the_groups_of_pens_and_serial_lines(self) -> None:
        lines = (SYSTEMD / "penlatch.sysusers").read_text()
        rules = (SYSTEMD / "70-penlatch.rules").read_text()
        assert set(re.findall(r"(?m)^m penlatch (\w+)$", lines)) == set(re.findall(r'GROUP="(\w+)"', rules))
        assert re.search(rf"(?m)^u {setting('User')} - ", lines)
        assert re.search(rf"(?m)^g {setting('Group')} - ?$", lines)

    def test_every_kind_of_device_with_a_rule_is_allowed(self) -> None:
        allowed = dict(v.split() for k, v in settings(UNIT.read_text()) if k == "DeviceAllow")
        lines = set(re.findall(r"(tty[A-Z]+)\[0-9\]", (SYSTEMD / "70-penlatch.rules").read_text()))
        assert allowed == {"char-input": "r"} | {f"char-{line}": "rw" for line in lines}

    def test_the_credentials_it_offers_are_those_the_code_looks_for(self) -> None:
        offered = {v.split(":")[0] for k, v in settings(UNIT.read_text(), commented=True) if "Credential" in k}
        assert offered == {KEY_CREDENTIAL, PASSWORD_CREDENTIAL}


def test_every_udev_rule_is_well_formed() -> None:
    term = re.compile(r'^(ACTION|SUBSYSTEM|KERNEL|ENV\{\w+\}|ATTRS\{\w+\}|GROUP|MODE)(==|!=|=)"[^"]*"$')
    matching = {"ACTION", "SUBSYSTEM", "KERNEL", "ATTRS"}
    lines = (SYSTEMD / "70-penlatch.rules").read_text().splitlines()
    rules = [line.lstrip("#") for line in lines if line.lstrip("#").startswith("ACTION")]
    assert len(rules) == 3
    for rule in rules:
        for part in rule.split(", "):
            found = term.match(part)
            assert found, part
            # `=` on what is only to be compared, or `==` on what is to be set, is udev's classic silent mistake.
            name = found[1].partition("{")[0]
            assert (found[2] == "=") is (name not in matching if name != "ENV" else "IGNORE" in found[1]), part
