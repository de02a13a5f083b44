"""A scan of a signature, from a file to the small raster that the daemon takes.

Decoding stays on this side of the socket: the daemon never opens a file that somebody brought. Pillow, an optional
extra, is imported when a picture is read and not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from penlatch.errors import PictureError
from penlatch.signal.raster import normalise

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "PPM")
"""What is read. A decoder that is not named here is never run on what somebody brought."""
LARGEST_FILE = 32 * 2**20
"""[bytes]."""
MOST_PIXELS = 40_000_000
"""A page of A4 at 600 dpi has 35 million."""
LEAST_SIDE = 24
"""A picture less high or wide than this shows no signature [pixels]."""


def read_raster(path: Path) -> bytes:
    """Read a picture, find the signature in it, and return its raster: HEIGHT x WIDTH bytes, row by row.

    Raises:
        PictureError: if Pillow is not installed, the file cannot be read as a picture, is too large or too small, or
            shows no signature.
    """
    try:
        return normalise(_grey(path)).tobytes()
    except PictureError as error:
        raise PictureError(problem=error.problem, path=path) from error


def _grey(path: Path) -> NDArray[np.uint8]:
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError  # noqa: PLC0415 - see the head of this file
    except ImportError as error:
        raise PictureError(problem="reading pictures needs Pillow: pip install 'penlatch[image]'") from error
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise PictureError(problem=f"the file has more than {LARGEST_FILE // 2**20} MB")
        with Image.open(path, formats=FORMATS) as opened:
            width, height = opened.size
            if width * height > MOST_PIXELS:
                raise PictureError(problem=f"{width} x {height} pixels are more than {MOST_PIXELS // 10**6} million")
            if min(width, height) < LEAST_SIDE:
                raise PictureError(problem=f"{width} x {height} pixels are too few")
            return np.asarray(_on_paper(ImageOps.exif_transpose(opened), Image), dtype=np.uint8)
    except UnidentifiedImageError as error:
        raise PictureError(problem=f"it is none of {', '.join(FORMATS)}") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PictureError(problem=str(error) or type(error).__name__) from error


def _on_paper(picture: Any, image: Any) -> Any:
    """Return a picture in grey; what is transparent shows white paper."""
    if picture.mode.startswith(("I", "F")):
        # Sixteen bits a pixel, of which Pillow's own conversion would keep the lowest eight.
        deep = np.asarray(picture, dtype=np.float64)
        return image.fromarray((deep * (255.0 / max(float(deep.max()), 1.0))).clip(0, 255).astype(np.uint8))
    if "A" in picture.getbands() or "transparency" in picture.info:
        paper = image.new("RGBA", picture.size, "white")
        picture = image.alpha_composite(paper, picture.convert("RGBA"))
    return picture.convert("L")
