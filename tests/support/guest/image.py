"""What is booted: Debian's kernel, unpacked, and an initramfs of busybox and the modules that the tests need.

Made from Debian's packages as any user, nothing is installed; kept in `build/kernel-lab` by the kernel's version.
"""

from __future__ import annotations

import hashlib
import lzma
import re
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

INIT: Final = Path(__file__).with_name("init.sh")
MODULES: Final = (
    *("virtio_pci", "9pnet_virtio", "9p", "overlay", "loop", "crc32c_generic", "ext4"),
    *("evdev", "uinput", "uhid", "hid-generic", "usbhid", "uhci-hcd"),
    *("vhci-hcd", "wacom", "hid-uclogic"),
    *("serport", "wacom_w8001", "wacom_serial4", "ftdi_sio"),
    "hid-cp2112",
)
"""Root, files and disks; pens; USB over bytes, and its tablets; serial lines and the kernel's decoders; GPIO."""
KERNEL_PACKAGE: Final = "linux-image-amd64"
"""Names the newest kernel by what it depends on."""
XZ: Final = b"\xfd7zXZ\0"
ELF: Final = b"\x7fELF"


class LabMissingError(Exception):
    """The guest cannot be had here; says why, and what to do."""


@dataclass(frozen=True)
class Image:
    """What QEMU boots."""

    kernel: Path
    """ELF, so that no slow processor has to unpack it (PVH)."""
    initramfs: Path


def prepare(folder: Path) -> Image:
    """Return the image, made in `folder` if it is not there yet.

    Raises:
        LabMissingError: if a program or package cannot be had.
    """
    busybox = _program("busybox", "busybox-static")
    package = _newest_kernel()
    place = folder / package
    kernel, tree = place / "vmlinux", place / "tree"
    if not kernel.exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        _unpack(package, tree)
        draft = place / "vmlinux.draft"
        draft.write_bytes(_elf(next(tree.glob("boot/vmlinuz-*")).read_bytes()))
        draft.replace(kernel)
    made_of = hashlib.sha256(INIT.read_bytes() + " ".join(MODULES).encode() + busybox.read_bytes()).hexdigest()
    initramfs = place / f"initramfs-{made_of[:12]}"
    if not initramfs.exists():
        draft = initramfs.with_suffix(".draft")
        draft.write_bytes(_initramfs(next(tree.glob("**/lib/modules/*")), busybox))
        draft.replace(initramfs)
    return Image(kernel, initramfs)


def _program(name: str, package: str) -> Path:
    found = shutil.which(name)
    if not found:
        raise LabMissingError(f"{name} is missing: apt-get install {package}")
    return Path(found)


# --- Debian's packages --------------------------------------------------------------------------------------


def _newest_kernel() -> str:
    if not shutil.which("apt-get"):
        raise LabMissingError("there is no apt-get, which brings the guest's kernel: use a Debian-family machine")
    for update in (False, True):
        if update:
            _apt("update", "-q")
        told = subprocess.run(["apt-cache", "depends", KERNEL_PACKAGE], capture_output=True, text=True, check=False)
        if found := re.search(r"Depends: (linux-image-\S+)", told.stdout):
            return found[1]
    raise LabMissingError(f"apt knows no {KERNEL_PACKAGE}: only Debian's kernel for x86-64 is booted")


def _unpack(package: str, tree: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="penlatch-kernel-") as folder:
        if _apt("download", "-q", package, cwd=folder):
            # Lists that are older than the archive name files that are gone.
            _apt("update", "-q")
            if failed := _apt("download", "-q", package, cwd=folder):
                raise LabMissingError(f"apt cannot download {package}: {failed}")
        (file,) = Path(folder).glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", file, tree], check=True)


def _apt(*arguments: str, cwd: str | None = None) -> str:
    """Run apt-get; return the last line of what it complains of, empty where all went well."""
    command = ["apt-get", "-o", "APT::Sandbox::User=root", *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    return (done.stderr.strip().splitlines() or ["it failed"])[-1] if done.returncode else ""


def _elf(kernel: bytes) -> bytes:
    """Return the kernel within a bzImage."""
    start = kernel.find(XZ)
    unpacked = lzma.LZMADecompressor().decompress(kernel[start:]) if start >= 0 else b""
    if not unpacked.startswith(ELF):
        raise LabMissingError("this kernel is not packed with xz, as Debian's are")
    return unpacked


# --- The initramfs ------------------------------------------------------------------------------------------


def _initramfs(modules: Path, busybox: Path) -> bytes:
    """Return a cpio archive ("newc") of busybox, init and the modules in the order in which they are inserted."""
    archive = _Cpio()
    for folder in ("bin", "dev", "proc", "sys", "modules"):
        archive.add(folder, stat.S_IFDIR | 0o755)
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    archive.add("bin/busybox", stat.S_IFREG | 0o755, busybox.read_bytes())
    archive.add("bin/sh", stat.S_IFLNK | 0o777, b"busybox")
    archive.add("init", stat.S_IFREG | 0o755, INIT.read_bytes())
    ordered = _in_order(modules)
    for name, content in ordered.items():
        archive.add(f"modules/{name}.ko", stat.S_IFREG | 0o644, content)
    archive.add("modules/order", stat.S_IFREG | 0o644, "".join(f"{name}\n" for name in ordered).encode())
    return archive.end()


def _in_order(modules: Path) -> dict[str, bytes]:
    """Return the content of `MODULES` and of what they need, each after what it needs."""
    files = {_plain(file.name): file for file in modules.rglob("*.ko*")}
    builtin = {_plain(Path(line).name) for line in (modules / "modules.builtin").read_text().splitlines()}
    found: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name in builtin or name in found:
            return
        if name not in files:
            raise LabMissingError(f"the kernel has no module {name}")
        content = files[name].read_bytes()
        content = lzma.decompress(content) if files[name].suffix == ".xz" else content
        needed = re.search(rb"\0depends=([^\0]*)\0", content)
        before = re.findall(rb"\0softdep=pre: ([^\0]*)\0", content)
        for other in needed[1].split(b",") if needed and needed[1] else []:
            add(_plain(other.decode()))
        for other in (module for line in before for module in line.split()):
            # Some name what a module does, as ext4's "crypto-crc32c", and not the module.
            if (plain := _plain(other.decode())) in files:
                add(plain)
        found[name] = content

    for name in MODULES:
        add(_plain(name))
    return found


def _plain(name: str) -> str:
    """Return a module's name as the kernel has it, from that of its file or its maker."""
    return name.partition(".ko")[0].replace("-", "_")


class _Cpio:
    """An archive in the format that the kernel unpacks (Documentation/driver-api/early-userspace/buffer-format)."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._entries = 0

    def add(self, name: str, mode: int, content: bytes = b"", *, device: tuple[int, int] = (0, 0)) -> None:
        self._entries += 1
        path = name.encode() + b"\0"
        fields = (self._entries, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(path), 0)
        self._bytes += b"070701" + b"".join(b"%08X" % field for field in fields) + path
        self._pad()
        self._bytes += content
        self._pad()

    def end(self) -> bytes:
        self.add("TRAILER!!!", 0)
        return bytes(self._bytes)

    def _pad(self) -> None:
        self._bytes += b"\0" * (-len(self._bytes) % 4)
