"""What the broker asks of us before it lets us in: a password, a certificate."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penlatch.config import Mqtt, Tls

CREDENTIAL = "mqtt.password"
"""Name of the systemd credential (`LoadCredential=`, `LoadCredentialEncrypted=`) that holds the password."""


def read_password(config: Mqtt) -> str | None:
    """Return the password for the broker, None where there is none.

    Read at every connection, so that a changed password needs no restart.

    Raises:
        OSError: the file that should hold it cannot be read.
        UnicodeDecodeError: it is not text.
    """
    path = config.password_file or _credential()
    return path.read_text(encoding="utf-8").rstrip("\r\n") if path else None


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Return a context that verifies the broker and its host name, and shows our certificate where there is one.

    Raises:
        OSError: a file cannot be read, or is no certificate (`ssl.SSLError` is an OSError).
    """
    context = ssl.create_default_context(cafile=tls.ca_file)
    if tls.cert_file is not None:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    return context


def _credential() -> Path | None:
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(directory, CREDENTIAL) if directory else None
    return path if path and path.exists() else None
