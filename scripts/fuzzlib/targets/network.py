"""A network: an altered one is refused by its digest, before the inference runtime sees a byte of it."""

from __future__ import annotations

import shutil
from functools import cache

from fuzzlib.target import FOLDER, Target, require
from penlatch.errors import ModelError
from penlatch.verify.artefacts import NETWORK, Artefacts, default_directory


@cache
def _shipped() -> bytes:
    return (default_directory() / NETWORK).read_bytes()


def _feed(data: bytes) -> None:
    folder = FOLDER.path / "models"
    if not folder.exists():
        shutil.copytree(default_directory(), folder, ignore=shutil.ignore_patterns("training"))
    (folder / NETWORK).write_bytes(data)
    Artefacts.load(folder)
    require(data == _shipped(), "an altered network was taken")


TARGET = Target("a network", _feed, lambda: [_shipped()], (ModelError,), slow=True)
