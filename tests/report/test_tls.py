"""Encrypted lines: the broker is verified, we show our certificate, and what is wrong is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from penlatch.config import Tls
from support.certificates import Authority
from support.outboxes import MemoryOutbox, recent
from support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from support.fixtures import Launch, MakeBroker


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


async def test_decisions_travel_over_tls_to_a_broker_that_our_authority_vouches_for(
    make_broker: MakeBroker, launch: Launch, authority: Authority
) -> None:
    broker = make_broker(tls=authority.issue("broker"))
    outbox = MemoryOutbox(*(recent(seq) for seq in range(1, 101)))
    publisher = launch(broker.port, outbox=outbox, tls=Tls(ca_file=authority.certificate))
    await publisher.start()
    await eventually(lambda: not outbox.rows)
    await publisher.stop()


async def test_a_broker_of_an_unknown_authority_gets_no_password(
    make_broker: MakeBroker, launch: Launch, authority: Authority, tmp_path: Path
) -> None:
    broker = make_broker(tls=Authority(tmp_path / "stranger", name="stranger").issue("broker"))
    publisher = launch(broker.port, tls=Tls(ca_file=authority.certificate))
    await publisher.start()
    await eventually(lambda: publisher.last_error)
    assert not publisher.connected
    assert "certificate verify failed" in publisher.last_error
    assert "penlatch-door" not in (broker.folder / "mosquitto.log").read_text()


async def test_a_broker_of_another_name_is_refused(
    make_broker: MakeBroker, launch: Launch, authority: Authority
) -> None:
    broker = make_broker(tls=authority.issue("broker"))
    publisher = launch(broker.port, host="127.0.0.2", tls=Tls(ca_file=authority.certificate))
    broker.folder.joinpath("mosquitto.conf").write_text("")
    await publisher.start()
    await eventually(lambda: publisher.last_error)
    assert not publisher.connected


async def test_a_client_certificate_is_shown(make_broker: MakeBroker, launch: Launch, authority: Authority) -> None:
    broker = make_broker(tls=authority.issue("broker"), client_ca=authority.certificate)
    ours = authority.issue("door")
    publisher = launch(
        broker.port, tls=Tls(ca_file=authority.certificate, cert_file=ours.certificate, key_file=ours.key)
    )
    await publisher.start()
    await eventually(lambda: publisher.connected)


async def test_a_missing_client_certificate_is_told(
    make_broker: MakeBroker, launch: Launch, authority: Authority
) -> None:
    broker = make_broker(tls=authority.issue("broker"), client_ca=authority.certificate)
    publisher = launch(broker.port, tls=Tls(ca_file=authority.certificate))
    await publisher.start()
    await eventually(lambda: publisher.last_error)
    assert not publisher.connected
    assert "CERTIFICATE_REQUIRED" in publisher.last_error


async def test_a_missing_authority_file_is_told(launch: Launch, tmp_path: Path) -> None:
    publisher = launch(1, tls=Tls(ca_file=tmp_path / "nowhere.pem"))
    await publisher.start()
    await eventually(lambda: publisher.last_error)
    assert "No such file" in publisher.last_error
