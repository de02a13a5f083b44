"""`penlatch enroll --image`: a scan becomes a small raster, and what is no scan a sentence."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from penlatch.cli import picture
from penlatch.cli.exits import Exit
from penlatch.errors import PictureError, RequestError
from penlatch.signal.preprocess import clean
from penlatch.signal.raster import HEIGHT, WIDTH, coverage, draw, placed
from penlatch.sim.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from support.verbs import ScriptedVerbs

INK = clean(Writer(5).genuine(np.random.default_rng(5)))


@pytest.fixture(scope="module")
def pillow() -> Any:
    return pytest.importorskip("PIL.Image", reason="Pillow is not installed: pip install 'penlatch[image]'")


@pytest.fixture
def scan(pillow: Any) -> Any:
    """A picture of a signature, 400 x 200."""
    x, y = placed(INK.x, INK.y, height=160, width=300, margin=4)
    inked = coverage(x + 60, y + 20, INK.start, height=200, width=400, line=3)
    return pillow.fromarray(np.rint(245 - 220 * inked).astype(np.uint8))


def alike(raster: bytes, other: Any = None) -> float:
    wanted = draw(INK) if other is None else np.frombuffer(other, dtype=np.uint8)
    return float(np.corrcoef(np.frombuffer(raster, dtype=np.uint8), wanted.ravel())[0, 1])


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp", "a.bmp", "a.ppm"])
def test_a_scan_of_every_format_becomes_a_raster(scan: Any, tmp_path: Path, name: str) -> None:
    scan.convert("RGB").save(tmp_path / name)
    raster = picture.read_raster(tmp_path / name)
    assert len(raster) == HEIGHT * WIDTH
    assert alike(raster) > 0.75


def test_blue_ink_is_ink(scan: Any, pillow: Any, tmp_path: Path) -> None:
    grey = np.asarray(scan)
    blue = np.stack([grey, grey, np.maximum(grey, 160)], axis=2)
    pillow.fromarray(blue).save(tmp_path / "blue.png")
    assert alike(picture.read_raster(tmp_path / "blue.png")) > 0.7


def test_what_is_transparent_is_paper(scan: Any, pillow: Any, tmp_path: Path) -> None:
    cut_out = pillow.new("RGBA", scan.size, (0, 0, 0, 0))
    cut_out.putalpha(scan.point(lambda value: 255 - value))
    cut_out.save(tmp_path / "cut-out.png")
    assert alike(picture.read_raster(tmp_path / "cut-out.png")) > 0.75


def test_a_camera_that_was_turned_is_believed(scan: Any, pillow: Any, tmp_path: Path) -> None:
    scan.save(tmp_path / "upright.png")
    turned = scan.transpose(pillow.Transpose.ROTATE_90)
    exif = pillow.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    turned.save(tmp_path / "turned.png", exif=exif)
    one, two = (picture.read_raster(tmp_path / name) for name in ("upright.png", "turned.png"))
    assert alike(one, two) > 0.95


def test_sixteen_bits_are_read(scan: Any, pillow: Any, tmp_path: Path) -> None:
    pillow.fromarray(np.asarray(scan).astype(np.uint16) * 257).save(tmp_path / "deep.png")
    assert alike(picture.read_raster(tmp_path / "deep.png")) > 0.75


def refused(path: Path) -> str:
    with pytest.raises(PictureError) as error:
        picture.read_raster(path)
    assert error.value.path == path
    return error.value.problem


@pytest.mark.usefixtures("pillow")
def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("this is no picture", encoding="utf-8")
    assert "none of PNG, JPEG" in refused(tmp_path / "text.png")


def test_a_format_that_is_not_named_is_not_decoded(scan: Any, tmp_path: Path) -> None:
    scan.save(tmp_path / "a.png", format="GIF")
    assert "none of PNG, JPEG" in refused(tmp_path / "a.png")


def test_a_broken_picture_is_refused(scan: Any, tmp_path: Path) -> None:
    scan.save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:700])
    assert refused(tmp_path / "half.png")


def test_an_empty_sheet_is_refused(pillow: Any, tmp_path: Path) -> None:
    pillow.new("L", (300, 100), 250).save(tmp_path / "empty.png")
    assert "nothing in it looks like a signature" in refused(tmp_path / "empty.png")


def test_too_many_and_too_few_pixels_are_refused(pillow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pillow.new("L", (300, 10), 250).save(tmp_path / "flat.png")
    assert "too few" in refused(tmp_path / "flat.png")
    monkeypatch.setattr(picture, "MOST_PIXELS", 1_000_000)
    pillow.new("L", (1001, 1000), 250).save(tmp_path / "vast.png")
    assert "more than 1 million" in refused(tmp_path / "vast.png")


@pytest.mark.usefixtures("pillow")
def test_a_huge_file_is_not_opened(tmp_path: Path) -> None:
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(picture.LARGEST_FILE + 1)
    assert "more than 32 MB" in refused(tmp_path / "huge.png")


def test_without_pillow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "pip install 'penlatch[image]'" in refused(tmp_path / "a.png")


# --- The command ------------------------------------------------------------------------------------------


def test_the_command_gives_the_daemon_a_raster(
    scan: Any, tmp_path: Path, verbs: ScriptedVerbs, penlatch: Callable[..., Result]
) -> None:
    scan.save(tmp_path / "ada.png")
    result = penlatch("enroll", "ada", "--image", str(tmp_path / "ada.png"))
    assert (result.exit_code, result.stdout) == (Exit.OK, "ada is known by 1 picture now.\n")
    assert verbs.asked == [("enroll_picture", "ada", picture.read_raster(tmp_path / "ada.png"))]


def test_a_refusal_is_told(scan: Any, tmp_path: Path, verbs: ScriptedVerbs, penlatch: Callable[..., Result]) -> None:
    scan.save(tmp_path / "ada.png")
    verbs.refusal = RequestError(code="already_enrolled", problem="ada gave references with a pen")
    result = penlatch("enroll", "ada", "--image", str(tmp_path / "ada.png"))
    assert result.exit_code == Exit.FAILED
    assert "ada gave references with a pen" in result.stderr


def test_an_unreadable_picture_asks_the_daemon_nothing(
    tmp_path: Path, verbs: ScriptedVerbs, penlatch: Callable[..., Result]
) -> None:
    (tmp_path / "ada.png").write_bytes(b"nothing")
    result = penlatch("enroll", "ada", "--image", str(tmp_path / "ada.png"))
    assert result.exit_code == Exit.FAILED
    assert verbs.asked == []


@pytest.mark.parametrize("more", [("--references", "4"), ("--continue",), ("--transaction", "t1")])
def test_what_a_pen_needs_does_not_go_with_a_picture(
    tmp_path: Path, penlatch: Callable[..., Result], more: tuple[str, ...]
) -> None:
    (tmp_path / "ada.png").write_bytes(b"nothing")
    assert penlatch("enroll", "ada", "--image", str(tmp_path / "ada.png"), *more).exit_code == Exit.USAGE
