"""Calibrations: the last one is kept, and nobody without the key changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from penlatch.errors import StoreError
from penlatch.store.store import Store
from support.altering import alter_from_within
from support.examples import site_calibration

if TYPE_CHECKING:
    from pathlib import Path

    from penlatch.store.vault import Vault


def test_before_the_first_there_is_none(store: Store) -> None:
    assert store.calibration() is None


def test_the_last_one_is_kept_over_a_restart(store: Store, path: Path, vault: Vault) -> None:
    store.keep_calibration(site_calibration())
    last = site_calibration(time="2026-02-01T00:00:00.000Z", people=70)
    store.keep_calibration(last)
    store.close()
    again = Store.open(path, vault)
    assert again.calibration() == last
    again.close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE calibrations SET sealed = zeroblob(80)",
        "UPDATE calibrations SET version = 'other models'",
        "UPDATE calibrations SET time = '2030-01-01T00:00:00.000Z'",
        "UPDATE calibrations SET sealed = (SELECT sealed FROM templates)",
    ],
)
def test_an_altered_one_is_none_that_can_be_used(store: Store, sql: str) -> None:
    store.enroll("ada", references=[b"r"], template=b"t", template_version="1", time="then")
    store.keep_calibration(site_calibration())
    assert alter_from_within(store, sql) == 1
    with pytest.raises(StoreError, match="calibrate --apply") as caught:
        store.calibration()
    assert caught.value.remedy


def test_what_is_kept_is_sealed(store: Store, path: Path) -> None:
    kept = site_calibration(notes=("a needle in the database",))
    assert b"needle" in msgspec.json.encode(kept)
    store.keep_calibration(kept)
    assert b"needle" not in b"".join(p.read_bytes() for p in path.parent.glob(f"{path.name}*"))
