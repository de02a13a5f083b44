"""Reads a picture in a process of its own, which can use little memory and little time: `python -m penlatch.cli.scan`.

Whatever a file that somebody brought does to a decoder, it does it here. The kernel bounds memory and processor time; a
process that dies of it is a picture that cannot be used. Root becomes nobody before the first byte is read. The file is
standard input; the answer, a `Found` in JSON, is standard output. Pillow, an optional extra, is imported here and
nowhere else.
"""

from __future__ import annotations

import contextlib
import math
import os
import resource
import sys
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMATS: Final = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "PPM")
"""What is read. A decoder that is not named here is never run on what somebody brought."""
MOST_MEMORY: Final = 256 * 2**20
"""Address space of the process, libraries and stacks included [bytes]."""
MOST_CPU_S: Final = 20
"""Processor time [s]."""
LARGEST_FILE: Final = 32 * 2**20
"""[bytes]."""
MOST_PIXELS: Final = 40_000_000
"""Pixels; a page of A4 at 600 dpi has 35 million."""
MOST_DECODED: Final = 100 * 2**20
"""Memory of the decoded pixels [bytes]: a grey page of A4 at 600 dpi, or one in colour at 500 dpi."""
LEAST_SIDE: Final = 24
"""A picture less high or wide than this shows no signature [pixels]."""
MOST_ASPECT: Final = 40
"""Most times that a picture is as wide as high, or as high as wide."""
LARGEST_TEXT: Final = 2**20
"""Text and profiles in a PNG, decompressed [bytes]."""
WORKING_SIDE: Final = 1600
"""Longest side after shrinking [pixels]: four times what the signature is looked for in, so that no line is lost."""

NOBODY: Final = 65534
"""User and group without any right."""

