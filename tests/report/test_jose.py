"""Signed decisions under another library: joserfc verifies them, and what it signs is read here."""

from __future__ import annotations

import base64
import json
import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from joserfc import jws
from joserfc.jwk import OKPKey
from joserfc.registry import HeaderParameter

from penlatch.report.door import Door, NotOpeningError
from penlatch.report.outgoing import Writer
from penlatch.report.signing import INSTANCE_TYPE, SignatureError, Signer, verified
from support.examples import BOOT, INSTANCE, decision

if TYPE_CHECKING:
    from penlatch.messages import Decision

KEY = bytes(range(32))
SIGNER = Signer(KEY)
NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
REGISTRY = jws.JWSRegistry(
    header_registry={"v": HeaderParameter("Version of penlatch", "int", required=True)}, algorithms=["Ed25519"]
)


def public() -> OKPKey:
    return OKPKey.import_key({**SIGNER.jwk})


def private() -> OKPKey:
    secret = base64.urlsafe_b64encode(KEY).rstrip(b"=").decode()
    return OKPKey.import_key({**SIGNER.jwk, "d": secret})


def signed(header: dict[str, Any], told: Decision) -> bytes:
    """A message of a terminal that writes such a header, made by the other library."""
    registry = jws.JWSRegistry(strict_check_header=False, algorithms=["Ed25519", "EdDSA"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # EdDSA is deprecated
        token = jws.serialize_compact(header, msgspec.json.encode(told), private(), registry=registry)
    return json.dumps({"jws": token}).encode()


def fresh() -> Decision:
    return decision(1, terminal="door-1", time=NOW.isoformat())


def door() -> Door:
    return Door("door-1", SIGNER.jwk, INSTANCE, now=lambda: NOW)


def test_the_other_library_verifies_a_published_decision_by_the_published_key() -> None:
    told = json.loads(Writer(SIGNER).payload(fresh(), historical=False))
    found = jws.deserialize_compact(told["jws"], public(), registry=REGISTRY)
    assert found.headers() == {"alg": "Ed25519", "kid": SIGNER.jwk["kid"], "typ": "penlatch-decision", "v": 1}
    assert json.loads(found.payload or b"") == {name: value for name, value in told.items() if name != "jws"}


def test_the_key_has_the_thumbprint_that_the_other_library_reckons() -> None:
    assert public().thumbprint() == SIGNER.jwk["kid"]


def test_the_statement_of_the_instance_is_signed_likewise_and_passes_for_no_decision() -> None:
    token = SIGNER.state(terminal="door-1", instance=INSTANCE, boot=BOOT)
    found = jws.deserialize_compact(token, public(), registry=REGISTRY)
    assert json.loads(found.payload or b"") == {"terminal": "door-1", "instance": INSTANCE, "boot": BOOT}
    assert json.loads(verified(token, SIGNER.jwk, typ=INSTANCE_TYPE))["instance"] == INSTANCE
    with pytest.raises(SignatureError):
        verified(token, SIGNER.jwk)


@pytest.mark.parametrize("algorithm", ["Ed25519", "EdDSA"])
@pytest.mark.parametrize("version", [{}, {"v": 1}, {"later": "word"}])
def test_both_names_of_the_algorithm_are_taken(algorithm: str, version: dict[str, Any]) -> None:
    message = signed({"alg": algorithm, "typ": "penlatch-decision", **version}, fresh())
    assert door().opens_for(message) == "alice"


@pytest.mark.parametrize("header", [{"v": 2}, {"v": 0}, {"v": "1"}, {"v": None}, {"v": True}, {"v": [1]}])
def test_a_version_that_a_reader_does_not_know_is_refused(header: dict[str, Any]) -> None:
    message = signed({"alg": "Ed25519", "typ": "penlatch-decision", **header}, fresh())
    with pytest.raises(NotOpeningError, match="later reader"):
        door().opens_for(message)


def test_what_a_header_calls_critical_is_refused() -> None:
    header = SIGNER.sign(b"{}").split(".")[0]
    told = json.loads(base64.urlsafe_b64decode(header + "=="))
    for critical in (["v"], ["b64"], [], None):
        forged = Signer(KEY)
        encoded = base64.urlsafe_b64encode(json.dumps(told | {"crit": critical}).encode()).rstrip(b"=").decode()
        forged._headers["penlatch-decision"] = encoded
        with pytest.raises(SignatureError, match="later reader"):
            verified(forged.sign(msgspec.json.encode(fresh())), SIGNER.jwk)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES256", "Ed448", None, ["Ed25519"], {}])
def test_no_other_algorithm_is_taken(algorithm: object) -> None:
    signer = Signer(KEY)
    header = {"alg": algorithm, "typ": "penlatch-decision"}
    signer._headers["penlatch-decision"] = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    with pytest.raises(SignatureError):
        verified(signer.sign(msgspec.json.encode(fresh())), SIGNER.jwk)
