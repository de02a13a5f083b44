"""Vault: seals references and templates with AES-256-GCM before they reach the disk, and finds the key that does it."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from penlatch.errors import StoreError
from penlatch.store.files import Folder, regular

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_BYTES = 32
"""Length of the key: AES-256."""

NONCE_BYTES = 12
"""Length of the nonce. Drawn at random it allows 2^32 seals under one key (NIST SP 800-38D, section 8.3)."""

CREDENTIAL = "penlatch.key"
"""Name of the systemd credential that holds the key (systemd.exec(5), LoadCredentialEncrypted=)."""

KEY_NAME = "store.key"
"""Name of the key file that is made beside a new database where nobody named a key."""

_ID_LABEL = b"penlatch: the id of a storage key, version 1"
"""Input of the HMAC that makes the id. Nothing else is ever made of a key with it."""
_ID_DIGITS = 8

_FORMAT = b"\x01"
"""First byte of everything sealed: AES-256-GCM, then the nonce, then ciphertext and tag."""

_MAKE_ONE = "make one with: (umask 077; head -c 32 /dev/urandom > FILE)"


class Vault:
    """Seals and opens byte strings. What was sealed for one context opens for no other."""

    def __init__(self, key: bytes, *, source: Path | str = "<memory>") -> None:
        """Take the key.

        Args:
            key: `KEY_BYTES` random bytes.
            source: where the key came from, for people.

        Raises:
            StoreError: if the key has another length.
        """
        if len(key) != KEY_BYTES:
            raise StoreError(path=source, problem=f"a key has {KEY_BYTES} bytes, this has {len(key)}", remedy=_MAKE_ONE)
        self.source = source
        self.id = hmac.new(key, _ID_LABEL, hashlib.sha256).hexdigest()[:_ID_DIGITS]
        """Name of the key, 8 hexadecimal digits. It says which key was used and reveals nothing of it."""
        self._cipher = AESGCM(key)

    @classmethod
    def load(
        cls,
        *,
        database: Path,
        key_file: Path | None = None,
        environment: Mapping[str, str] = os.environ,
        make: bool = True,
    ) -> Vault:
        """Find the key: `key_file`, else the systemd credential `penlatch.key`, else `store.key` beside the database.

        The last is made, readable by its owner alone, where there is no database yet. Where there is one already, a
        missing key is an error: a new one would open nothing.

        Args:
            database: path of the SQLite file, which need not exist.
            key_file: the configured `store.key_file`.
            environment: where to look for `CREDENTIALS_DIRECTORY`.
            make: whether a key may be made.

        Raises:
            StoreError: if the key is missing, unreadable, of the wrong length, or readable by others.
        """
        if key_file is not None:
            return cls(_read_private(key_file), source=key_file)
        if (found := credential(environment)) is not None:
            return cls(_read_private(found, forbidden=stat.S_IRWXO), source=found)
        beside = database.with_name(KEY_NAME)
        if not _is_there(beside):
            if not make or (os.path.lexists(database) and database.lstat().st_size > 0):
                raise StoreError(
                    path=beside,
                    problem=f"the key of {database} is missing",
                    remedy="put it back from a backup; without it, move the database away and enrol everybody again",
                )
            _make_key(beside)
        return cls(_read_private(beside, links=False), source=beside)

    @classmethod
    def read(cls, descriptor: int, *, source: Path) -> Vault:
        """Read the key from an open file, and close it.

        Raises:
            StoreError: if it is of the wrong length, or readable by others.
        """
        group_too = source.name != CREDENTIAL
        forbidden = stat.S_IRWXO | (stat.S_IRWXG if group_too else 0)
        return cls(_content(descriptor, source, forbidden), source=source)

    def successor(self) -> Vault | None:
        """Return a vault with the key that was about to take the place of this one, None where there is none."""
        waiting = next_key(Path(self.source))
        return Vault(_read_private(waiting, links=False), source=waiting) if _is_there(waiting) else None

    def seal(self, plain: bytes, *, context: str) -> bytes:
        """Encrypt `plain` so that it opens only under the same key and the same `context`."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return _FORMAT + nonce + self._cipher.encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """Decrypt what `seal` made.

        Raises:
            StoreError: if it was altered, or sealed with another key or for another context.
        """
        version, nonce, ciphertext = sealed[:1], sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        if version == _FORMAT and len(nonce) == NONCE_BYTES:
            with contextlib.suppress(InvalidTag):
                return self._cipher.decrypt(nonce, ciphertext, context.encode())
        raise StoreError(path=self.source, problem=f"this key does not open {context!r}: another key, or altered data")


def credential(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return where systemd put the key, None if it put it nowhere.

    systemd guards the file; where it does so by an ACL, the group bits show the mask and mean nothing.
    """
    directory = environment.get("CREDENTIALS_DIRECTORY")
    path = Path(directory, CREDENTIAL) if directory else None
    return path if path and path.exists() else None


def next_key(path: Path) -> Path:
    """Return where the key is written that will take the place of the one at `path`."""
    return path.with_name(path.name + ".next")


def _is_there(path: Path) -> bool:
    """Return whether a name is there, be it a link to nowhere.

    Raises:
        StoreError: if its folder may not be searched.
    """
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        remedy = "run the command as root, or as the user of the daemon"
        raise StoreError(path=path, problem=f"the key cannot be reached: {error.strerror}", remedy=remedy) from error
    return True


def _read_private(path: Path, *, forbidden: int = stat.S_IRWXG | stat.S_IRWXO, links: bool = True) -> bytes:
    """Return the content of a key file, if its mode has none of the bits `forbidden`.

    A link is followed only where an operator named the file (`links`), not for a name that is fixed.
    """
    try:
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if links else os.O_NOFOLLOW)
        descriptor = regular(os.open(path, flags))
    except OSError as error:
        raise StoreError(
            path=path,
            problem=f"the key cannot be read: {error.strerror}",
            remedy=_MAKE_ONE if isinstance(error, FileNotFoundError) else "the user of the daemon must be able to",
        ) from error
    return _content(descriptor, path, forbidden)


def _content(descriptor: int, path: Path, forbidden: int) -> bytes:
    """Return what an open key file holds, and close it."""
    with os.fdopen(descriptor, "rb") as file:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        key = file.read(KEY_BYTES + 1)
    if mode & forbidden:
        raise StoreError(path=path, problem=f"others may read this key (mode {mode:04o})", remedy=f"chmod 600 {path}")
    return key


def _make_key(path: Path) -> None:
    """Write a new key to `path`: complete or not at all, and never over one that another process made meanwhile."""
    draft = f".{path.name}.{secrets.token_hex(8)}"
    try:
        with Folder.open(path.parent) as folder:
            folder.write_new(draft, secrets.token_bytes(KEY_BYTES))
            try:
                with contextlib.suppress(FileExistsError):
                    folder.link(draft, path.name)
            finally:
                folder.remove(draft)
            folder.sync()
    except OSError as error:
        raise StoreError(
            path=path,
            problem=f"the key cannot be made: {error.strerror}",
            remedy="its folder must exist and belong to the user of the daemon",
        ) from error
