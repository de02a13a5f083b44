"""The manifest of the models: nothing is taken that it does not name, with the digest it has."""

from __future__ import annotations

import hashlib

import msgspec

from fuzzlib.target import FOLDER, Target, require
from penlatch.errors import ModelError
from penlatch.verify.artefacts import CALIBRATION, MANIFEST, NETWORK, Artefacts, default_directory

_FILES = {NETWORK: b"TFL3 in name only", CALIBRATION: b"{}", "golden.json": b"[]"}
"""Small: their digests are all that is looked at here."""


def _feed(data: bytes) -> None:
    for name, content in _FILES.items():
        if not (path := FOLDER.path / name).exists():
            path.write_bytes(content)
    taken = Artefacts.load(FOLDER.file(MANIFEST, data).parent)
    require({NETWORK, CALIBRATION} <= taken.files.keys() <= _FILES.keys(), "it has other files than the folder")
    require(all(_FILES[name] == content for name, content in taken.files.items()), "a file is not what it was")


def _seeds() -> list[bytes]:
    manifest = msgspec.json.decode((default_directory() / MANIFEST).read_bytes())
    manifest["sha256"] = {name: hashlib.sha256(content).hexdigest() for name, content in _FILES.items()}
    manifest["golden"] = [[0.5, -0.25]]
    manifest["metrics"] = manifest["training_data"] = {}
    manifest["features"]["features"] = manifest["features"]["features"][:3]
    return [msgspec.json.encode(manifest)]


TARGET = Target(
    "the manifest of the models", _feed, _seeds, (ModelError,), words=(b'"../', b'".."', b'"/etc/passwd":', b"\\u0000")
)
