"""Vault: seals references and templates with AES-256-GCM before they reach the disk, and finds the key that does it."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from penlatch.errors import StoreError
from penlatch.store.files import sync_folder

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
        self._cipher = AESGCM(key)

    @classmethod
    def load(
        cls, *, database: Path, key_file: Path | None = None, environment: Mapping[str, str] = os.environ
    ) -> Vault:
        """Find the key: `key_file`, else the systemd credential `penlatch.key`, else `store.key` beside the database.

        The last is made, readable by its owner alone, where there is no database yet. Where there is one already, a
        missing key is an error: a new one would open nothing.

        Args:
            database: path of the SQLite file, which need not exist.
            key_file: the configured `store.key_file`.
            environment: where to look for `CREDENTIALS_DIRECTORY`.

        Raises:
            StoreError: if the key is missing, unreadable, of the wrong length, or readable by others.
        """
        if key_file is not None:
            return cls(_read_private(key_file), source=key_file)
        if directory := environment.get("CREDENTIALS_DIRECTORY"):
            credential = Path(directory, CREDENTIAL)
            if credential.exists():
                # systemd guards it; where it does so by an ACL, the group bits show the mask and mean nothing.
                return cls(_read_private(credential, forbidden=stat.S_IRWXO), source=credential)
        beside = database.with_name(KEY_NAME)
        if not beside.exists():
            if database.exists() and database.stat().st_size > 0:
                raise StoreError(
                    path=beside,
                    problem=f"the key of {database} is missing",
                    remedy="put it back from a backup; without it, move the database away and enrol everybody again",
                )
            _make_key(beside)
        return cls(_read_private(beside), source=beside)

    def successor(self) -> Vault | None:
        """Return a vault with the key that was about to take the place of this one, None where there is none."""
        waiting = next_key(Path(self.source))
        return Vault(_read_private(waiting), source=waiting) if waiting.exists() else None

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


def next_key(path: Path) -> Path:
    """Return where the key is written that will take the place of the one at `path`."""
    return path.with_name(path.name + ".next")


def _read_private(path: Path, *, forbidden: int = stat.S_IRWXG | stat.S_IRWXO) -> bytes:
    """Return the content of a key file, if its mode has none of the bits `forbidden`."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            key = file.read(KEY_BYTES + 1)
    except OSError as error:
        raise StoreError(
            path=path,
            problem=f"the key cannot be read: {error.strerror}",
            remedy=_MAKE_ONE if isinstance(error, FileNotFoundError) else "the user of the daemon must be able to",
        ) from error
    if mode & forbidden:
        raise StoreError(path=path, problem=f"others may read this key (mode {mode:04o})", remedy=f"chmod 600 {path}")
    return key


def _make_key(path: Path) -> None:
    """Write a new key to `path`: complete or not at all, and never over one that another process made meanwhile."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(draft)
        finally:
            draft.unlink()
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(
            path=path,
            problem=f"the key cannot be made: {error.strerror}",
            remedy="its folder must exist and belong to the user of the daemon",
        ) from error
