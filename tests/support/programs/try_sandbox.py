"""What may a process here do that the daemon never needs? Prints, as JSON, for each deed "done" or how it was refused.

Runs with the standard library alone, in the daemon's sandbox and outside of it. Each deed undoes itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = (ctypes.c_void_p, *(ctypes.c_size_t, *[ctypes.c_int] * 3), ctypes.c_long)

CLONE_NEWNS = 0x00020000
SYSLOG_READ_ALL = 3
SHARED_KEY = 0x70656E
"""Of the SysV shared memory that the test has made."""
TASKS = 100
ADDR_NO_RANDOMIZE = 0x0040000
SYS_INIT_MODULE = 175


class RefusedError(Exception):
    """It was not an error of the system that refused it."""


def call(name: str, *arguments: Any) -> int:
    """Call a function of the C library; raises OSError where that reports an error."""
    result: int = getattr(LIBC, name)(*arguments)
    if result in {-1, ctypes.c_size_t(-1).value}:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def write(path: str) -> None:
    """Put a new file somewhere."""
    file = Path(path)
    file.write_text("")
    file.unlink()


def overwrite(path: str) -> None:
    """Write into a file of the kernel what it holds."""
    text = Path(path).read_text(encoding="ascii")
    with open(path, "w", encoding="ascii") as file:  # noqa: PTH123 - as short as can be
        file.write(text)


def look(path: str) -> None:
    """See something that is there."""
    if not Path(path).exists():
        raise RefusedError("it is not there")
    if Path(path).is_dir():
        list(Path(path).iterdir())


def open_device(path: str, flags: int) -> None:
    """Open a device."""
    os.close(os.open(path, flags | os.O_NONBLOCK))


def pens() -> list[str]:
    """Return the event devices."""
    return sorted(map(str, Path("/dev/input").glob("event*")))


def send(address: str) -> None:
    """Send a datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        channel.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        channel.sendto(b"x", (address, 9))


def in_a_child(deed: Callable[[], object]) -> Callable[[], None]:
    """Do it in a process that ends afterwards: it cannot be undone."""

    def run() -> None:
        reading, writing = os.pipe()
        if not (child := os.fork()):
            with contextlib.suppress(BaseException):
                try:
                    deed()
                    os.write(writing, b"done")
                except (OSError, RefusedError) as error:
                    os.write(writing, str(error).encode())
            os._exit(0)
        os.close(writing)
        said = os.read(reading, 200).decode()
        os.close(reading)
        os.waitpid(child, 0)
        if said != "done":
            raise RefusedError(said or "the process was killed")

    return run


def run_written_memory() -> None:
    """Have memory that can be written and run."""
    rwx = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    call("mmap", None, mmap.PAGESIZE, rwx, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)


def set_uid_program() -> None:
    """Make a program that others run with the rights of its owner."""
    with tempfile.NamedTemporaryFile() as file:
        os.fchmod(file.fileno(), 0o4755)


def run_a_program(place: str) -> None:
    """Run what was written just now."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        program = Path(folder, "program")
        program.write_text("#!/bin/sh\n")
        program.chmod(0o700)
        subprocess.run([program], check=True)


def many_tasks() -> None:
    """Start more threads than the daemon ever has."""
    stop = threading.Event()
    try:
        for _ in range(TASKS):
            threading.Thread(target=stop.wait, daemon=True).start()
    except RuntimeError as error:
        raise RefusedError(str(error)) from error
    finally:
        stop.set()


def leave_a_core() -> None:
    """Have the memory written to disk at a crash."""
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        raise RefusedError("the limit is 0")


def be_swapped() -> None:
    """Have the memory written to the swap."""
    group = Path("/proc/self/cgroup").read_text(encoding="ascii").strip().rpartition(":")[2]
    if Path(f"/sys/fs/cgroup{group}/memory.swap.max").read_text(encoding="ascii").strip() == "0":
        raise RefusedError("the limit is 0")


def gain_privileges() -> None:
    """Run set-uid programs with the rights of their owner."""
    if "NoNewPrivs:\t1" in Path("/proc/self/status").read_text(encoding="ascii"):
        raise RefusedError("NoNewPrivs")


def foreign_calls() -> None:
    """Make a system call of the kernel's 32-bit interface: one that does nothing, by its own instruction."""
    # mov eax, 20 (getpid); int 0x80; ret
    code = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"
    with tempfile.NamedTemporaryFile() as file:
        file.write(code.ljust(mmap.PAGESIZE, b"\x90"))
        file.flush()
        flags = mmap.PROT_READ | mmap.PROT_EXEC
        place = call("mmap", None, mmap.PAGESIZE, flags, mmap.MAP_PRIVATE, file.fileno(), 0)
        if ctypes.CFUNCTYPE(ctypes.c_int)(place)() != os.getpid():
            raise RefusedError("it does not answer")


