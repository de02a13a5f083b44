"""Signed decisions: a JWS (RFC 7515) with EdDSA (RFC 8037), so that whoever opens need not believe the broker.

What is signed is the decision as it is published, `historical` included.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from penlatch.decoding import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_BYTES: Final = 32
ALGORITHM: Final = "EdDSA"
TYPE: Final = "penlatch-decision"
"""So that nothing else that this key may ever sign passes for a decision."""


class SignatureError(ValueError):
    """A JWS that is none, or was made with another key."""


class Signer:
    """Signs with the key of one terminal."""

    def __init__(self, key: bytes) -> None:
        """Take the private key: `KEY_BYTES` random bytes (RFC 8032)."""
        self._key = Ed25519PrivateKey.from_private_bytes(key)
        self.jwk = public_jwk(self._key.public_key())
        """The public key (RFC 8037, section 2)."""
        header = {"alg": ALGORITHM, "kid": self.jwk["kid"], "typ": TYPE}
        self._header = _encode(msgspec.json.encode(header))

    def sign(self, payload: bytes) -> str:
        """Return the compact JWS of a payload."""
        signed = f"{self._header}.{_encode(payload)}"
        return f"{signed}.{_encode(self._key.sign(signed.encode()))}"


def public_jwk(key: Ed25519PublicKey) -> dict[str, str]:
    """Return a public key as a JWK, named by its thumbprint (RFC 7638)."""
    jwk = {"crv": "Ed25519", "kty": "OKP", "x": _encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw))}
    return jwk | {"kid": _encode(hashlib.sha256(msgspec.json.encode(jwk, order="sorted")).digest())}


def verified(jws: str, jwk: Mapping[str, str]) -> bytes:
    """Return the payload of a JWS that was signed with the private key of `jwk`.

    Raises:
        SignatureError: if it was not, or is no JWS of a decision.
    """
    try:
        header, payload, signature = jws.split(".")
        told: Any = msgspec.json.decode(_decode(header))
        key = Ed25519PublicKey.from_public_bytes(_decode(jwk["x"]))
        # The key decides how it is checked, never the message (RFC 8725, section 3.1).
        if told.get("alg") != ALGORITHM or told.get("typ") != TYPE:
            raise SignatureError("it is no signed decision")
        key.verify(_decode(signature), f"{header}.{payload}".encode())
        return _decode(payload)
    except InvalidSignature as error:
        raise SignatureError("it was altered, or signed with another key") from error
    except (ValueError, AttributeError, KeyError, *UNREADABLE) as error:
        raise error if isinstance(error, SignatureError) else SignatureError("it is no JWS") from error


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise SignatureError("it is no JWS") from error
