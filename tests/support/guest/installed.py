"""An installed penlatch, as `scripts/install` lays it, to be laid over the host's root in a guest."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.guest.image import LabMissingError

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT: Final = Path(__file__).parents[3]
SYSTEMD: Final = Path("/lib/systemd/systemd")
INSTALLED: Final = ("daemon/penlatch", "systemd", "scripts/install", "scripts/lib", "pyproject.toml", "README.md")
"""What an installation is made of, beside the models."""
OF_THE_FIRST_BOOT: Final = ("etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "etc/.pwd.lock", "var", "run")
"""Accounts and folders that the guest makes, beside those that it has of the host."""


class InstallError(Exception):
    """scripts/install failed; its message says how."""


def install(folder: Path) -> Path:
    """Return a folder with the files of an installation, made below `folder` if it is not there yet.

    Raises:
        LabMissingError: if there can be no terminal here.
        InstallError: if there can, and scripts/install does not make it.
    """
    for program, package in ((SYSTEMD, "systemd"), ("udevadm", "udev")):
        if not shutil.which(program):
            raise LabMissingError(f"{program} is missing: apt-get install --no-install-recommends {package}")
    place = folder / f"installed-{_digest()}"
    if place.exists():
        return place
    for old in folder.glob("installed-*"):
        shutil.rmtree(old)
    draft = folder / "installing"
    shutil.rmtree(draft, ignore_errors=True)
    done = subprocess.run([CHECKOUT / "scripts/install", "--root", draft], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallError(done.stderr.strip())
    for name in OF_THE_FIRST_BOOT:
        path = draft / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return draft.rename(place)


def _digest() -> str:
    digest = hashlib.sha256()
    for file in sorted(_files()):
        digest.update(f"{file.relative_to(CHECKOUT)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def _files() -> Iterator[Path]:
    yield from (file for file in (CHECKOUT / "models").iterdir() if file.suffix in {".tflite", ".json"})
    for name in INSTALLED:
        path = CHECKOUT / name
        yield from (f for f in path.rglob("*") if f.is_file() and f.suffix != ".pyc") if path.is_dir() else (path,)
