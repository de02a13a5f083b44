"""A store in a folder of its own, and what is put into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from penlatch.messages import Action, DecisionDraft, Reason, Verdict
from penlatch.store.store import Store
from penlatch.store.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database will be."""
    return tmp_path / "penlatch.db"


@pytest.fixture
def vault(path: Path) -> Vault:
    """The vault beside the database."""
    return Vault.load(database=path, environment={})


@pytest.fixture
def store(path: Path, vault: Vault) -> Iterator[Store]:
    """An open, empty store."""
    opened = Store.open(path, vault)
    yield opened
    opened.close()


@pytest.fixture
def draft() -> Callable[..., DecisionDraft]:
    """Return a function that makes a draft, some of its fields as given."""

    def make(**changed: object) -> DecisionDraft:
        fields: dict[str, object] = {
            "terminal": "door-1",
            "time": "2025-03-01T08:00:00.000Z",
            "action": Action.VERIFY,
            "user": "ada",
            "verdict": Verdict.MATCH,
            "done": True,
            "reason": Reason.AGREES,
        }
        return DecisionDraft(**fields | changed)  # type: ignore[arg-type] # fields of a message, changed by name

    return make