def deeds() -> Iterator[tuple[str, Callable[[], object]]]:
    """Name everything that is tried."""
    for folder in ("/etc/penlatch", "/usr", "/opt/penlatch", "/var/lib", "/run", "/dev/shm"):  # noqa: S108 - it is tried
        yield f"write to {folder}", partial(write, f"{folder}/deed")
    for place in ("/tmp", os.environ["STATE_DIRECTORY"], os.environ["RUNTIME_DIRECTORY"]):  # noqa: S108 - likewise
        yield f"run a program in {place}", partial(run_a_program, place)
    yield "see a file in /tmp", lambda: look("/tmp/deed-marker")  # noqa: S108 - likewise
    yield "see a file in a home", lambda: look("/home/deed-marker")
    yield "see root's home", lambda: look("/root")
    yield "see the password hashes", lambda: Path("/etc/shadow").read_bytes()
    yield "see other processes", lambda: look("/proc/1")
    yield "set a kernel variable", lambda: overwrite("/proc/sys/kernel/threads-max")
    yield "change a control group", lambda: overwrite("/sys/fs/cgroup/cgroup.max.depth")
    yield "write to a pen", lambda: open_device(pens()[0], os.O_RDWR)
    yield "make a pen", lambda: open_device("/dev/uinput", os.O_RDWR)
    yield "open a disk", lambda: open_device("/dev/loop-control", os.O_RDWR)
    yield "open the memory", lambda: open_device("/dev/mem", os.O_RDONLY)
    yield "open the kernel's log", lambda: open_device("/dev/kmsg", os.O_RDONLY)
    yield "read the kernel's log", lambda: call("klogctl", SYSLOG_READ_ALL, ctypes.create_string_buffer(99), 99)
    yield "set the clock", lambda: time.clock_settime(time.CLOCK_REALTIME, time.time())
    yield "set the host's name", lambda: socket.sethostname(socket.gethostname())
    yield "load a module", load_a_module
    yield "mount", in_a_child(lambda: call("mount", b"none", b"/mnt", b"tmpfs", 0, None))
    yield "change the root", in_a_child(lambda: os.chroot("/"))
    yield "have mounts of its own", in_a_child(lambda: call("unshare", CLONE_NEWNS))
    yield "become root", in_a_child(lambda: os.setuid(0))
    yield "run in real time", in_a_child(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)))
    yield "run before others", in_a_child(lambda: os.setpriority(os.PRIO_PROCESS, 0, -5))
    yield "lift a limit", in_a_child(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (2048, 1 << 20)))
    yield "be another machine", in_a_child(lambda: call("personality", ADDR_NO_RANDOMIZE))
    yield "make calls of 32 bits", in_a_child(foreign_calls)
    yield "run written memory", run_written_memory
    yield "make a set-uid program", set_uid_program
    yield "gain privileges", gain_privileges
    yield "start many tasks", many_tasks
    yield "leave a core", leave_a_core
    yield "be swapped", be_swapped
    yield "see others' shared memory", lambda: call("shmget", SHARED_KEY, 1, 0)
    yield "speak netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()
    yield "speak raw packets", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    yield "speak to everybody", lambda: send("224.0.0.1")


def load_a_module() -> None:
    """Offer the kernel a module that is none: what may load modules is told of that, what may not, that it may not."""
    try:
        call("syscall", SYS_INIT_MODULE, b"no module", 9, b"")
    except OSError as error:
        if isinstance(error, PermissionError):
            raise


def outcome(deed: Callable[[], object]) -> str:
    """Try it."""
    try:
        deed()
    except (OSError, RefusedError) as error:
        return f"refused: {error}"
    return "done"


if __name__ == "__main__":
    json.dump({name: outcome(deed) for name, deed in deeds()}, sys.stdout)
