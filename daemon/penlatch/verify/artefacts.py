"""The shipped models: where they are, what they expect, and whether they are still what was shipped."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from penlatch.decoding import UNREADABLE
from penlatch.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

MANIFEST = "manifest.json"
NETWORK = "bilstm_se.tflite"
CALIBRATION = "calibration.json"

FORMAT = 1
"""Version of the manifest; a reader refuses any other."""


class Sequence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The network's input of sequences."""

    name: str
    length: int
    """Samples a signature is resampled to."""
    channels: tuple[str, ...]
    """Names of `signal.channels`, in order."""


class Features(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The network's input of global features."""

    name: str
    features: tuple[str, ...]
    """Names of `signal.features`, in order."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `manifest.json` says: the files, what goes into the network, and where it came from."""

    format: int
    sha256: dict[str, str]
    """Digest of each file by its name; what is not named here is not read."""
    sequence: Sequence
    features: Features
    outputs: dict[str, tuple[int, ...]]
    """Shape of each output of the network."""
    golden: tuple[tuple[float, ...], ...]
    """The embeddings of the first formula-made signals (see `bilstm_se.golden_input`), for the self-test."""
    training_data: dict[str, Any]
    metrics: dict[str, Any]
    command: str
    """What makes these files again."""
    versions: dict[str, str]
    """Of the programs that made them."""


@dataclass(frozen=True)
class Artefacts:
    """The checked files of one model folder."""

    directory: Path
    manifest: Manifest
    digest: str
    """SHA-256 of the manifest, and through it of every file."""
    files: Mapping[str, bytes]

    @classmethod
    def load(cls, directory: Path | None = None) -> Artefacts:
        """Read the manifest and every file it names, each only if its digest is right.

        Args:
            directory: Model folder; None for the one that came with the package.

        Raises:
            ModelError: if anything is missing, altered, or of another format.
        """
        directory = directory or default_directory()
        path = directory / MANIFEST
        raw = _read(path)
        try:
            manifest = msgspec.json.decode(raw, type=Manifest)
        except UNREADABLE as error:
            raise ModelError(path=path, problem=f"it is damaged ({error})") from error
        if manifest.format != FORMAT:
            raise ModelError(path=path, problem=f"it has format {manifest.format}, this is {FORMAT}")
        for name in manifest.sha256:
            if Path(name).name != name or name in ("", "..") or "\0" in name:
                raise ModelError(path=path, problem=f"it names {name!r}, which is not a file of its folder")
        missing = {NETWORK, CALIBRATION} - manifest.sha256.keys()
        if missing:
            raise ModelError(path=path, problem=f"it does not name {', '.join(sorted(missing))}")
        files = {name: _checked(directory / name, digest) for name, digest in manifest.sha256.items()}
        return cls(directory=directory, manifest=manifest, digest=hashlib.sha256(raw).hexdigest(), files=files)


def default_directory() -> Path:
    """Return the models inside the installed package, else those of the checkout this file lies in."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "models"
    return installed if installed.is_dir() else package.parents[1] / "models"


def _checked(path: Path, digest: str) -> bytes:
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != digest:
        raise ModelError(path=path, problem="it was altered: its SHA-256 is not the manifest's")
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(path=path, problem=error.strerror or str(error)) from error
