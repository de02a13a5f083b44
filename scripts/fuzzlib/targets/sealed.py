"""A sealed record: an altered one never opens."""

from __future__ import annotations

from functools import cache

from fuzzlib.target import Target, require, without_chance
from penlatch.errors import StoreError
from penlatch.store.vault import Vault

_VAULT = Vault(bytes(32))


@cache
def _sealed() -> bytes:
    with without_chance():
        return _VAULT.seal(b"a reference", context="fuzz")


def _feed(data: bytes) -> None:
    _VAULT.open(data, context="fuzz")
    require(data == _sealed(), "an altered record was opened")


TARGET = Target("a sealed record", _feed, lambda: [_sealed()], (StoreError,))
