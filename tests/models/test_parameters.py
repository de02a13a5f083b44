"""Parameters as a file: what was kept comes out again, with what the network made of the golden inputs; needs JAX."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed: scripts/train makes .venv-train, which has it")

from training import network  # noqa: E402 - after the skip
from training.parameters import (  # noqa: E402 - likewise
    GOLDEN,
    golden_embeddings,
    golden_inputs,
    keep,
    made_with,
    read,
)
from training.samples import CHANNELS, LENGTH, NETWORK_FEATURES  # noqa: E402 - likewise

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@pytest.fixture(scope="module")
def parameters() -> dict[str, NDArray[np.float32]]:
    counts = {"sequence": len(CHANNELS), "features": len(NETWORK_FEATURES)}
    scaling = {f"{what}_mean": np.zeros(count, np.float32) for what, count in counts.items()}
    scaling |= {f"{what}_deviation": np.ones(count, np.float32) for what, count in counts.items()}
    return network.init(3, channels=len(CHANNELS), features=len(NETWORK_FEATURES), scaling=scaling)


@pytest.fixture
def path(parameters: dict[str, NDArray[np.float32]], tmp_path: Path) -> Path:
    kept = tmp_path / "networks" / "everybody.npz"
    keep(kept, parameters, made_with="a test on paper")
    return kept


def test_what_was_kept_comes_out_again(path: Path, parameters: dict[str, NDArray[np.float32]]) -> None:
    found = read(path)
    assert found.keys() == parameters.keys()
    for name, values in parameters.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype


def test_who_made_them_is_kept(path: Path) -> None:
    assert made_with(path) == "a test on paper"


def test_no_draft_is_left(path: Path) -> None:
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_golden_inputs_are_in_the_network_s_form_and_differ() -> None:
    found = golden_inputs()
    assert len(found) == GOLDEN
    for rows, features in found:
        assert (rows.shape, features.shape) == ((LENGTH, len(CHANNELS)), (len(NETWORK_FEATURES),))
        assert rows.dtype == features.dtype == np.float32
    assert len({rows.tobytes() for rows, _ in found}) == GOLDEN


def test_golden_embeddings_are_what_the_network_makes_of_the_golden_inputs(
    path: Path, parameters: dict[str, NDArray[np.float32]]
) -> None:
    arrays = {name: jax.numpy.asarray(values) for name, values in parameters.items()}
    found = golden_embeddings(path)
    assert len(found) == GOLDEN
    for (rows, features), embedding in zip(golden_inputs(), found, strict=True):
        _, expected = network.apply(arrays, jax.numpy.asarray(rows[None]), jax.numpy.asarray(features[None]))
        np.testing.assert_allclose(embedding, expected[0], atol=1e-4)
