"""Certificates: a broker's that today's Python accepts and a later one refuses, found before the upgrade.

From Python 3.13 on (Debian 13), `ssl` checks certificates as strictly as RFC 5280 asks: an authority without a key
usage or a Subject Key Identifier is refused, and so is a certificate without an Authority Key Identifier.
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Final

from penlatch.cli.checks.finding import Finding
from penlatch.report.credentials import tls_context

if TYPE_CHECKING:
    from penlatch.config import Mqtt

LIMIT_S: Final = 5.0
"""Longest wait for the broker's part of the handshake [s]."""
REMEDY: Final = (
    "have it issued anew with an Authority Key Identifier: docs/mqtt.md, Certificates, has the lines for OpenSSL"
)


def lasting(mqtt: Mqtt) -> Finding | None:
    """Judge whether the broker's certificate is accepted by every Python. None: no answer, or no TLS."""
    if mqtt.tls is None:
        return None
    if (problem := _refused(mqtt, strict=True)) is None:
        return Finding.ok("certificate", "the broker's certificate is accepted by the strict rules of Python 3.13, too")
    if not problem:
        return None
    if _refused(mqtt, strict=False) is None:
        return Finding.warn("certificate", f"Python 3.13 refuses the broker's certificate: {problem}", remedy=REMEDY)
    return Finding.fail("certificate", f"the broker's certificate is refused: {problem}", remedy=REMEDY)


def _refused(mqtt: Mqtt, *, strict: bool) -> str | None:
    """Return why the broker's certificate is refused; None if it is accepted, empty if the broker shows none."""
    assert mqtt.tls is not None  # noqa: S101 - `lasting` asks only then
    try:
        context = tls_context(mqtt.tls)
        if strict:
            context.verify_flags |= ssl.VERIFY_X509_STRICT
        else:
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        with (
            socket.create_connection((mqtt.host, mqtt.port), timeout=LIMIT_S) as line,
            context.wrap_socket(line, server_hostname=mqtt.host),
        ):
            return None
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except OSError:
        return ""
