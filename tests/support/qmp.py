"""Qmp: the guest of a virtual machine speaks to the QEMU it runs in, over a serial line that ends at its monitor."""

from __future__ import annotations

import contextlib
import json
import os
import select
import time
import tty
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Self

from support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

READ_SIZE: Final = 4096
RESET: Final = b"\xff"
"""No JSON: QEMU forgets what it has of a command. What it greets with is sent back to it, as an echo, until the line is
raw; each piece is refused, each refusal is sent back, and the last of it stands before the first command."""


class QmpError(Exception):
    """QEMU refused a command."""


class Qmp:
    """`with Qmp("/dev/ttyS3") as qemu:` sends commands of the QEMU Machine Protocol."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._rest = b""
        self._lines: deque[bytes] = deque()
        self._told: list[str] = []
        """Events that came while an answer was waited for: of USB, a device's end is told before the answer."""

    def __enter__(self) -> Self:
        self._fd = os.open(self._path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._fd)
        os.write(self._fd, RESET)
        with contextlib.suppress(QmpError):  # refused where somebody has spoken to this monitor before
            self.execute("qmp_capabilities")
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def post(self, command: str, **arguments: object) -> None:
        """Send a command without waiting for its answer, which `execute` will pass over."""
        message = {"execute": command, "arguments": arguments}
        rest = memoryview(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def execute(self, command: str, **arguments: object) -> Any:
        """Send a command and return what QEMU answers.

        Raises:
            QmpError: if it refuses.
            TimeoutError: if it does not answer.
        """
        number = time.monotonic_ns()
        message = {"execute": command, "arguments": arguments, "id": number}
        rest = memoryview(json.dumps(message).encode() + b"\n")
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        for answer in self._messages():
            if answer.get("id") == number:
                if "error" in answer:
                    raise QmpError(f"{command}: {answer['error']['desc']}")
                return answer["return"]
            if "event" in answer:
                self._told.append(answer["event"])
        raise TimeoutError(f"QEMU does not answer {command}")

    def wait(self, event: str) -> None:
        """Wait until QEMU tells of `event`.

        Raises:
            TimeoutError: if it does not.
        """
        if event in self._told:
            self._told.remove(event)
        elif not any(message.get("event") == event for message in self._messages()):
            raise TimeoutError(f"QEMU never told of {event}")

    def _messages(self) -> Iterator[dict[str, Any]]:
        """Yield what QEMU says, as long as a test has patience."""
        end = time.monotonic() + PATIENCE_S
        while True:
            while self._lines:
                # The greeting is passed over: the line may have lost its beginning while nobody read it.
                with contextlib.suppress(ValueError):
                    yield json.loads(self._lines.popleft())
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._fd], [], [], left)[0]:
                return
            *lines, self._rest = (self._rest + os.read(self._fd, READ_SIZE)).split(b"\n")
            self._lines.extend(lines)
