"""Scorer `pair`: two hands are told apart by pictures, on both runtimes alike, and nothing damaged is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from penlatch.errors import ModelError, PictureError
from penlatch.signal.preprocess import clean
from penlatch.signal.raster import HEIGHT, WIDTH, draw
from penlatch.sim.writer import Writer
from penlatch.verify.artefacts import default_directory
from penlatch.verify.pair import GOLDEN_COSINE, HEAD, NETWORK, Pair, golden_raster, logistic, read_head
from penlatch.verify.runtime import Model
from support import pair_runtime
from support.runtimes import told_on_the_second_runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    from penlatch.signal.preprocess import Ink

SAME_PROBABILITY = 0.05
"""How far P may differ between the runtimes: they round int8 products differently."""
LARGEST = 700_000
"""Of the network's file [bytes]."""


@pytest.fixture(scope="module")
def pair() -> Pair:
    return pair_runtime.shipped()


@pytest.fixture(scope="module")
def head() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((default_directory() / HEAD).read_text(encoding="utf-8"))
    return content


def ink(seed: int, number: int = 0) -> Ink:
    rng = np.random.default_rng(number)
    return clean([Writer(seed).genuine(rng) for _ in range(number + 1)][-1])


# --- Features ---------------------------------------------------------------------------------------------


def test_features_are_of_unit_length(pair: Pair) -> None:
    features = pair.prepare(ink(1))
    assert features.dtype == np.float32
    assert np.linalg.norm(features) == pytest.approx(1, abs=1e-5)


def test_ink_its_raster_and_a_picture_of_it_give_the_same(pair: Pair) -> None:
    drawn = draw(ink(1))
    assert np.array_equal(pair.prepare(ink(1)), pair.prepare_raster(drawn))
    sheet = np.full((HEIGHT + 40, WIDTH + 90), 255, dtype=np.uint8)
    sheet[20 : 20 + HEIGHT, 60 : 60 + WIDTH] = drawn
    assert pair.prepare_image(sheet) @ pair.prepare_raster(drawn) > 0.8


def test_a_picture_without_a_signature_is_refused(pair: Pair) -> None:
    with pytest.raises(PictureError):
        pair.prepare_image(np.full((100, 200), 255, dtype=np.uint8))


# --- Comparing --------------------------------------------------------------------------------------------


def test_probability_does_not_depend_on_which_came_first(pair: Pair) -> None:
    one, two = pair.prepare(ink(1)), pair.prepare(ink(2))
    assert pair.probability(one, two) == pair.probability(two, one)


def test_a_signature_is_like_itself(pair: Pair) -> None:
    for seed in range(5):
        features = pair.prepare(ink(seed))
        assert pair.probability(features, features) > 0.9


def test_made_up_people_are_told_apart(pair: Pair) -> None:
    """The training met other made-up people: these seeds it has never seen."""
    references = [pair.prepare(ink(seed)) for seed in range(20)]
    questions = [pair.prepare(ink(seed, number=2)) for seed in range(20)]
    probabilities = np.array([[pair.probability(q, r) for r in references] for q in questions])
    own = np.eye(20, dtype=np.bool_)
    assert (probabilities[own] >= 0.5).mean() >= 0.9
    assert (probabilities[~own] < 0.5).mean() >= 0.9


def test_distances_grow_as_probability_falls(pair: Pair) -> None:
    query, references = pair.prepare(ink(1)), [pair.prepare(ink(seed, 1)) for seed in range(6)]
    distances = pair.distances(query, references)
    assert distances.shape == (6,)
    assert distances.dtype == np.float64
    assert logistic(-distances) == pytest.approx([pair.probability(query, r) for r in references])
    assert pair.distances(query, []).shape == (0,)


def test_what_is_not_a_number_matches_nothing() -> None:
    assert not (logistic(np.array([np.nan])) >= 0.0).any()
    assert logistic(np.array([-1e9, 0.0, 1e9])) == pytest.approx([0, 0.5, 1])


# --- What ships -------------------------------------------------------------------------------------------


def test_the_network_is_small() -> None:
    assert (default_directory() / NETWORK).stat().st_size <= LARGEST


def test_the_self_test_passes(pair: Pair) -> None:
    pair.check()


def test_the_self_test_finds_another_network(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        pair, "prepare_raster", lambda raster: np.roll(pair_runtime.shipped().prepare_raster(raster), 1)
    )
    with pytest.raises(ModelError, match="golden raster 0"):
        pair.check()


def test_golden_rasters_are_unlike_each_other() -> None:
    rasters = [golden_raster(number) for number in range(5)]
    assert {raster.shape for raster in rasters} == {(HEIGHT, WIDTH)}
    assert len({raster.tobytes() for raster in rasters}) == 5


def test_golden_features_here() -> None:
    assert pair_runtime.least_golden_cosine() >= GOLDEN_COSINE


def test_the_network_has_no_loops_and_no_foreign_operators(head: dict[str, Any]) -> None:
    model = Model(
        (default_directory() / NETWORK).read_bytes(),
        path=NETWORK,
        inputs={"image": (HEIGHT, WIDTH, 1)},
        outputs={"features": (head["features"],)},
    )
    names = {detail["op_name"] for detail in model._interpreter._get_ops_details()}
    assert "DEPTHWISE_CONV_2D" in names
    assert not {name for name in names if name in {"WHILE", "IF", "CUSTOM", "VAR_HANDLE"} or name.startswith("Flex")}


@pytest.fixture(scope="module")
def elsewhere() -> dict[str, Any]:
    """What `support.pair_runtime` tells on ai-edge-litert."""
    return told_on_the_second_runtime(pair_runtime)


def test_golden_features_on_the_second_runtime(elsewhere: dict[str, Any]) -> None:
    assert elsewhere["runtime"].startswith("ai-edge-litert ")
    assert elsewhere["least_golden_cosine"] >= GOLDEN_COSINE


def test_both_runtimes_give_the_same_probabilities(
    elsewhere: dict[str, Any], record_property: Callable[[str, object], None]
) -> None:
    here = pair_runtime.probabilities()
    assert min(here) < 0.5 < max(here), "people who all look alike would prove nothing"
    difference = float(np.abs(np.array(here) - np.array(elsewhere["probabilities"])).max())
    record_property("largest difference in P", difference)
    assert difference <= SAME_PROBABILITY


# --- Refusals ---------------------------------------------------------------------------------------------


def test_files_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"pair\.tflite, pair\.json"):
        Pair({}, directory=tmp_path)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"format": 2}, "format 2"),
        ({"temperature": 0.0}, "no probability"),
        ({"layers": []}, "no probability"),
        ({"features": 95}, "do not fit together"),
        ({"golden": []}, "no golden features"),
        ({"balance": "high"}, "damaged"),
        ({"more": 1}, "damaged"),
    ],
)
def test_a_damaged_head_is_refused(head: dict[str, Any], changed: dict[str, Any], problem: str) -> None:
    with pytest.raises(ModelError, match=problem):
        read_head(json.dumps(head | changed).encode(), path=Path(HEAD))
