"""`penlatch pam`: a match lets in; time-out, error, silence and a daemon that goes do not."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from penlatch.cli import main
from penlatch.control.client import Client
from penlatch.errors import RequestError
from penlatch.messages import Action, Armed, Verdict, Way
from penlatch.signal.preprocess import clean
from penlatch.signal.raster import draw
from penlatch.sim.tablet import Isdv4Tablet
from penlatch.sim.writer import Writer
from support.door import know
from support.examples import decision
from support.signing import ATTEMPTS, IDLE_S, pen_found
from support.terminal import Terminal
from support.verbs import ScriptedVerbs, served
from support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from penlatch.ink import Trace
    from penlatch.messages import Event

ADA, EVE = Writer(11), Writer(12)
SERVICE = "penlatch-test"
PAM_FOLDER = Path("/etc/pam.d")


@pytest.fixture(scope="module")
def tablet() -> Iterator[Isdv4Tablet]:
    """A tablet that is plugged in."""
    with Isdv4Tablet() as tablet:
        yield tablet


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory, tablet: Isdv4Tablet) -> Iterator[Terminal]:
    """A running terminal that knows ada."""
    sections = {"segment": {"idle_s": IDLE_S}, "verify": {"timeout_s": 6.0, "tries": 1}}
    terminal = Terminal(tmp_path_factory.mktemp("door"), device=f"isdv4:{tablet.path}", sections=sections)
    rng = np.random.default_rng(0)
    know(terminal, "ada", iter(lambda: ADA.genuine(rng), None))
    with terminal:
        pen_found(terminal)
        yield terminal


def start(terminal: Terminal, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start the command as pam_exec would."""
    return subprocess.Popen(
        [sys.executable, "-m", "penlatch", "pam", "--socket", str(terminal.socket), *arguments],
        env=os.environ | {"PAM_TYPE": "auth", "PAM_USER": "ada"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def signs(process: subprocess.Popen[str], tablet: Isdv4Tablet, trace: Trace) -> int:
    """Sign when it is asked for; return the exit status."""
    assert process.stderr
    for line in process.stderr:
        if "Sign now" in line:
            tablet.play(trace)
    return process.wait(PATIENCE_S)


def signed(terminal: Terminal, tablet: Isdv4Tablet, trace: Trace, *arguments: str, **environment: str) -> int:
    """Have the command ask for a signature; return its exit status. A signature that the machine tore is repeated."""
    for _ in range(ATTEMPTS):
        status = signs(start(terminal, *arguments, **environment), tablet, trace)
        if status == 0 or not tablet.torn:
            break
    return status


def genuine(seed: int) -> Trace:
    return ADA.genuine(np.random.default_rng(seed))


def test_a_match_is_success(terminal: Terminal, tablet: Isdv4Tablet) -> None:
    assert signed(terminal, tablet, genuine(5)) == 0


def test_another_hand_is_not(terminal: Terminal, tablet: Isdv4Tablet) -> None:
    assert signed(terminal, tablet, EVE.genuine(np.random.default_rng(5))) == 1


def test_the_signature_must_be_of_the_user_that_is_named(terminal: Terminal, tablet: Isdv4Tablet) -> None:
    assert signs(start(terminal, PAM_USER="eve"), tablet, genuine(6)) == 3
    assert signed(terminal, tablet, genuine(7), "--user", "ada", PAM_USER="root") == 0


def test_a_match_with_a_picture_suffices_only_where_it_is_said(terminal: Terminal, tablet: Isdv4Tablet) -> None:
    raster = draw(clean(EVE.genuine(np.random.default_rng(20)))).tobytes()
    client = Client(terminal.socket)
    client.enroll_picture("eve", raster)
    try:
        rng = np.random.default_rng(21)
        process = start(terminal, PAM_USER="eve")
        assert signs(process, tablet, EVE.genuine(rng)) == 1
        assert process.stdout
        assert "grade picture does not suffice" in process.stdout.read()
        assert signed(terminal, tablet, EVE.genuine(rng), "--grade", "picture", PAM_USER="eve") == 0
        assert signs(start(terminal, "--grade", "picture"), tablet, genuine(22)) == 1
    finally:
        client.delete_user("eve")


def test_nobody_who_signs_in_time_is_not(terminal: Terminal) -> None:
    assert start(terminal).wait(PATIENCE_S) == 3


def test_a_daemon_that_is_killed_meanwhile_is_not(terminal: Terminal) -> None:
    process = start(terminal)
    assert process.stderr
    assert "Sign now" in process.stderr.readline()
    terminal.kill()
    assert process.wait(PATIENCE_S) == 3
    terminal.start()
    pen_found(terminal)


def test_a_daemon_that_hangs_is_not(terminal: Terminal) -> None:
    assert terminal.process
    os.kill(terminal.process.pid, 19)
    try:
        process = start(terminal, "--timeout", "1")
        assert process.wait(PATIENCE_S) == 3
        assert process.stdout
        assert "no result within 1 s" in process.stdout.read()
    finally:
        os.kill(terminal.process.pid, 18)


def test_without_a_daemon_it_is_not(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path / "none", device="evdev:")
    assert start(terminal).wait(PATIENCE_S) == 3


@pytest.mark.parametrize("environment", [{"PAM_TYPE": "open_session"}, {"PAM_TYPE": ""}, {"PAM_USER": ""}])
def test_whatever_else_pam_asks_is_refused(terminal: Terminal, environment: dict[str, str]) -> None:
    assert start(terminal, **environment).wait(PATIENCE_S) == 2


class Answering(ScriptedVerbs):
    """A daemon that answers a login with a match, some of it changed; None in `changed` leaves a field as asked."""

    def __init__(self, **changed: object) -> None:
        super().__init__()
        self.changed = changed
        self.purposes: list[str] = []

    def verify(
        self, user: str, *, purpose: str = "", transaction: str | None = None, way: Way = Way.LOCAL
    ) -> AsyncIterator[Event]:
        self.purposes.append(purpose)
        fields = {"user": user, "purpose": purpose, "transaction": transaction} | self.changed
        self.script = [decision(1, **fields)]
        return super().verify(user, purpose=purpose, transaction=transaction, way=way)


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, 0),
        ({"purpose": "door"}, 3),
        ({"purpose": "check"}, 3),
        ({"purpose": "login2"}, 3),
        ({"user": "bob"}, 3),
        ({"user": None}, 3),
        ({"transaction": None}, 3),
        ({"transaction": "another"}, 3),
        ({"action": Action.IDENTIFY}, 3),
        ({"historical": True}, 3),
        ({"verdict": Verdict.ERROR}, 3),
        ({"verdict": Verdict.NO_MATCH}, 1),
    ],
)
def test_only_a_match_for_a_login_at_this_request_lets_in(
    changed: dict[str, object], status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAM_TYPE", "auth")
    monkeypatch.setenv("PAM_USER", "alice")
    verbs = Answering(**changed)
    with served(tmp_path, verbs) as socket:
        result = CliRunner().invoke(main, ["pam", "--socket", str(socket)])
    assert (result.exit_code, verbs.purposes) == (status, ["login"])


class TestPamtester:
    """The same through libpam and pam_exec, as `login` would."""

    @pytest.fixture
    def service(self, terminal: Terminal, tmp_path: Path) -> Iterator[str]:
        """A service of PAM that asks for nothing but a signature."""
        if not shutil.which("pamtester"):
            pytest.skip("pamtester is missing: apt-get install pamtester")
        if os.geteuid() != 0:
            pytest.skip("a service of PAM is set up by root only")
        command = tmp_path / "ask"
        paths = os.environ.get("PYTHONPATH", "")
        command.write_text(
            f"#!/bin/sh\nexport PYTHONPATH={paths}\n"
            f"exec {sys.executable} -m penlatch pam --socket {terminal.socket} --timeout 10\n"
        )
        command.chmod(0o755)
        file = PAM_FOLDER / SERVICE
        file.write_text(f"auth required pam_exec.so stdout {command}\naccount required pam_permit.so\n")
        yield SERVICE
        file.unlink()

    @staticmethod
    def ask(service: str, user: str = "ada") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pamtester", service, user, "authenticate"],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )

    def when_asked(self, terminal: Terminal, tablet: Isdv4Tablet, trace: Trace) -> threading.Thread:
        """Have somebody sign as soon as the terminal waits for it."""

        def hand() -> None:
            with contextlib.suppress(RequestError):  # the terminal may stop first
                for event in Client(terminal.socket).monitor():
                    if isinstance(event, Armed):
                        tablet.play(trace)
                        return

        thread = threading.Thread(target=hand, daemon=True)
        thread.start()
        return thread

    def test_a_genuine_signature_authenticates(self, service: str, terminal: Terminal, tablet: Isdv4Tablet) -> None:
        for _ in range(ATTEMPTS):
            self.when_asked(terminal, tablet, genuine(8))
            told = self.ask(service)
            if told.returncode == 0 or not tablet.torn:
                break
        assert told.returncode == 0, told.stdout + told.stderr
        assert "successfully authenticated" in told.stdout + told.stderr

    def test_another_hand_does_not(self, service: str, terminal: Terminal, tablet: Isdv4Tablet) -> None:
        self.when_asked(terminal, tablet, EVE.genuine(np.random.default_rng(9)))
        assert self.ask(service).returncode != 0

    def test_nobody_does_not(self, service: str) -> None:
        assert self.ask(service).returncode != 0
