"""The helpers of the scripts: they say exactly what is missing, and make a virtual environment once."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

LIB = Path(__file__).parents[2] / "scripts" / "lib"


def bash(program: str, *, cwd: Path, **changed: str) -> subprocess.CompletedProcess[str]:
    """Run a bash program that has sourced every helper, strict as the scripts are."""
    head = f"set -euo pipefail; SCRIPT_NAME=test; source '{LIB}/venv.sh'; "
    return subprocess.run(
        ["/bin/bash", "-c", head + program],
        cwd=cwd,
        env=os.environ | changed,
        capture_output=True,
        text=True,
        check=False,
    )


def program(folder: Path, name: str, text: str) -> None:
    """Put an executable shell script into a folder."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


class TestApt:
    """What is missing is named with its reason; nobody without rights is left guessing."""

    NEEDS = (
        "apt_need present 'is here' true; apt_need gizmo 'turns the pen' false; apt_need gadget 'for TLS' test -e /x; "
    )

    def test_without_rights_it_names_every_missing_package_and_the_command(self, tmp_path: Path) -> None:
        result = bash(self.NEEDS + "can_be_root() { false; }; apt_install; echo went on", cwd=tmp_path)
        assert result.returncode == 1
        assert result.stdout == ""
        assert "gizmo              turns the pen" in result.stderr
        assert "gadget             for TLS" in result.stderr
        assert "present" not in result.stderr
        assert result.stderr.endswith("sudo apt-get install --no-install-recommends gizmo gadget\n")

    def test_with_rights_it_installs_them_in_one_go_and_goes_on(self, tmp_path: Path) -> None:
        program(tmp_path / "bin", "apt-get", f'echo "$@" >> {tmp_path}/log')
        result = bash(
            f'PATH={tmp_path}/bin:$PATH; as_root() {{ "$@"; }}; can_be_root() {{ true; }}; {self.NEEDS} apt_install; '
            "apt_install; echo went on",
            cwd=tmp_path,
        )
        assert (result.returncode, result.stdout) == (0, "went on\n"), result.stderr
        assert (tmp_path / "log").read_text().splitlines() == [
            "update -q",
            "install -q -y --no-install-recommends gizmo gadget",
        ]

    def test_an_installation_that_fails_ends_the_script(self, tmp_path: Path) -> None:
        program(tmp_path / "bin", "apt-get", "exit 100")
        result = bash(
            f'PATH={tmp_path}/bin:$PATH; as_root() {{ "$@"; }}; can_be_root() {{ true; }}; {self.NEEDS} apt_install; '
            "echo went on",
            cwd=tmp_path,
        )
        assert result.returncode == 1
        assert result.stdout == ""
        assert "could not install gizmo gadget" in result.stderr

    def test_nothing_missing_asks_for_nothing(self, tmp_path: Path) -> None:
        result = bash("apt_need present 'is here' true; can_be_root() { exit 9; }; apt_install", cwd=tmp_path)
        assert (result.returncode, result.stderr) == (0, "")


class TestPython:
    """The first Python that is new enough, or a clear word."""

    def test_it_passes_over_an_old_one(self, tmp_path: Path) -> None:
        program(tmp_path / "bin", "python3", "exit 1")
        program(tmp_path / "bin", "python3.12", "exit 0")
        result = bash(f"PATH={tmp_path}/bin; find_python", cwd=tmp_path)
        assert result.stdout.strip() == f"{tmp_path}/bin/python3.12"

    def test_where_there_is_none_it_says_what_it_found_and_what_to_do(self, tmp_path: Path) -> None:
        program(tmp_path / "bin", "python3", '[ "$1" = --version ] && echo Python 3.9.2; exit 1')
        result = bash(f"PATH={tmp_path}/bin; python=$(find_python); echo went on", cwd=tmp_path)
        assert result.returncode == 1
        assert result.stdout == ""
        assert "Python 3.11 or later is needed (found" in result.stderr
        assert "Python 3.9.2" in result.stderr


FAKE_PYTHON = """
case "$*" in
-VV) echo "Python 3.11.9 (a stand-in)" ;;
"-m venv --clear "*)
    rm -rf "$4"; mkdir -p "$4/bin"
    cp "$0" "$4/bin/python"; touch "$4/bin/pip"; echo "VIRTUAL_ENV=$PWD/$4" >"$4/bin/activate"; echo venv >>log ;;
"-m pip install "*absent*) exit 1 ;;
"-m pip install "*) echo "pip ${*#-m pip install }" >>log ;;
esac
"""
"""Does what `make_venv` asks of a Python, in no time, and keeps a log of it. `scripts/test` itself uses a real one."""


