"""The real programs around a measurement: Mosquitto on loopback, the daemon itself, and systemd's READY=1."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 30.0
"""Longest wait for a program to become ready [s]."""
SBIN = "/usr/sbin:/usr/local/sbin"
"""Where Debian puts mosquitto, outside an ordinary user's PATH."""


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a child that imports penlatch from this checkout.

    Nothing of the caller's own that changes how Python starts is passed on: an installed penlatch has its bytecode, and
    without it every start would compile the sources, which costs half a second and 8 MB.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "PYTHONPATH": f"{ROOT / 'daemon'}:{ROOT / 'models'}", **more}


def unit_environment() -> dict[str, str]:
    """Return what the systemd unit sets for the daemon (`Environment=`), but for the place of an installed bytecode."""
    lines = (ROOT / "systemd/penlatch.service").read_text(encoding="utf-8").splitlines()
    settings = [s for line in lines if line.startswith("Environment=") for s in line.partition("=")[2].split()]
    found = dict(setting.split("=", 1) for setting in settings)
    del found["PYTHONPYCACHEPREFIX"]
    return found


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """Give a folder of a short name, as a Unix socket's path holds only 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="penlatch-bench-") as folder:
        yield Path(folder)


def free_port() -> int:
    """Return a TCP port of loopback that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextlib.contextmanager
def mosquitto(folder: Path) -> Iterator[int]:
    """Run a real Mosquitto on loopback; gives its port."""
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:{SBIN}")
    if program is None:
        raise SystemExit("bench: mosquitto is missing: apt-get install mosquitto")
    port = free_port()
    file = folder / "mosquitto.conf"
    file.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\n")
    with subprocess.Popen([program, "-c", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for_port(port)
            yield port
        finally:
            process.terminate()


def _wait_for_port(port: int) -> None:
    end = time.monotonic() + START_LIMIT_S
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise SystemExit("bench: mosquitto does not listen")


class Ready:
    """The far end of NOTIFY_SOCKET (sd_notify(3))."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.settimeout(START_LIMIT_S)

    def wait(self) -> float:
        """Return when READY=1 came, on the monotonic clock [s]."""
        while True:
            try:
                told = self._socket.recv(4096)
            except TimeoutError:
                raise SystemExit("bench: the daemon never said READY=1") from None
            if b"READY=1" in told.split(b"\n"):
                return time.monotonic()

    def close(self) -> None:
        """Remove the socket."""
        self._socket.close()
        self.path.unlink(missing_ok=True)


class Daemon:
    """`penlatch run` as a process of its own."""

    def __init__(self, folder: Path, config: Path, *, wrapper: Sequence[str] = ()) -> None:
        """Start it and wait until it is ready.

        Args:
            folder: where its log and its sockets are.
            config: its configuration.
            wrapper: words before its command; what they start passes SIGTERM on.
        """
        self._wrapped = bool(wrapper)
        self.log = folder / "daemon.log"
        self._notify = Ready(folder)
        with self.log.open("ab") as log:
            self.started = time.monotonic()
            self._process = subprocess.Popen(
                [*wrapper, sys.executable, "-m", "penlatch", "run", "--config", str(config)],
                env=environment(NOTIFY_SOCKET=str(self._notify.path), **unit_environment()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self.ready_s = self._notify.wait() - self.started
        except SystemExit:
            self.stop()
            sys.stderr.write(self.log.read_text(errors="replace"))
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Process id, of the daemon itself also where it has a wrapper."""
        return child_of(self._process.pid) if self._wrapped else self._process.pid

    def stop(self) -> None:
        """Stop it as systemd would, and insist after a while."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._notify.close()

    def memory_kb(self) -> Mapping[str, int]:
        """Return `VmRSS`, `VmHWM` and their kin [kB] (proc(5))."""
        return memory_kb(self.pid)

    def cpu_s(self) -> float:
        """Return the CPU time used so far, user and system [s]."""
        return cpu_s(self.pid)


def child_of(pid: int) -> int:
    """Return the process id of the only child of a process."""
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    return int(child)


def memory_kb(pid: int) -> Mapping[str, int]:
    """Return the memory lines of `/proc/PID/status` [kB]."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return {line.partition(":")[0]: int(line.split()[1]) for line in lines if line.endswith(" kB")}


def cpu_s(pid: int) -> float:
    """Return utime + stime of a process, to the nanosecond: its own CPU clock (clock_getcpuclockid(3)) [s].

    /proc/PID/stat counts the same time in ticks of 10 ms, which is as much as an idle daemon uses in ten seconds.
    """
    scheduler_clock = 2
    return time.clock_gettime((~pid << 3) | scheduler_clock)


def python_until(statement: str, *, settle: str = "") -> tuple[float, Mapping[str, int]]:
    """Start a bare Python, run `statement` in it, and say how long that took [s] and what memory it then holds [kB]."""
    program = f"{statement}\n{settle}\nimport sys; sys.stdout.write('.'); sys.stdout.flush(); sys.stdin.read()"
    started = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-c", program], env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        if process.stdout is None or process.stdin is None or process.stdout.read(1) != b".":
            raise SystemExit(f"bench: python -c {statement!r} failed")
        took = time.monotonic() - started
        memory = memory_kb(process.pid)
        process.stdin.close()
    return took, memory
