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

from training.datasets import DataMissingError, data_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from training.datasets import Kind

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
        data: Folder of the archives; None for `data_folder()`.

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
        for name, content in _files(data or data_folder())
    ]
    return sorted(scans, key=lambda scan: (scan.user, scan.kind, scan.index))


def _files(data: Path) -> Iterator[tuple[re.Match[str], bytes]]:
    packed, folder = data / f"{ARCHIVE}.zip", data / ARCHIVE
    if packed.is_file():
        with zipfile.ZipFile(packed) as opened:
            for name in opened.namelist():
                if match := _NAME.search(name):
                    yield match, opened.read(name)
    elif folder.is_dir():
        for path in sorted(folder.rglob("*.jpg")):
            if match := _NAME.search(path.as_posix()):
                yield match, path.read_bytes()
    else:
        raise DataMissingError(f"neither {packed} nor {folder} exists; set PENLATCH_DATA to where the databases are")
