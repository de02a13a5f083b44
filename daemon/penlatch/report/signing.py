"""Signed decisions: a JWS (RFC 7515) with Ed25519 (RFC 9864), so that whoever opens need not believe the broker.

What is signed is the decision as it is published, `historical` included. Fields that a reader does not know are passed
over; for what must not be passed over, the header has a version, `v`, and a reader refuses one that it does not know.
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
ALGORITHM: Final = "Ed25519"
"""Name of the algorithm (RFC 9864)."""
ALGORITHMS: Final = frozenset({ALGORITHM, "EdDSA"})
"""Names that a reader takes: earlier releases wrote the deprecated one of RFC 8037."""
VERSION: Final = 1
"""Meaning of a signed decision. It rises when a reader that passes over what is new would do harm."""
TYPE: Final = "penlatch-decision"
"""Type of a signed decision, so that nothing else that this key signs passes for one."""
INSTANCE_TYPE: Final = "penlatch-instance"
"""Type of the statement which instance a terminal is."""


class SignatureError(ValueError):
    """A JWS that is none, or was made with another key."""


class Signer:
    """Signs with the key of one terminal."""

    def __init__(self, key: bytes) -> None:
        """Take the private key: `KEY_BYTES` random bytes (RFC 8032)."""
        self._key = Ed25519PrivateKey.from_private_bytes(key)
        self.jwk = public_jwk(self._key.public_key())
        """The public key (RFC 8037, section 2)."""
        self._headers = {typ: self._header(typ) for typ in (TYPE, INSTANCE_TYPE)}

    def sign(self, payload: bytes, *, typ: str = TYPE) -> str:
        """Return the compact JWS of a payload: a decision, unless `typ` says otherwise."""
        signed = f"{self._headers[typ]}.{_encode(payload)}"
        return f"{signed}.{_encode(self._key.sign(signed.encode()))}"

    def state(self, *, terminal: str, instance: str, boot: int) -> str:
        """Return the signed statement that `terminal` is `instance` since its start number `boot`."""
        payload = {"terminal": terminal, "instance": instance, "boot": boot}
        return self.sign(msgspec.json.encode(payload), typ=INSTANCE_TYPE)

    def _header(self, typ: str) -> str:
        return _encode(msgspec.json.encode({"alg": ALGORITHM, "kid": self.jwk["kid"], "typ": typ, "v": VERSION}))


def public_jwk(key: Ed25519PublicKey) -> dict[str, str]:
    """Return a public key as a JWK, named by its thumbprint (RFC 7638)."""
    jwk = {"crv": "Ed25519", "kty": "OKP", "x": _encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw))}
    return jwk | {"kid": _encode(hashlib.sha256(msgspec.json.encode(jwk, order="sorted")).digest())}


def verified(jws: str, jwk: Mapping[str, str], *, typ: str = TYPE) -> bytes:
    """Return the payload of a JWS of a type, by default a decision, that was signed with the private key of `jwk`.

    Raises:
        SignatureError: if it was not, or is no such JWS, or of a version that this reader does not know.
    """
    try:
        header, payload, signature = jws.split(".")
        told: Any = msgspec.json.decode(_decode(header))
        key = Ed25519PublicKey.from_public_bytes(_decode(jwk["x"]))
        # The key decides how it is checked, never the message (RFC 8725, section 3.1).
        if told.get("alg") not in ALGORITHMS or told.get("typ") != typ:
            raise SignatureError(f"it is no {typ} signed with Ed25519")
        version = told.get("v", VERSION)
        if version is True or version != VERSION or "crit" in told:
            raise SignatureError("its header asks for a later reader: install a later release here")
        key.verify(_decode(signature), f"{header}.{payload}".encode())
        return _decode(payload)
    except InvalidSignature as error:
        raise SignatureError("it was altered, or signed with another key") from error
    except (ValueError, TypeError, AttributeError, KeyError, *UNREADABLE) as error:
        raise error if isinstance(error, SignatureError) else SignatureError("it is no JWS") from error


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise SignatureError("it is no JWS") from error
