"""A broker's certificate that a later Python refuses is named before the upgrade, not after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from penlatch.cli.checks import certificates
from penlatch.config import Mqtt, Tls
from support.certificates import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from support.fixtures import MakeBroker


@pytest.mark.parametrize(("strict", "state"), [(True, "ok"), (False, "warn")])
def test_a_certificate_without_the_key_of_its_authority_is_named(
    make_broker: MakeBroker, tmp_path: Path, *, strict: bool, state: str
) -> None:
    authority = Authority(tmp_path / "authority", strict=strict)
    broker = make_broker(tls=authority.issue("broker"))
    finding = certificates.lasting(Mqtt(host="127.0.0.1", port=broker.port, tls=Tls(ca_file=authority.certificate)))
    assert finding is not None
    assert finding.state == state
    if not strict:
        assert "Python 3.13 refuses" in finding.detail
        assert "Authority Key Identifier" in str(finding.remedy)


def test_one_of_a_stranger_fails_by_any_rules(make_broker: MakeBroker, tmp_path: Path) -> None:
    broker = make_broker(tls=Authority(tmp_path / "stranger", name="stranger").issue("broker"))
    own = Authority(tmp_path / "own")
    finding = certificates.lasting(Mqtt(host="127.0.0.1", port=broker.port, tls=Tls(ca_file=own.certificate)))
    assert finding is not None
    assert finding.state == "fail"


def test_a_broker_that_is_away_or_speaks_no_tls_has_no_finding(make_broker: MakeBroker, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    assert certificates.lasting(Mqtt(host="127.0.0.1", port=1, tls=Tls(ca_file=authority.certificate))) is None
    assert certificates.lasting(Mqtt(host="127.0.0.1", port=make_broker().port)) is None
