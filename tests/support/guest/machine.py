"""The machine: boots the guest, has it run tests, and brings back what each of them came to."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from support.guest import boot
from support.guest.image import Image, LabMissingError, prepare
from support.guest.installed import InstallError, install

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CHECKOUT: Final = Path(__file__).parents[3]
IMAGES: Final = CHECKOUT / "build" / "kernel-lab"
QEMU: Final = "qemu-system-x86_64"
LIMIT_S: Final = 900.0
"""Longest life of a guest [s]; its processor is some twenty times slower than the host's."""
MEMORY_MB: Final = 1024
# QEMU 7.2 computes wrongly with AVX2 (tanh(3.36) came out 1e22), and is slower with it.
CPU: Final = "max,-avx,-avx2,-fma,-f16c"
# An emulated processor speculates on nothing, so nothing needs to be mitigated.
KERNEL_ARGUMENTS: Final = "console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off 8250.nr_uarts=8"
CONSOLE_TAIL: Final = 60
"""Lines of the console that are shown when something went wrong."""

_PREPARING: Final = threading.Lock()


@dataclass(frozen=True)
class Machine:
    """What a machine is, beside root and console."""

    devices: Sequence[str] = ()
    """Arguments of QEMU; `{run}` is a folder for sockets."""
    terminal: bool = False
    """It is a terminal: systemd is PID 1, and penlatch is installed. The tests are a unit of it."""


# /dev/ttyS1 to /dev/ttyS2. Each line has an interrupt of its own; those of a PC share two, by edges, and so depend on
# each other's being served.
NULL_MODEM: Final = (
    *("-chardev", "socket,id=n1,path={run}/null,server=on,wait=off", "-device", "isa-serial,chardev=n1,index=1,irq=3"),
    *("-chardev", "socket,id=n2,path={run}/null", "-device", "isa-serial,chardev=n2,index=2,irq=5"),
)

MACHINES: Final[Mapping[str, Machine]] = {
    "plain": Machine(),
    "terminal": Machine(NULL_MODEM, terminal=True),
    "wired": Machine(
        (
            *("-device", "piix3-usb-uhci,id=uhci"),
            *NULL_MODEM,
            # QEMU's monitor, for the guest, on /dev/ttyS3.
            *("-chardev", "socket,id=q1,path={run}/qmp,server=on,wait=off", "-mon", "chardev=q1,mode=control"),
            *("-chardev", "socket,id=q2,path={run}/qmp", "-device", "isa-serial,chardev=q2,index=3,irq=7"),
            # The cable of a USB adapter that is plugged in later; its far end is /dev/ttyS4.
            *("-chardev", "socket,id=c1,path={run}/cable,server=on,wait=off"),
            *("-chardev", "socket,id=c2,path={run}/cable", "-device", "pci-serial,chardev=c2"),
        )
    ),
}
"""By the name that tests ask for (`pytest.mark.guest`). They are shared out so that all take about the same time."""


@dataclass(frozen=True)
class Outcome:
    """What came back from a guest."""

    reports: Mapping[str, list[dict[str, Any]]]
    """By node id: the reports of a test's phases, as `pytest_report_to_serializable` gave them."""
    console: str
    """The end of what it printed."""

    def of(self, node: str) -> list[dict[str, Any]]:
        """Return what was told of a test."""
        return self.reports.get(node, [])

    def ended(self, node: str) -> bool:
        """Return whether a test came to its end before the guest did."""
        return any(told["when"] == "teardown" for told in self.of(node))

    def held(self, node: str) -> bool:
        """Return whether a test came to its end, and nothing of it failed."""
        return self.ended(node) and all(told["outcome"] != "failed" for told in self.of(node))

    def with_second(self, second: Outcome) -> Outcome:
        """Return this with, for what did not hold, what came back from a second guest."""
        held = {node: told for node, told in self.reports.items() if self.held(node)}
        return Outcome({**held, **second.reports}, second.console)


def run_tests(machine: str, nodes: Sequence[str]) -> Outcome:
    """Boot a machine and run tests in it.

    Raises:
        LabMissingError: if there can be no guest here.
    """
    if not shutil.which(QEMU):
        raise LabMissingError(f"{QEMU} is missing: apt-get install --no-install-recommends qemu-system-x86")
    wanted = MACHINES[machine]
    with _PREPARING:
        image = prepare(IMAGES)
    try:
        layer = install(IMAGES) if wanted.terminal else None
    except InstallError as error:
        return Outcome(reports={}, console=f"scripts/install failed:\n{error}")
    return _boot(image, wanted, nodes, layer)


def _boot(image: Image, machine: Machine, nodes: Sequence[str], layer: Path | None) -> Outcome:
    from support.guest import known  # noqa: PLC0415 - a guest has this module, too, and would import for seconds

    # A socket's path is short, so the folder is not below the checkout.
    with tempfile.TemporaryDirectory(prefix="penlatch-guest-") as folder:
        out = Path(folder) / "out"
        out.mkdir()
        boot.write(out, CHECKOUT, nodes, under_systemd=machine.terminal)
        known.enrol(out / boot.KNOWN)
        command = [
            *(QEMU, "-M", "pc", "-bios", "qboot.rom", "-cpu", CPU, "-m", str(MEMORY_MB)),
            *("-accel", "tcg,thread=multi", "-nodefaults", "-no-user-config", "-nographic", "-no-reboot"),
            *("-serial", "stdio", "-kernel", str(image.kernel), "-initrd", str(image.initramfs)),
            *("-append", KERNEL_ARGUMENTS),
            *_share("host", Path("/"), "readonly=on,multidevs=remap"),
            *_share("out", out, "multidevs=remap"),
            *(_share("layer", layer, "readonly=on") if layer else ()),
            *(argument.format(run=folder) for argument in machine.devices),
        ]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=LIMIT_S,
                check=False,
            )
            console = done.stdout
        except subprocess.TimeoutExpired as late:
            console = (late.stdout or b"") + f"\n(stopped after {LIMIT_S:g} s)".encode()
        found: dict[str, list[dict[str, Any]]] = {}
        reports = out / boot.REPORTS
        for line in reports.read_text().splitlines() if reports.exists() else ():
            report = json.loads(line)
            found.setdefault(report["nodeid"], []).append(report)
        tail = console.decode(errors="replace").replace("\r", "").splitlines()[-CONSOLE_TAIL:]
        return Outcome(reports=found, console="\n".join(tail))


def _share(tag: str, path: Path, options: str) -> tuple[str, ...]:
    return (
        *("-fsdev", f"local,id={tag},path={path},security_model=none,{options}"),
        *("-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"),
    )
