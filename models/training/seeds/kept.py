"""Finished parts of a long computation, kept in `build/` so that it goes on where it was stopped."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BUILD = Path(__file__).resolve().parents[3] / "build" / "seeds"


class Kept:
    """Results by name, one JSON file each, of one setting: under another setting nothing is found."""

    def __init__(self, what: str, setting: Mapping[str, Any], *, folder: Path = BUILD) -> None:
        digest = hashlib.sha256(json.dumps(setting, sort_keys=True).encode()).hexdigest()
        self._folder = folder / f"{what}-{digest[:12]}"

    def result(self, name: str, compute: Callable[[], Any]) -> Any:
        """Return what was kept under this name, or compute and keep it (anything that JSON can hold)."""
        path = self._folder / f"{name}.json"
        if path.is_file():
            return json.loads(path.read_text(encoding="utf-8"))
        found = compute()
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(found), encoding="utf-8")
        unfinished.replace(path)
        return found
