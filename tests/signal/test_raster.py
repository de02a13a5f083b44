"""Rasters: drawn or found in a picture, a signature looks the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from penlatch.errors import PictureError
from penlatch.signal.preprocess import Ink, clean
from penlatch.signal.raster import HEIGHT, MARGIN, WIDTH, coverage, draw, normalise, placed, resampled
from penlatch.sim.writer import Writer

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAPER, INK = 250, 40
CENTRE = (HEIGHT // 2, WIDTH // 2)


@pytest.fixture(scope="module")
def ink() -> Ink:
    return clean(Writer(5).genuine(np.random.default_rng(5)))


def lines(*strokes: list[tuple[float, float]]) -> Ink:
    """Return ink of straight strokes between corners."""
    points = np.array([point for stroke in strokes for point in stroke], dtype=np.float64)
    start = np.zeros(len(points), dtype=np.bool_)
    start[np.cumsum([0, *(len(stroke) for stroke in strokes[:-1])])] = True
    t = np.arange(len(points)) / 100
    return Ink(t=t, x=points[:, 0], y=points[:, 1], p=np.ones(len(points)), start=start)


def scan(
    ink: Ink,
    *,
    height: int = 200,
    width: int = 400,
    box: tuple[int, int, int, int] = (30, 50, 120, 260),
    line: float = 3,
) -> NDArray[np.uint8]:
    """Return a picture of `ink` in a box (top, left, height, width) of a sheet."""
    top, left, tall, wide = box
    x, y = placed(ink.x, ink.y, height=tall, width=wide, margin=line)
    inked = coverage(x + left, y + top, ink.start, height=height, width=width, line=line)
    picture: NDArray[np.uint8] = np.rint(PAPER - (PAPER - INK) * inked).astype(np.uint8)
    return picture


def alike(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> float:
    """Return the correlation of two rasters."""
    return float(np.corrcoef(one.ravel(), two.ravel())[0, 1])


def extent(raster: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Return the first and last inked row and column."""
    rows, columns = np.nonzero(raster < 128)
    return int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())


def test_a_drawing_fills_the_raster_up_to_its_margin(ink: Ink) -> None:
    raster = draw(ink)
    assert raster.shape == (HEIGHT, WIDTH)
    assert raster.dtype == np.uint8
    top, bottom, left, right = extent(raster)
    touches = (top - MARGIN, left - MARGIN, HEIGHT - 1 - MARGIN - bottom, WIDTH - 1 - MARGIN - right)
    assert min(touches) >= -1
    assert min(top, left) <= MARGIN


def test_proportions_are_kept() -> None:
    top, bottom, left, right = extent(draw(lines([(0, 0), (10, 0), (10, 10), (0, 10), (0, 0)])))
    assert abs((bottom - top) - (right - left)) <= 1


def test_size_and_place_and_unit_do_not_matter(ink: Ink) -> None:
    moved = Ink(t=ink.t, x=1000 + 37 * ink.x, y=37 * ink.y - 5, p=ink.p, start=ink.start)
    assert alike(draw(moved), draw(ink)) > 0.98


def test_a_lift_leaves_no_line() -> None:
    apart = draw(lines([(0, 0), (0, 10)], [(20, 0), (20, 10)]))
    together = draw(lines([(0, 0), (0, 10), (20, 0), (20, 10)]))
    assert apart[CENTRE] == 255
    assert (together[:, WIDTH // 2] < 255).any()


def test_a_dot_is_in_the_middle() -> None:
    raster = draw(lines([(3, 3)]))
    assert raster[CENTRE] < 128
    assert np.count_nonzero(raster < 255) < 16


@pytest.mark.parametrize("box", [(0, 0, 200, 400), (5, 5, 90, 200), (105, 195, 90, 200)])
def test_a_scan_looks_like_the_drawing_wherever_it_stands(ink: Ink, box: tuple[int, int, int, int]) -> None:
    assert alike(normalise(scan(ink, box=box, line=box[2] / 40)), draw(ink)) > 0.75


@pytest.mark.parametrize("times", [1, 2, 4])
def test_the_resolution_of_a_scan_hardly_matters(ink: Ink, times: int) -> None:
    fine = scan(ink, height=200 * times, width=400 * times, box=(30 * times, 50 * times, 120 * times, 260 * times),
                line=3 * times)  # fmt: skip
    assert alike(normalise(fine), normalise(scan(ink))) > 0.9


def test_tint_and_shadow_of_the_paper_vanish(ink: Ink) -> None:
    plain = scan(ink)
    shadow = np.linspace(0.95, 0.55, plain.shape[1])[None, :]
    assert alike(normalise((plain * shadow).astype(np.uint8)), normalise(plain)) > 0.95


def test_ruled_lines_vanish(ink: Ink) -> None:
    plain = scan(ink)
    ruled = plain.copy()
    ruled[20::40] = 120
    assert alike(normalise(ruled), normalise(plain)) > 0.85


def test_the_edge_of_the_sheet_vanishes(ink: Ink) -> None:
    plain = scan(ink)
    edged = plain.copy()
    edged[5:, 2:4] = edged[:190, -5:-3] = 90
    assert alike(normalise(edged), normalise(plain)) > 0.95


def test_specks_do_not_move_the_crop(ink: Ink) -> None:
    plain = scan(ink)
    dusty = plain.copy()
    dusty[2, 3] = dusty[197, 396] = dusty[195, 5] = 0
    assert alike(normalise(dusty), normalise(plain)) > 0.95


def test_grain_is_not_ink(ink: Ink) -> None:
    plain = scan(ink)
    grain = np.random.default_rng(1).normal(0, 15, plain.shape)
    assert alike(normalise(np.clip(plain + grain, 0, 255).astype(np.uint8)), normalise(plain)) > 0.85


@pytest.mark.parametrize("shade", [0, 90, 255])
def test_an_empty_sheet_is_no_signature(shade: int) -> None:
    with pytest.raises(PictureError, match="nothing in it looks like a signature"):
        normalise(np.full((120, 300), shade, dtype=np.uint8))


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (64, 128), (900, 40)])
def test_any_size_is_taken(shape: tuple[int, int]) -> None:
    grey = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    try:
        assert normalise(grey).shape == (HEIGHT, WIDTH)
    except PictureError as error:
        assert error.problem == "nothing in it looks like a signature"  # noqa: PT017 - either is right for noise


def test_resizing_by_area_keeps_the_mean() -> None:
    picture = np.random.default_rng(0).random((50, 70)).astype(np.float32)
    for height, width in ((10, 14), (25, 35), (100, 140)):
        assert resampled(picture, height=height, width=width).mean() == pytest.approx(picture.mean(), abs=0.01)
