"""`penlatch enroll --image`: a scan becomes a small raster, and what is no scan a sentence."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from penlatch.cli import picture
from penlatch.cli import sign as sign_module
from penlatch.cli.exits import Exit
from penlatch.cli.scan import LARGEST_FILE
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
        file.truncate(LARGEST_FILE + 1)
    assert "more than 32 MB" in refused(tmp_path / "huge.png")


def test_without_pillow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "pip install 'penlatch[image]'" in refused(tmp_path / "a.png")


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA", "CMYK", "I", "F"])
def test_pixels_of_every_kind_are_read(scan: Any, tmp_path: Path, mode: str) -> None:
    scan.convert(mode).save(tmp_path / "a.tif")
    assert alike(picture.read_raster(tmp_path / "a.tif")) > 0.7


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_a_camera_is_believed(scan: Any, pillow: Any, tmp_path: Path, orientation: int) -> None:
    from penlatch.cli.scan import _UPRIGHT  # noqa: PLC0415 - the table whose inverse is wanted here alone

    there = {"ROTATE_90": "ROTATE_270", "ROTATE_270": "ROTATE_90"}
    name = _UPRIGHT.get(orientation)
    turned = scan.transpose(getattr(pillow.Transpose, there.get(name, name))) if name else scan
    exif = pillow.Exif()
    exif[0x0112] = orientation
    scan.save(tmp_path / "upright.png")
    turned.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    one, two = (picture.read_raster(tmp_path / name) for name in ("upright.png", "turned.jpg"))
    assert alike(one, two) > 0.95


# --- What is no signature -------------------------------------------------------------------------------------


def page(pillow: Any, lines: int) -> Any:
    from PIL import ImageDraw  # noqa: PLC0415 - an extra

    sheet = pillow.new("L", (620, 60 + 22 * lines), 250)
    draw_on = ImageDraw.Draw(sheet)
    for line in range(lines):
        draw_on.text((30, 30 + 22 * line), "Invoice 2026-113 for one door opener, eleven keys and a lock", fill=10)
    return sheet


@pytest.mark.parametrize("lines", [1, 3, 12, 40])
def test_print_is_no_signature(pillow: Any, tmp_path: Path, lines: int) -> None:
    page(pillow, lines).save(tmp_path / "page.png")
    assert "print" in refused(tmp_path / "page.png")


def test_a_diagram_a_table_a_chart_and_a_code_are_no_signatures(pillow: Any, tmp_path: Path) -> None:
    from PIL import ImageDraw  # noqa: PLC0415 - an extra

    diagram, table, bars = (pillow.new("L", (800, 500), 255) for _ in range(3))
    on = ImageDraw.Draw(diagram)
    for x in (40, 290, 540):
        for y in (60, 300):
            on.rectangle((x, y, x + 150, y + 90), outline=0, width=3)
            on.text((x + 20, y + 40), "box", fill=0)
        on.line((x + 75, 150, x + 75, 300), fill=0, width=3)
    on = ImageDraw.Draw(table)
    for at in range(40, 480, 60):
        on.line((40, at, 400, at), fill=0, width=3)
        on.line((at, 40, at, 460), fill=0, width=3)
    on = ImageDraw.Draw(bars)
    for number in range(7):
        on.rectangle((40 + 90 * number, 400 - 50 * number, 100 + 90 * number, 460), fill=20)
    code = pillow.fromarray(np.kron(np.random.default_rng(2).integers(0, 2, (29, 29)), np.ones((9, 9))).astype(bool))
    for number, drawn in enumerate((diagram, table, bars, code)):
        drawn.save(tmp_path / f"{number}.png")
        assert "signature" in refused(tmp_path / f"{number}.png")


def test_two_signatures_far_apart_are_not_one(scan: Any, pillow: Any, tmp_path: Path) -> None:
    sheet = pillow.new("L", (1500, 200), 245)
    sheet.paste(scan, (0, 0))
    sheet.paste(scan, (1100, 0))
    sheet.save(tmp_path / "two.png")
    assert "far from each other" in refused(tmp_path / "two.png")


# --- The command ------------------------------------------------------------------------------------------


def test_the_command_gives_the_daemon_a_raster(
    scan: Any, tmp_path: Path, verbs: ScriptedVerbs, penlatch: Callable[..., Result]
) -> None:
    scan.save(tmp_path / "ada.png")
    result = penlatch("enroll", "ada", "--image", str(tmp_path / "ada.png"), "--yes")
    assert (result.exit_code, result.stdout) == (Exit.OK, "ada is known by 1 picture now.\n")
    assert verbs.asked == [("enroll_picture", "ada", picture.read_raster(tmp_path / "ada.png"))]


def test_a_refusal_is_told(scan: Any, tmp_path: Path, verbs: ScriptedVerbs, penlatch: Callable[..., Result]) -> None:
    scan.save(tmp_path / "ada.png")
    verbs.refusal = RequestError(code="already_enrolled", problem="ada gave references with a pen")
    result = penlatch("enroll", "ada", "--image", str(tmp_path / "ada.png"), "--yes")
    assert result.exit_code == Exit.FAILED
    assert "ada gave references with a pen" in result.stderr


def test_an_unreadable_picture_asks_the_daemon_nothing(
    tmp_path: Path, verbs: ScriptedVerbs, penlatch: Callable[..., Result]
) -> None:
    (tmp_path / "ada.png").write_bytes(b"nothing")
    result = penlatch("enroll", "ada", "--image", str(tmp_path / "ada.png"), "--yes")
    assert result.exit_code == Exit.FAILED
    assert verbs.asked == []


@pytest.mark.parametrize("more", [("--references", "4"), ("--continue",), ("--transaction", "t1")])
def test_what_a_pen_needs_does_not_go_with_a_picture(
    tmp_path: Path, penlatch: Callable[..., Result], more: tuple[str, ...]
) -> None:
    (tmp_path / "ada.png").write_bytes(b"nothing")
    assert penlatch("enroll", "ada", "--image", str(tmp_path / "ada.png"), *more).exit_code == Exit.USAGE


def test_the_preview_shows_what_the_daemon_gets(scan: Any, tmp_path: Path, penlatch: Callable[..., Result]) -> None:
    scan.save(tmp_path / "ada.png")
    raster = picture.read_raster(tmp_path / "ada.png")
    shown = penlatch("enroll", "ada", "--image", str(tmp_path / "ada.png"), "--yes").stderr
    assert picture.preview(raster, encoding="utf-8") in shown
    lines = picture.preview(raster, encoding="utf-8").split("\n")
    assert [len(line) for line in lines] == [WIDTH // 2] * (HEIGHT // 4)
    dots = sum((ord(cell) - 0x2800).bit_count() for line in lines for cell in line if cell != " ")
    assert dots == (np.frombuffer(raster, dtype=np.uint8) < 200).sum()
    assert set(picture.preview(raster, encoding="ascii")) == {"#", " ", "\n"}


def test_without_a_terminal_it_does_not_go_on_unseen(
    scan: Any, tmp_path: Path, verbs: ScriptedVerbs, penlatch: Callable[..., Result]
) -> None:
    scan.save(tmp_path / "ada.png")
    result = penlatch("enroll", "ada", "--image", str(tmp_path / "ada.png"))
    assert result.exit_code == Exit.USAGE
    assert "--yes" in result.stderr
    assert verbs.asked == []


@pytest.mark.parametrize(("answer", "status"), [("y\n", Exit.OK), ("n\n", Exit.FAILED), ("\n", Exit.FAILED)])
def test_at_a_terminal_it_asks(
    scan: Any,
    tmp_path: Path,
    verbs: ScriptedVerbs,
    penlatch: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    status: Exit,
) -> None:
    scan.save(tmp_path / "ada.png")
    monkeypatch.setattr(sign_module, "_can_answer", lambda: True)
    result = penlatch("enroll", "ada", "--image", str(tmp_path / "ada.png"), input=answer)
    assert result.exit_code == status
    assert bool(verbs.asked) is (status is Exit.OK)
