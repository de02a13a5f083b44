"""penlatch as scripts/install lays it, under a real systemd: its rights, its words to systemd, and how it is ended."""

from __future__ import annotations

import asyncio
import ctypes
import grp
import json
import pwd
import shutil
import stat
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import pytest

from support.broker import TERMINAL, Mosquitto, Observer
from support.hanging import disk, frozen, hang_until_killed, main_thread, worker_thread
from support.installed_terminal import UNIT, InstalledTerminal, systemctl
from support.programs.try_sandbox import SHARED_KEY
from support.signing import ADA, IDLE_S, PATIENT, acquaint, assert_known, pen_found, pen_missed, soon
from support.uinput_pens import WACOM, UinputPen
from support.wired import WiredIsdv4Tablet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.guest("terminal")

NAME: Final = "door-1"
STATE: Final = f"penlatch/{NAME}/state"
DECISION: Final = f"penlatch/{NAME}/decision"
NEAR_END, FAR_END = "/dev/ttyS1", "/dev/ttyS2"
WATCHDOG_S: Final = 10
"""In the place of the unit's 60 s."""
EXPOSURE_LIMIT: Final = 1.3
PROGRAM: Final = Path(__file__).parents[1] / "support/programs/try_sandbox.py"
IPC_CREAT: Final = 0o1000


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """Return a running Mosquitto."""
    broker = Mosquitto(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory, broker: Mosquitto) -> Iterator[InstalledTerminal]:
    """Return a terminal that knows ada, whose state lies on a disk of its own, and that does not run yet."""
    terminal = InstalledTerminal()
    folder = tmp_path_factory.mktemp("terminal")
    (folder / "password").write_text(TERMINAL[1])
    terminal.drop_in("tests", f"WatchdogSec={WATCHDOG_S}", f"LoadCredential=mqtt.password:{folder / 'password'}")
    with disk(terminal.folder, folder / "disk"):
        configure(terminal, "evdev:", broker)
        acquaint(terminal.folder, "ada")
        terminal.own()
        yield terminal
        terminal.stop()


@pytest.fixture
def running(terminal: InstalledTerminal, broker: Mosquitto) -> InstalledTerminal:
    """Return the terminal, running with an evdev pen."""
    configure(terminal, "evdev:", broker)
    terminal.start()
    return terminal


def configure(terminal: InstalledTerminal, device: str, broker: Mosquitto) -> None:
    """Have it read `device` from the next start on."""
    sections: dict[str, dict[str, Any]] = {
        "terminal": {"name": NAME, "mode": "always"},
        "pen": {"device": device},
        "segment": {"idle_s": IDLE_S},
        "mqtt": {"host": "127.0.0.1", "port": broker.port, "username": TERMINAL[0]},
    }
    terminal.configure({**sections, **PATIENT})


def states(observer: Observer) -> list[tuple[str, int]]:
    """Every state and the number of the start that it was said in."""
    return [(seen.body["state"], seen.body["boot"]) for seen in observer.on(STATE)]


def said_last(observer: Observer, state: str) -> bool:
    return states(observer)[-1:] == [(state, mock.ANY)]


def test_it_starts_with_the_board_and_tries_for_ever() -> None:
    assert systemctl("is-enabled", UNIT).strip() == "enabled"
    assert InstalledTerminal().shown("StartLimitIntervalUSec") == "0"


def test_udev_gives_the_pen_to_the_group_it_is_in(terminal: InstalledTerminal) -> None:
    del terminal
    with UinputPen(WACOM) as pen:
        soon(lambda: Path(pen.path).stat().st_gid == grp.getgrnam("input").gr_gid, "udev's rule")
        assert stat.S_IMODE(Path(pen.path).stat().st_mode) == 0o660
    assert {"input", "dialout"} <= {group.gr_name for group in grp.getgrall() if "penlatch" in group.gr_mem}


async def test_a_signature_on_a_pen_is_a_decision_on_the_broker(terminal: InstalledTerminal, broker: Mosquitto) -> None:
    configure(terminal, "evdev:", broker)
    async with Observer(broker.port) as observer:
        await asyncio.to_thread(terminal.start)
        with UinputPen(WACOM) as pen:
            await asyncio.to_thread(pen_found, terminal)
            soon(lambda: terminal.shown("StatusText") == "well", "it says that it is well", pause_s=0.5)
            await asyncio.to_thread(assert_known, terminal, "ada", ADA, pen.write)
        await observer.until(lambda _: any(seen.body["verdict"] == "match" for seen in observer.on(DECISION)))
        await asyncio.to_thread(pen_missed, terminal)
        soon(lambda: "pen: " in terminal.shown("StatusText"), "it says that the pen is missing", pause_s=0.5)


def test_it_runs_as_nobody_else_and_what_it_keeps_is_for_nobody_else(running: InstalledTerminal) -> None:
    account = pwd.getpwnam("penlatch")
    assert Path(f"/proc/{running.pid}").stat().st_uid == account.pw_uid
    assert stat.S_IMODE(running.folder.stat().st_mode) == 0o700
    files = [path for path in running.folder.iterdir() if path.name != "lost+found"]
    assert {"penlatch.db", "store.key"} <= {path.name for path in files}
    for path in files:
        assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode) & 0o077) == (account.pw_uid, 0), path
    folder = running.socket.parent.stat()
    assert (stat.S_IMODE(folder.st_mode), folder.st_gid) == (0o750, account.pw_gid)


