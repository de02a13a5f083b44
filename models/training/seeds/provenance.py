"""Where figures come from: the command, the data's digests and the versions that made them, written beside them."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.datasets import data_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from training.datasets import Database

ARCHIVES: dict[Database, str] = {
    "svc2004-task1": "svc2004-task1",
    "svc2004-task2": "svc2004-task2",
    "susig-visual": "susig",
    "susig-blind": "susig",
    "sigcomp2009-nfi": "sigcomp2009",
}
"""Where the databases that the seeds are measured on lie: an archive, or a folder, of this name."""

RESULTS = Path(__file__).resolve().parents[2] / "results"


def digests(databases: Iterable[Database], data: Path | None) -> dict[str, str]:
    """Return the SHA-256 of each database's archive, by its name; an unpacked folder's is that of its sorted files."""
    found = {}
    for name in sorted({ARCHIVES[database] for database in databases}):
        digest = hashlib.sha256()
        for file in _files(name, data or data_folder()):
            digest.update(file.read_bytes())
        found[name] = digest.hexdigest()
    return found


def _files(name: str, data: Path) -> list[Path]:
    """Return the archive, or the files of the folder, whether `data` is it or holds it."""
    place = next((path for path in (data / f"{name}.zip", data / name) if path.exists()), data)
    return [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())


def write(
    name: str, command: str, figures: Mapping[str, Any], *, data: Mapping[str, str], packages: Iterable[str]
) -> Path:
    """Write `models/results/NAME.json`: figures with the command, data digests and versions that made them."""
    versions = {package: version(package) for package in packages} | {"python": platform.python_version()}
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    content = {"command": command, "data": dict(data), "versions": versions} | dict(figures)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path