_BYTES: Final = {"1": 1, "L": 1, "P": 2, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
"""Memory of one decoded pixel by Pillow's mode [bytes]; 4 in every other mode."""
_UPRIGHT: Final = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""Transposition that shows a picture upright, by its EXIF orientation."""
_ORIENTATION: Final = 0x0112
"""EXIF tag."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a picture."""

    pixels: int = MOST_PIXELS
    """Pixels of the picture."""
    decoded: int = MOST_DECODED
    """Memory of its decoded pixels [bytes]."""
    memory: int = MOST_MEMORY
    """Address space of the process [bytes]."""
    cpu_s: int = MOST_CPU_S
    """Processor time [s]."""


class Found(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Answer: a raster, or the problem."""

    raster: bytes = b""
    """HEIGHT x WIDTH bytes, row by row, 0 for ink and 255 for paper; empty where there is a problem."""
    problem: str = ""


def confine(limits: Limits) -> None:
    """Give up memory and time beyond the bounds, for good, and the right to write files."""
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def let_go_of_root() -> None:
    """Become nobody, where this is root: `sudo penlatch enroll --image` decodes a file of somebody else, too."""
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):  # root of a user namespace, who is nobody outside of it
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)


def _load() -> None:
    """Import what is needed while it can be read: it may lie in a folder of root."""
    from PIL import (  # noqa: PLC0415 - see the head of this file
        BmpImagePlugin,
        Image,
        JpegImagePlugin,
        MpoImagePlugin,
        PngImagePlugin,
        PpmImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    from penlatch.signal import handwriting, raster  # noqa: PLC0415 - numpy comes after the bounds

    _ = (BmpImagePlugin, JpegImagePlugin, MpoImagePlugin, PngImagePlugin, PpmImagePlugin, TiffImagePlugin)
    _ = (WebPImagePlugin, handwriting, raster)
    Image.preinit()


def find(file: Any, limits: Limits) -> Found:
    """Read a picture from an open file and find the signature in it. Never raises for what the file holds."""
    from PIL import UnidentifiedImageError  # noqa: PLC0415 - see the head of this file

    from penlatch.errors import PictureError  # noqa: PLC0415 - numpy comes after the bounds
    from penlatch.signal.handwriting import single  # noqa: PLC0415 - likewise
    from penlatch.signal.raster import fitted, found  # noqa: PLC0415 - likewise

    try:
        soft = found(grey(file, limits))
        if problem := single(soft):
            return Found(problem=problem)
        return Found(raster=fitted(soft).tobytes())
    except PictureError as error:
        return Found(problem=error.problem)
    except UnidentifiedImageError:
        return Found(problem=f"it is none of {', '.join(FORMATS)}")
    except MemoryError:
        return Found(
            problem=f"it needs more than {MOST_MEMORY // 2**20} MB of memory: scan it in grey, or with fewer dpi"
        )
    except Exception as error:  # noqa: BLE001 - a decoder may raise anything
        told = "".join(c for c in str(error)[:200] if c.isprintable())
        return Found(problem=f"it cannot be decoded ({told or type(error).__name__})")


def grey(file: Any, limits: Limits) -> NDArray[np.uint8]:
    """Decode a picture in grey, upright, on white paper, its longer side at most about twice `WORKING_SIDE`.

    Returns:
        uint8 [height, width], 0 is black.

    Raises:
        PictureError: if it is too large, too small, or more than one picture.
        Exception: whatever Pillow raises.
    """
    import numpy as np  # noqa: PLC0415 - see `find`
    from PIL import Image, PngImagePlugin  # noqa: PLC0415 - see the head of this file

    Image.MAX_IMAGE_PIXELS = limits.pixels
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = LARGEST_TEXT
    with Image.open(file, formats=FORMATS) as opened:
        _bound(opened, limits)
        orientation = opened.getexif().get(_ORIENTATION)
        opened.draft("L", (WORKING_SIDE, WORKING_SIDE))  # a JPEG is decoded small; nothing else knows of it
        step = max(1, math.ceil(max(opened.size) / WORKING_SIDE))
        picture = Image.fromarray(_deep(opened, step)) if _is_deep(opened.mode) else _shallow(opened, step, Image)
    method = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    if method is not None:
        picture = picture.transpose(getattr(Image.Transpose, method))
    return np.asarray(picture, dtype=np.uint8)


def _bound(opened: Any, limits: Limits) -> None:
    """Refuse a picture by its head, before a pixel of it is decoded.

    Raises:
        PictureError: naming what is wrong.
    """
    from penlatch.errors import PictureError  # noqa: PLC0415 - see `find`

    width, height = opened.size
    if width * height > limits.pixels:
        raise PictureError(problem=f"{width} x {height} pixels are more than {limits.pixels // 10**6} million")
    if min(width, height) < LEAST_SIDE:
        raise PictureError(problem=f"{width} x {height} pixels are too few")
    if max(width, height) > MOST_ASPECT * min(width, height):
        raise PictureError(problem=f"{width} x {height} pixels are a strip, and no signature")
    if width * height * _BYTES.get(opened.mode, 4) > limits.decoded and opened.format not in ("JPEG", "MPO"):
        problem = f"{width} x {height} pixels in colour need too much memory: scan it in grey, or with fewer dpi"
        raise PictureError(problem=problem)
    if opened.format not in ("JPEG", "MPO") and getattr(opened, "n_frames", 1) > 1:
        raise PictureError(problem="it holds more than one picture")


def _is_deep(mode: str) -> bool:
    return mode.startswith(("I", "F"))


def _deep(opened: Any, step: int) -> NDArray[np.uint8]:
    """Shrink a picture of 16 bits or more a pixel, of which Pillow's own conversion would keep the lowest eight."""
    import numpy as np  # noqa: PLC0415 - see `find`

    deep = np.asarray(opened)
    height, width = (max(side // step, 1) for side in deep.shape)
    small = np.empty((height, width), dtype=np.float64)
    for row in range(height):
        strip = deep[row * step : (row + 1) * step, : width * step].astype(np.float64)
        small[row] = strip.reshape(len(strip), width, -1).mean(axis=(0, 2))
    small = np.nan_to_num(small, nan=0.0, posinf=0.0, neginf=0.0)
    return (small * (255.0 / max(float(small.max()), 1.0))).clip(0, 255).astype(np.uint8)


def _shallow(opened: Any, step: int, image: Any) -> Any:
    """Shrink a picture of eight bits a channel; what is transparent shows white paper."""
    clear = "A" in opened.getbands() or "transparency" in opened.info
    if opened.mode in ("1", "P") or "transparency" in opened.info:
        picture = opened.convert("LA" if opened.mode in ("1", "L") and clear else "RGBA" if clear else "L")
    else:
        picture = opened
    picture = picture.reduce(step) if step > 1 else picture.copy()
    if clear:
        paper = image.new("RGBA", picture.size, "white")
        picture = image.alpha_composite(paper, picture.convert("RGBA"))
    return picture.convert("L")


def main() -> None:
    """Answer on standard output."""
    limits = msgspec.json.decode(sys.argv[1], type=Limits)
    confine(limits)
    _load()
    let_go_of_root()
    with os.fdopen(0, "rb") as file:
        sys.stdout.buffer.write(msgspec.json.encode(find(file, limits)))


if __name__ == "__main__":
    main()