async def test_a_clean_stop_is_said_and_no_will_speaks(running: InstalledTerminal, broker: Mosquitto) -> None:
    async with Observer(broker.port) as observer:
        await observer.until(lambda _: said_last(observer, "online"))
        await asyncio.to_thread(running.stop)
        await observer.until(lambda _: said_last(observer, "offline"))
        await asyncio.to_thread(running.start)
        await observer.until(lambda _: said_last(observer, "online"))
        (_, first), (_, same), (_, second) = states(observer)
        assert (first, second) == (same, same + 1)
    assert running.shown("Result") == "success"


async def test_a_killed_one_is_started_anew_and_its_will_speaks(running: InstalledTerminal, broker: Mosquitto) -> None:
    async with Observer(broker.port) as observer:
        await observer.until(lambda _: said_last(observer, "online"))
        restarts = int(running.shown("NRestarts"))
        systemctl("kill", "--signal", "KILL", UNIT)
        await asyncio.to_thread(running.restarted, restarts)
        await observer.until(lambda _: len(states(observer)) == 3 and said_last(observer, "online"))
        (_, first), lost, (_, second) = states(observer)
        assert (lost, second) == (("lost", first), first + 1)


@pytest.mark.parametrize("thread", [main_thread, worker_thread], ids=["the loop", "the inference"])
def test_one_whose_thread_hangs_is_ended_and_started_anew(
    running: InstalledTerminal, thread: Callable[[int], int]
) -> None:
    restarts = int(running.shown("NRestarts"))
    hang_until_killed(thread(running.pid))
    running.restarted(restarts)
    assert "watchdog" in running.log()


def test_one_whose_disk_hangs_is_ended_and_started_anew(running: InstalledTerminal) -> None:
    restarts = int(running.shown("NRestarts"))
    with frozen(running.folder):
        soon(lambda: running.shown("Result") == "watchdog", "systemd misses its sign of life", pause_s=1)
    running.restarted(restarts)
    with UinputPen(WACOM) as pen:
        pen_found(running)
        assert_known(running, "ada", ADA, pen.write)


def test_a_signature_on_a_serial_line_counts_too(terminal: InstalledTerminal, broker: Mosquitto) -> None:
    terminal.stop()
    configure(terminal, f"isdv4:{NEAR_END}", broker)
    with WiredIsdv4Tablet(FAR_END, size_mm=(263.12, 165.2)) as tablet:
        terminal.start()
        pen_found(terminal)
        assert Path(NEAR_END).stat().st_gid == grp.getgrnam("dialout").gr_gid
        assert_known(terminal, "ada", ADA, tablet.write)
    terminal.stop()


def test_its_exposure_is_small(running: InstalledTerminal) -> None:
    del running
    told = subprocess.run(
        ["systemd-analyze", "security", "--no-pager", UNIT], capture_output=True, text=True, check=True
    ).stdout
    assert float(told.rpartition("exposure level for penlatch.service: ")[2].split()[0]) <= EXPOSURE_LIMIT


class TestSandbox:
    """What the daemon never needs, tried by a program in its place."""

    @pytest.fixture(scope="class", autouse=True)
    @staticmethod
    def _things_to_find() -> Iterator[None]:
        libc = ctypes.CDLL(None)
        segment = libc.shmget(SHARED_KEY, 1, IPC_CREAT | 0o666)
        assert segment != -1
        markers = [Path(folder, "deed-marker") for folder in ("/tmp", "/home")]  # noqa: S108 - the guest's own
        for marker in markers:
            marker.touch()
        with ExitStack() as undo, UinputPen(WACOM):
            for marker in markers:
                undo.callback(marker.unlink)
            yield

    def test_it_can_do_none_of_it(self, tmp_path: Path) -> None:
        told = tried(tmp_path, Path("/etc/systemd/system", UNIT).read_text())
        assert {deed for deed, outcome in told.items() if not outcome.startswith("refused: ")} == set()

    def test_root_outside_of_it_can_do_all_of_it(self, tmp_path: Path) -> None:
        told = tried(tmp_path, "[Service]\nStateDirectory=deeds\nRuntimeDirectory=deeds\n")
        assert {deed: outcome for deed, outcome in told.items() if outcome != "done"} == {}


def tried(folder: Path, unit: str) -> dict[str, str]:
    """Run the program that tries things, as a unit that is like `unit`, and return what it tells."""
    program = Path("/run/try_sandbox.py")
    shutil.copy(PROGRAM, program)
    program.chmod(0o644)
    told = folder / "told.json"
    runtime = Path("/run/systemd/system")
    (runtime / "tried.service").write_text(unit)
    drop_in = runtime / "tried.service.d/tests.conf"
    drop_in.parent.mkdir(exist_ok=True)
    drop_in.write_text(
        "[Service]\nType=oneshot\nRestart=no\nWatchdogSec=0\nExecStart=\n"
        f"ExecStart=/usr/bin/python3 {program}\nStandardOutput=truncate:{told}\n"
    )
    systemctl("daemon-reload")
    systemctl("start", "tried.service")
    outcomes: dict[str, str] = json.loads(told.read_text())
    return outcomes
