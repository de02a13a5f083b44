"""Uses a store in the folder that is named, and says "kept …" for everything that it promised, when it promised it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from penlatch.messages import Action, DecisionDraft, Reason, Verdict
from penlatch.store.store import Store
from penlatch.store.vault import Vault

TIME = "2026-03-01T08:00:00.000Z"
DECISIONS = 12


def promise(text: str) -> None:
    """Say it in one call of the kernel, so that it has its place among the writes."""
    os.write(1, f"kept {text}\n".encode())


def main(folder: Path) -> None:
    """Decide, deliver, enrol and forget."""
    path = folder / "penlatch.db"
    store = Store.open(path, Vault.load(database=path, environment={}))
    promise(f"start {store.boot}")
    store.enroll("ada", references=[bytes(3000)] * 3, template=bytes(9000), template_version="m", time=TIME)
    promise("user ada")
    for number in range(DECISIONS):
        draft = DecisionDraft(
            terminal="door-1",
            time=TIME,
            action=Action.VERIFY,
            user="ada",
            verdict=Verdict.MATCH,
            done=True,
            reason=Reason.AGREES,
            probability=number / DECISIONS,
        )
        promise(f"decision {store.record(draft).seq}")
        if number % 3 == 2:
            store.delivered(number)
            promise(f"delivered {number}")
        if number % 5 == 4:
            store.heartbeat()
    store.delete_user("ada")
    promise("no ada")
    store.close()
    promise("closed")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
