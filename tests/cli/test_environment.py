"""`penlatch pam` in the environment of an attacker: whatever it says, nobody gets in by it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from penlatch.cli.environment import FIXED, GIVEN, believed, disbelieved
from penlatch.control import interface
from penlatch.control.wire import Reply
from penlatch.messages import LOGIN, Verdict
from support.examples import decision
from support.signing import soon
from support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

PAM = {"PAM_TYPE": "auth", "PAM_USER": "ada"}
PLAIN = (sys.executable, "-m", "penlatch")
SCRIPT = (str(Path(sys.executable).with_name("penlatch")),)
ISOLATED = (sys.executable, "-I", "-m", "penlatch")


@pytest.fixture
def impostor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A daemon of the attacker's, at which everybody matches."""
    path = tmp_path_factory.mktemp("evil") / "sock"
    match = msgspec.structs.replace(decision(1), verdict=Verdict.MATCH, user="ada", purpose=LOGIN, done=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    asked = json.loads(client.recv(65536).rstrip(b"\0"))
                    mine = msgspec.structs.replace(match, transaction=asked["parameters"]["transaction"])
                    client.sendall(Reply(parameters=interface.EventReply.of(mine), continues=False).to_bytes())

        threading.Thread(target=serve, daemon=True).start()
        yield path
        listener.shutdown(socket.SHUT_RDWR)


def run(launch: tuple[str, ...], *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as pam_exec would, with a hostile environment."""
    return subprocess.run(
        [*launch, "pam", *arguments],
        env=os.environ | PAM | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


def hostile(folder: Path, impostor: Path) -> dict[str, str]:
    """Return everything at once, as an attacker would have it."""
    config = folder / "penlatch.toml"
    config.write_text(f'[control]\nsocket = "{impostor}"\n')
    home = folder / "home"
    for place in (home / ".config/penlatch", home / "penlatch"):
        place.mkdir(parents=True)
        (place / "penlatch.toml").write_text(config.read_text())
    return {
        "PENLATCH_SOCKET": str(impostor),
        "PENLATCH_CONFIG": str(config),
        "PENLATCH_PAM_SOCKET": str(impostor),
        "PYTHONINSPECT": "1",
        "PYTHONWARNINGS": "error",
        "PYTHONBREAKPOINT": "os._exit",
        "PYTHONSTARTUP": str(config),
        "_PENLATCH_COMPLETE": "bash_source",
        "COMP_WORDS": "penlatch pam",
        "COMP_CWORD": "1",
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_RUNTIME_DIR": str(home),
        "PATH": str(home),
        "LANGUAGE": "../../evil",
        "LD_LIBRARY_PATH": str(home),
        "TMPDIR": str(home),
        "NOTIFY_SOCKET": str(impostor),
        "CREDENTIALS_DIRECTORY": str(home),
    }


def test_the_impostor_would_let_everybody_in(impostor: Path) -> None:
    assert run(PLAIN, "--socket", str(impostor)).returncode == 0


@pytest.mark.parametrize("launch", [PLAIN, SCRIPT, ISOLATED], ids=["-m", "script", "isolated"])
def test_whatever_the_environment_says_nobody_gets_in(tmp_path: Path, impostor: Path, launch: tuple[str, ...]) -> None:
    done = run(launch, **hostile(tmp_path, impostor))
    assert done.returncode == 3, done
    assert "nobody listens on /run/penlatch/penlatch.sock" in done.stdout


@pytest.mark.parametrize("launch", [PLAIN, SCRIPT], ids=["-m", "script"])
@pytest.mark.parametrize(
    "name",
    ["PENLATCH_SOCKET", "PENLATCH_CONFIG", "PYTHONINSPECT", "_PENLATCH_COMPLETE", "HOME", "XDG_CONFIG_HOME", "PATH"],
)
def test_no_single_word_of_it_does(tmp_path: Path, impostor: Path, launch: tuple[str, ...], name: str) -> None:
    assert run(launch, **{name: hostile(tmp_path, impostor)[name]}).returncode == 3


def test_modules_of_the_attackers_are_not_imported_where_python_is_started_isolated(tmp_path: Path) -> None:
    for name in ("sitecustomize", "usercustomize", "click", "penlatch", "encodings"):
        (tmp_path / f"{name}.py").write_text("import os\nos._exit(0)\n")
    evil = {"PYTHONPATH": str(tmp_path), "PYTHONHOME": str(tmp_path), "PYTHONUSERBASE": str(tmp_path)}
    assert run(ISOLATED, **evil).returncode == 3


def test_only_what_pam_says_is_left(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("silent") / "sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        process = subprocess.Popen(
            [*PLAIN, "pam", "--socket", str(path)], env=os.environ | PAM | {"EVIL": "1"}, stdout=subprocess.DEVNULL
        )
        try:
            listener.settimeout(PATIENCE_S)
            with listener.accept()[0]:
                words = Path(f"/proc/{process.pid}/environ").read_bytes().decode().rstrip("\0").split("\0")
                assert {word.partition("=")[0] for word in words} == {*FIXED, *PAM}
        finally:
            process.kill()
            process.wait()
    soon(lambda: process.poll() is not None, "it is gone")


def test_the_names_of_pam_pass_and_come_back_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAM_USER", "ada")
    monkeypatch.setenv("EVIL", "1")
    before = dict(os.environ)
    with disbelieved():
        assert os.environ["PAM_USER"] == "ada"
        assert "EVIL" not in os.environ
    assert dict(os.environ) == before
    assert set(believed(dict.fromkeys((*GIVEN, "EVIL"), "x"))) == {*GIVEN, *FIXED}