class TestVenv:
    """Made once, kept while it fits, made again when what it was made from changes."""

    def make(self, checkout: Path, call: str) -> list[str]:
        """Call a function of `venv.sh` with its arguments, and return what was done."""
        program(checkout, "python", FAKE_PYTHON)
        (checkout / "log").write_text("")
        name, folder, *arguments = shlex.split(call)
        result = bash(shlex.join([name, folder, f"{checkout}/python", *arguments]) + "; echo went on", cwd=checkout)
        done = (checkout / "log").read_text().split("\n")[:-1]
        if result.returncode != 0:
            assert result.stdout == ""
            return [*done, f"failed: {result.stderr.strip().splitlines()[-1]}"]
        assert result.stdout == "went on\n"
        return done

    @pytest.fixture
    def checkout(self, tmp_path: Path) -> Path:
        """A checkout with the locks of one purpose."""
        (tmp_path / "pyproject.toml").write_text("[project]\n")
        locks = tmp_path / "scripts" / "requirements"
        locks.mkdir(parents=True)
        for purpose in ("build", "demo", "litert"):
            (locks / f"{purpose}-3.11.txt").write_text(f"{purpose}==1\n")
        return tmp_path

    BUILD = "pip --quiet --require-hashes -r scripts/requirements/build-3.11.txt"
    DEMO = "pip --quiet --require-hashes --no-build-isolation -r scripts/requirements/demo-3.11.txt"
    PROJECT = "pip --quiet --no-deps --no-build-isolation -e ."

    def test_the_packages_of_a_purpose_are_checked_by_hash_and_the_project_brings_none(self, checkout: Path) -> None:
        assert self.make(checkout, "make_venv .v demo") == ["venv", self.BUILD, self.DEMO, self.PROJECT]
        assert self.make(checkout, "make_venv .v demo") == []

    def test_the_second_runtime_is_alone_in_its_venv(self, checkout: Path) -> None:
        assert self.PROJECT not in self.make(checkout, "make_venv .w litert")

    def test_a_changed_lock_is_installed(self, checkout: Path) -> None:
        self.make(checkout, "make_venv .v demo")
        (checkout / "scripts" / "requirements" / "demo-3.11.txt").write_text("demo==2\n")
        assert self.make(checkout, "make_venv .v demo") == [self.BUILD, self.DEMO, self.PROJECT]

    def test_a_python_without_a_lock_is_told_what_to_do(self, checkout: Path) -> None:
        (checkout / "scripts" / "requirements" / "demo-3.11.txt").rename(
            checkout / "scripts" / "requirements" / "demo-3.13.txt"
        )
        [failed] = self.make(checkout, "make_venv .v demo")
        assert "there is no scripts/requirements/demo-3.11.txt: demo is locked for Python 3.13." in failed
        assert "scripts/lock" in failed

    def test_it_is_kept_while_it_fits(self, checkout: Path) -> None:
        [*_, failed] = self.make(checkout, "make_unlocked_venv .v absent")
        assert "pip could not install into .v" in failed
        [failed] = self.make(checkout, "make_unlocked_venv .v absent")
        assert "pip could not install" in failed, "a failure is not taken for done"
        assert self.make(checkout, "make_unlocked_venv .v -e .") == ["pip --quiet -e ."]
        assert self.make(checkout, "make_unlocked_venv .v -e .") == []
        assert self.make(checkout, "make_unlocked_venv .v -e .[dev]") == ["pip --quiet -e .[dev]"]
        (checkout / "pyproject.toml").write_text("[project]\nname = 'x'\n")
        assert self.make(checkout, "make_unlocked_venv .v -e .[dev]") == ["pip --quiet -e .[dev]"]
        assert self.make(checkout, "make_unlocked_venv .v -e .[dev]") == []

    def test_one_that_was_moved_or_is_of_another_python_is_made_anew(self, checkout: Path) -> None:
        assert self.make(checkout, "make_unlocked_venv .v x") == ["venv", "pip --quiet x"]
        (checkout / ".v").rename(checkout / ".w")
        assert self.make(checkout, "make_unlocked_venv .w x") == ["venv", "pip --quiet x"]
        program(checkout / ".w" / "bin", "python", FAKE_PYTHON.replace("3.11.9", "3.11.8"))
        assert self.make(checkout, "make_unlocked_venv .w x") == ["venv", "pip --quiet x"]
