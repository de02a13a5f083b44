"""Reading what somebody brought: whatever it does to a decoder, memory and time stay bounded, and it is a sentence."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from penlatch.cli import picture, scan
from penlatch.errors import PictureError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed: pip install 'penlatch[image]'")

MEMORY_MB = 256
ASK = """
import pathlib, resource, sys
from penlatch.cli import picture
from penlatch.errors import PictureError
try:
    picture.read_raster(pathlib.Path(sys.argv[1]))
except PictureError as error:
    print("refused:", error.problem)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, end="")
"""


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *, bits: int = 8, colour: int = 0, extra: bytes = b"") -> bytes:
    """Return a white picture: a few kB, whatever its size."""
    channels = {0: 1, 2: 3, 6: 4}[colour]
    packer = zlib.compressobj(9)
    row = b"\0" + b"\xff" * (width * channels * bits // 8)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def packed(count: int) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(-(-count // 2**20))) + packer.flush()


BOMBS: dict[str, Callable[[], bytes]] = {
    "white": lambda: png(6300, 6300),
    "level strip": lambda: png(1_600_000, 24),
    "upright strip": lambda: png(24, 1_600_000),
    "sixteen bits": lambda: png(6300, 6300, bits=16),
    "colour and alpha": lambda: png(6000, 6000, colour=6),
    "colour": lambda: png(5100, 5100, colour=2),
    "colour of sixteen bits": lambda: png(4000, 4000, bits=16, colour=2),
    "text": lambda: png(300, 100, extra=chunk(b"zTXt", b"a\0\0" + packed(300_000_000))),
    "international text": lambda: png(300, 100, extra=chunk(b"iTXt", b"a\0\1\0\0\0" + packed(300_000_000))),
    "many texts": lambda: png(300, 100, extra=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(900_000))) * 500),
    "profile": lambda: png(300, 100, extra=chunk(b"iCCP", b"a\0\0" + packed(300_000_000))),
    "a head alone": lambda: b"P5 4000 4000 255\n",
    "nothing": lambda: b"",
    "half": lambda: png(300, 100)[:60],
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_little_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(BOMBS[name]())
    # A small process asks, since a child counts what its parent had when it was forked.
    told = subprocess.run([sys.executable, "-c", ASK, path], check=True, capture_output=True, text=True).stdout
    problem, _, peak_kb = told.rpartition("\n")
    assert problem.startswith("refused: ")
    assert int(peak_kb) / 1024 < MEMORY_MB


def test_an_animation_and_a_document_of_pages_are_more_than_one_picture(tmp_path: Path) -> None:
    sheet = pillow.new("L", (300, 100), 250)
    others = [pillow.new("L", (300, 100), grey) for grey in (1, 2)]
    for name in ("a.tif", "a.webp", "a.png"):
        sheet.save(tmp_path / name, save_all=True, append_images=others)
        with pytest.raises(PictureError, match="more than one picture"):
            picture.read_raster(tmp_path / name)


def test_what_is_no_plain_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", tmp_path):
        with pytest.raises(PictureError, match="no plain file"):
            picture.read_raster(path)


@pytest.mark.parametrize("bound", ["MOST_MEMORY", "MOST_CPU_S"])
def test_a_process_that_dies_of_its_bounds_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    (tmp_path / "a.png").write_bytes(png(300, 100))
    monkeypatch.setattr(picture, bound, {"MOST_MEMORY": 2**25, "MOST_CPU_S": 0}[bound])
    with pytest.raises(PictureError, match="memory or"):
        picture.read_raster(tmp_path / "a.png")


def test_a_reader_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(png(300, 100))
    monkeypatch.setattr(picture, "PATIENCE_S", 0.01)
    with pytest.raises(PictureError, match="took more than"):
        picture.read_raster(tmp_path / "a.png")


def test_a_large_photograph_of_a_page_is_read(tmp_path: Path) -> None:
    drawn = np.full((1250, 1900), 245, dtype=np.uint8)
    at = np.arange(0, 6 * np.pi, 0.001)
    x, y = 950 + 40 * at - 400 + 160 * np.sin(at * 1.7), 600 + 150 * np.sin(2.3 * at)
    for dx in range(-6, 7):
        for dy in range(-6, 7):
            drawn[y.astype(int) + dy, x.astype(int) + dx] = 20
    pillow.fromarray(drawn).convert("RGB").resize((7600, 5000)).save(tmp_path / "a.jpg", quality=60)
    assert len(picture.read_raster(tmp_path / "a.jpg")) == 64 * 128


def test_nothing_of_the_file_reaches_the_screen_raw() -> None:
    """An exception of a decoder may quote the file."""

    class Broken:
        def read(self, *_: Any) -> bytes:
            raise ValueError("\x1b[2J\u202e" * 1000)

        def seek(self, *_: Any) -> int:
            return 0

        def tell(self) -> int:
            return 0

    found = scan.find(Broken(), scan.Limits())
    assert found.problem
    assert found.problem.isprintable()
    assert len(found.problem) < 300


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_root_decodes_nothing() -> None:
    shown = "print(os.getresuid(), os.getresgid(), os.getgroups())"
    ask = f"import os; from penlatch.cli import scan; scan.let_go_of_root(); {shown}"
    told = subprocess.run([sys.executable, "-c", ask], check=True, capture_output=True, text=True).stdout.strip()
    assert told == f"{(scan.NOBODY,) * 3} {(scan.NOBODY,) * 3} []"
