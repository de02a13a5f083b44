"""A scan of a signature, from a file to the small raster that the daemon takes, and how a terminal shows it.

Decoding stays on this side of the socket: the daemon never opens a file that somebody brought. It runs in a process of
its own with little memory and time (`cli.scan`).
"""

from __future__ import annotations

import importlib.util
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from penlatch.cli import scan
from penlatch.cli.scan import LARGEST_FILE, MOST_CPU_S, MOST_MEMORY, MOST_PIXELS
from penlatch.decoding import UNREADABLE
from penlatch.errors import PictureError
from penlatch.signal.raster import HEIGHT, WIDTH

PATIENCE_S: Final = 60.0
"""Longest time that reading a picture takes, on any machine [s]."""

_DOTS: Final = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""Bit of each dot of a Braille pattern, in four rows and two columns (Unicode, block U+2800)."""
_BRAILLE: Final = 0x2800
_DARK: Final = 200
"""Grey value below which a pixel is drawn as a dot."""


def read_raster(path: Path) -> bytes:
    """Read a picture, find the signature in it, and return its raster: HEIGHT x WIDTH bytes, row by row.

    Raises:
        PictureError: if Pillow is not installed, the file cannot be read as a picture, is too large or too small, takes
            too much memory or time, or does not show one signature.
    """
    try:
        return _found(path).raster
    except PictureError as error:
        raise PictureError(problem=error.problem, path=path) from error


def preview(raster: bytes, *, encoding: str | None) -> str:
    """Draw a raster in characters, as the daemon gets it.

    Args:
        raster: HEIGHT x WIDTH bytes, row by row.
        encoding: Of the terminal.

    Returns:
        16 lines of 64 Braille patterns and spaces; where the terminal cannot show these, 32 lines of 64 characters.
    """
    ink = np.frombuffer(raster, dtype=np.uint8).reshape(HEIGHT, WIDTH) < _DARK
    if "utf" in (encoding or "").lower():
        cells = ink.reshape(HEIGHT // 4, 4, WIDTH // 2, 2).transpose(0, 2, 1, 3)
        codes = _BRAILLE + (cells * _DOTS).sum(axis=(2, 3))
        # The blank pattern looks like a space, and the screen shows no character that only looks so.
        codes[codes == _BRAILLE] = ord(" ")
        return "\n".join("".join(map(chr, row)) for row in codes.tolist())
    blocks = ink.reshape(HEIGHT // 2, 2, WIDTH // 2, 2).any(axis=(1, 3))
    return "\n".join("".join("#" if dark else " " for dark in row).rstrip() for row in blocks.tolist())


def _found(path: Path) -> scan.Found:
    try:
        there = importlib.util.find_spec("PIL") is not None
    except ValueError:  # it is in sys.modules, and is none
        there = False
    if not there:
        raise PictureError(problem="reading pictures needs Pillow: pip install 'penlatch[image]'")
    file = _opened(path)
    try:
        limits = scan.Limits(pixels=MOST_PIXELS, memory=MOST_MEMORY, cpu_s=MOST_CPU_S)
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": _root()}
        read = subprocess.run(  # noqa: S603 - this Python, a module of ours, and no word of anybody else
            [sys.executable, "-m", scan.__name__, msgspec.json.encode(limits).decode()],
            stdin=file,
            capture_output=True,
            env=environment,
            timeout=PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PictureError(problem=f"reading it took more than {PATIENCE_S:.0f} s") from error
    except OSError as error:
        raise PictureError(problem=error.strerror or str(error)) from error
    finally:
        os.close(file)
    try:
        found = msgspec.json.decode(read.stdout, type=scan.Found)
    except UNREADABLE as error:
        problem = f"reading it takes more than {MOST_MEMORY // 2**20} MB of memory or {MOST_CPU_S} s"
        raise PictureError(problem=problem) from error
    if found.problem or len(found.raster) != HEIGHT * WIDTH:
        raise PictureError(problem=found.problem or "it gave no raster")
    return found


def _opened(path: Path) -> int:
    """Open a plain file of a bounded size, and return its descriptor.

    Raises:
        PictureError: if it is none.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise PictureError(problem=error.strerror or str(error)) from error
    told = os.fstat(file)
    if stat.S_ISREG(told.st_mode) and told.st_size <= LARGEST_FILE:
        return file
    os.close(file)
    large = f"the file has more than {LARGEST_FILE // 2**20} MB"
    raise PictureError(problem=large if stat.S_ISREG(told.st_mode) else "it is no plain file")


def _root() -> str:
    """Return the search path of this process, so that the other one finds the same package and the same Pillow."""
    return os.pathsep.join([str(Path(__file__).resolve().parents[2]), *(path for path in sys.path if path)])
