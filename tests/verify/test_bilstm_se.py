"""Scorer bilstm_se: one vector of unit length per signature, and the angle between two."""

from __future__ import annotations

import numpy as np
import pytest

from penlatch.signal.features import global_features
from penlatch.signal.preprocess import clean
from penlatch.sim.writer import Writer
from penlatch.verify.artefacts import Artefacts
from penlatch.verify.bilstm_se import BilstmSe, distances, golden_input
from support.drawings import scrawl


@pytest.fixture(scope="module")
def network() -> BilstmSe:
    return BilstmSe(Artefacts.load())


def embed(network: BilstmSe, seed: int, **drawing: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    ink = clean(scrawl(seed, **drawing))  # type: ignore[arg-type]  # hz alone
    return network.prepare(ink, global_features(ink))


def test_an_embedding_has_unit_length(network: BilstmSe) -> None:
    embedding = embed(network, 1)
    assert embedding.shape == (64,)
    assert embedding.dtype == np.float32
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-6)


def test_the_same_signature_has_the_same_embedding_in_any_order(network: BilstmSe) -> None:
    first = embed(network, 1)
    embed(network, 2)
    assert np.array_equal(embed(network, 1), first)


def test_the_frame_rate_of_the_pen_hardly_matters(network: BilstmSe) -> None:
    near = distances(embed(network, 1, hz=100.0), [embed(network, 1, hz=200.0), embed(network, 2)])
    assert near[0] < 0.1 * near[1]


def test_a_writer_is_nearer_to_himself_than_to_others(network: BilstmSe) -> None:
    rng = np.random.default_rng(5)
    signatures = []
    for writer in (Writer(5), Writer(6), Writer(7)):
        for _ in range(3):
            ink = clean(writer.genuine(rng))
            signatures.append(network.prepare(ink, global_features(ink)))
    table = np.stack([distances(s, signatures) for s in signatures])
    same = np.kron(np.eye(3), np.ones((3, 3))) > 0
    assert table[same].mean() < 0.3 * table[~same].mean()


def test_distances_are_one_less_the_cosine() -> None:
    east, north, west = (np.array(v, dtype=np.float32) for v in ([1, 0], [0, 1], [-1, 0]))
    assert distances(east, [east, north, west]) == pytest.approx([0, 1, 2])
    assert distances(east, []).shape == (0,)


def test_golden_inputs_follow_their_formula() -> None:
    rows, features = golden_input(2, length=3, channels=2, features=2)
    # Row 1 is half way, s = 0.5: channel 0 has frequency 1 + 2 % 7 = 3, channel 1 has 1 + 4 % 7 = 5.
    assert rows[1] == pytest.approx([np.sin(3 * np.pi + 2) / 2, np.sin(5 * np.pi + 3)], abs=1e-6)
    assert features == pytest.approx([2 * np.cos(2), 2 * np.cos(3.7)], abs=1e-6)
