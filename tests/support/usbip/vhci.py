"""VirtualPort: a USB device plugged into vhci_hcd, the kernel's host controller whose cable is a socket.

The protocol on that socket is USB/IP's (Documentation/usb/usbip_protocol.rst of the kernel): a head of 48 bytes, big
endian, and the data of the transfer.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.usbip.device import Setup
from support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from support.usbip.device import UsbDevice

CONTROLLER: Final = Path("/sys/devices/platform/vhci_hcd.0")
FULL_SPEED: Final = 2
"""USB_SPEED_FULL of `include/uapi/linux/usb/ch9.h`: that of every pen tablet with less than 1,000 reports a second."""
FREE: Final = 4
"""VDEV_ST_NULL: a port with nothing in it."""

CMD_SUBMIT, CMD_UNLINK, RET_SUBMIT, RET_UNLINK = 1, 2, 3, 4
HEAD: Final = 48
"""Length of every head [bytes]."""
TO_DEVICE: Final = 0
"""Direction of a transfer; 1 is to the host."""


@dataclass(frozen=True, slots=True)
class Submit:
    """The host begins a transfer."""

    number: int
    """By which the answer names it."""
    to_device: bool
    endpoint: int
    size: int
    """Bytes that follow, or that are wanted."""
    setup: Setup

    @classmethod
    def from_bytes(cls, head: bytes) -> Submit:
        """Read its head."""
        _, number, _, direction, endpoint, _, size = struct.unpack_from(">7I", head)
        return cls(number, direction == TO_DEVICE, endpoint, size, Setup.from_bytes(head[40:48]))

    def done(self, data: bytes = b"") -> bytes:
        """Return the answer that it was carried out; `data` is what the host wanted."""
        return self._answer(0, self.size if self.to_device else len(data)) + data

    def stalled(self) -> bytes:
        """Return the answer that the device does not know this request."""
        return self._answer(-errno.EPIPE, 0)

    def _answer(self, status: int, size: int) -> bytes:
        return struct.pack(">5IiI20x", RET_SUBMIT, self.number, 0, 0, 0, status, size)


class VirtualPort:
    """One port of the controller, and the cable to a device. Reports may be sent from any thread."""

    def __init__(self, device: UsbDevice) -> None:
        self._device = device
        self._port = -1
        self._cable: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._reports: dict[int, deque[bytes]] = {}
        self._asked: dict[int, deque[Submit]] = {}

    def plug_in(self) -> None:
        """Put the device into the first free port. The kernel probes it from now on."""
        self._reports.clear()
        self._asked.clear()
        self._cable, far_end = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, args=(self._cable,), name="USB device", daemon=True)
        self._thread.start()
        with far_end:
            self._port = _free_ports()[0]
            command = f"{self._port} {far_end.fileno()} {self._port + 1} {FULL_SPEED}"
            (CONTROLLER / "attach").write_text(command)

    def unplug(self) -> None:
        """Pull the cable out, and return when the port is free again. Safe to call twice."""
        if self._cable is None:
            return
        (CONTROLLER / "detach").write_text(str(self._port))
        end = time.monotonic() + PATIENCE_S
        while self._port not in _free_ports():
            if time.monotonic() > end:
                raise TimeoutError("vhci_hcd does not let go of the device")
            time.sleep(0.01)
        self._cable.close()
        self._cable = None
        if self._thread:
            self._thread.join()

    def send(self, report: bytes, *, interface: int = 0) -> None:
        """Let the device report; the host has it as soon as it asks."""
        with self._lock:
            self._reports.setdefault(interface + 1, deque()).append(report)
            self._hand_over(interface + 1)

    @property
    def waiting(self) -> int:
        """Reports that the host has not asked for yet."""
        return sum(map(len, self._reports.values()))

    def _serve(self, cable: socket.socket) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                head = _exactly(cable, HEAD)
                if head[3] == CMD_UNLINK:
                    self._unlink(cable, head)
                else:
                    submit = Submit.from_bytes(head)
                    if submit.to_device:
                        _exactly(cable, submit.size)  # what it sets does not matter: see UsbDevice.answer
                    self._begin(cable, submit)

    def _begin(self, cable: socket.socket, submit: Submit) -> None:
        with self._lock:
            if submit.endpoint == 0:
                answer = self._device.answer(submit.setup)
                cable.sendall(submit.stalled() if answer is None else submit.done(answer))
            elif submit.to_device:
                cable.sendall(submit.done())
            else:
                self._asked.setdefault(submit.endpoint, deque()).append(submit)
                self._hand_over(submit.endpoint)

    def _hand_over(self, endpoint: int) -> None:
        """Answer what the host has asked of `endpoint`, as far as there are reports."""
        reports, asked = self._reports.get(endpoint), self._asked.get(endpoint)
        while reports and asked and self._cable:
            self._cable.sendall(asked.popleft().done(reports.popleft()))

    def _unlink(self, cable: socket.socket, head: bytes) -> None:
        """Take back what the host does not want any more."""
        number, unlinked = struct.unpack_from(">I", head, 4)[0], struct.unpack_from(">I", head, 20)[0]
        with self._lock:
            for endpoint, asked in self._asked.items():
                self._asked[endpoint] = deque(submit for submit in asked if submit.number != unlinked)
            cable.sendall(struct.pack(">5Ii24x", RET_UNLINK, number, 0, 0, 0, -errno.ECONNRESET))


def _free_ports() -> list[int]:
    """Return the numbers of the ports that are free, of those for devices below SuperSpeed."""
    ports = [line.split() for line in (CONTROLLER / "status").read_text().splitlines()[1:]]
    return [int(port) for hub, port, state, *_ in ports if hub == "hs" and int(state) == FREE]


def _exactly(cable: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = cable.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data
