"""What systemd hears from the daemon, on a real datagram socket."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from typing import TYPE_CHECKING

import pytest

from penlatch.service.notify import Notifier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """A service manager's socket, and its name as `NOTIFY_SOCKET` would give it."""
    name = f"{tmp_path}/notify" if request.param == "path" else f"@penlatch-test-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        listener.setblocking(False)
        yield name, listener


def test_each_word_arrives_as_one_datagram(manager: tuple[str, socket.socket]) -> None:
    name, listener = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    notifier.ready("on-demand")
    notifier.status("well")
    notifier.watchdog()
    notifier.stopping()
    heard = [listener.recv(4096) for _ in range(4)]
    assert heard == [b"READY=1\nSTATUS=on-demand", b"STATUS=well", b"WATCHDOG=1", b"STOPPING=1"]


def test_a_status_cannot_smuggle_in_another_assignment(manager: tuple[str, socket.socket]) -> None:
    name, listener = manager
    Notifier({"NOTIFY_SOCKET": name}).status("pen lost\nWATCHDOG=1\r\n")
    assert listener.recv(4096) == b"STATUS=pen lost WATCHDOG=1"


def test_a_manager_that_is_behind_holds_up_nobody_and_hears_the_last_status_later(
    manager: tuple[str, socket.socket],
) -> None:
    name, listener = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    for number in range(1000):
        notifier.status(f"status {number}")
    notifier.stopping()
    with contextlib.suppress(BlockingIOError):
        while listener.recv(4096):
            pass
    notifier.watchdog()
    notifier.watchdog()
    assert [listener.recv(4096) for _ in range(2)] == [b"WATCHDOG=1\nSTATUS=status 999", b"WATCHDOG=1"]


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}])
def test_without_a_manager_nothing_is_said(environment: dict[str, str]) -> None:
    Notifier(environment).ready("alone")


@pytest.mark.parametrize("address", ["/nonexistent/notify", "@nobody-listens-here", "vsock:2:1234"])
def test_a_manager_that_does_not_listen_is_an_error(address: str) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - which errno it is depends on the address
        Notifier({"NOTIFY_SOCKET": address}).watchdog()


def test_the_watchdog_is_fed_twice_within_its_limit() -> None:
    environment = {"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}
    assert Notifier(environment).watchdog_interval_s() == 30.0
    assert Notifier({"WATCHDOG_USEC": "3000000"}).watchdog_interval_s() == 1.5


@pytest.mark.parametrize(
    "environment", [{}, {"WATCHDOG_USEC": ""}, {"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getppid())}]
)
def test_nobody_watches_without_a_limit_or_for_another_process(environment: dict[str, str]) -> None:
    assert Notifier(environment).watchdog_interval_s() is None
