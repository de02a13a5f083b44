"""Scanned signatures: CEDAR, writers 1 to 40, read from a user's own copy as grey pictures.

`cedar-1-40.zip`, or the same unpacked: `cedar/W/original_W_N.jpg` and `cedar/W/forgeries_W_N.jpg`, 24 of each.

The originals were scanned on greyish paper and the forgeries were whitened: whoever reads the paper's brightness tells
them apart without looking at the ink. `penlatch.signal.raster.normalise` divides by the paper.
"""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from training.sources import locate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from training.records import Kind
    from training.sources import Source

ARCHIVE = "cedar-1-40"
_NAME = re.compile(r"(?P<kind>original|forgeries)_(?P<user>\d+)_(?P<index>\d+)\.jpg$")


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One scanned signature."""

    user: str
    """Whose signature it is, or pretends to be."""
    kind: Kind
    index: int
    """Number within user and kind, from 1."""
    grey: NDArray[np.uint8]
    """0 is black, uint8 [h, w]."""


def load_scans(data: Path | None = None) -> list[Scan]:
    """Read all scans, ordered by user, kind and index.

    Args:
        data: Folder of the archives; None for the usual one.

    Raises:
        DataMissingError: if neither the archive nor an unpacked folder is there.
    """
    scans = [
        Scan(
            user=f"{int(name['user']):02d}",
            kind="genuine" if name["kind"] == "original" else "skilled",
            index=int(name["index"]),
            grey=np.asarray(Image.open(io.BytesIO(content)).convert("L")),
        )
        for name, content in _contents(_source(data))
    ]
    return sorted(scans, key=lambda scan: (scan.user, scan.kind, scan.index))


def digest(data: Path | None = None) -> str:
    """Return the SHA-256 of the database; see `sources.Source.sha256`."""
    return _source(data).sha256(_NAME)


def _source(data: Path | None) -> Source:
    return locate(data, ARCHIVE, _NAME, example="cedar/1/original_1_1.jpg")


def _contents(source: Source) -> Iterator[tuple[re.Match[str], bytes]]:
    if source.path.is_file():
        with zipfile.ZipFile(source.path) as opened:
            for name in opened.namelist():
                if match := _NAME.search(name):
                    yield match, opened.read(name)
        return
    for path in source.path.rglob("*.jpg"):
        if match := _NAME.search(path.name):
            yield match, path.read_bytes()
