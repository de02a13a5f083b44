"""Scorer bilstm_se: frames and one vector of unit length per signature, and the angle between two vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from penlatch.errors import ModelError
from penlatch.signal.features import global_features
from penlatch.signal.preprocess import clean
from penlatch.sim.writer import Writer
from penlatch.verify import alignment
from penlatch.verify.artefacts import Artefacts
from penlatch.verify.bilstm_se import GOLDEN_COSINE, BilstmSe, View, distances, golden_input
from support.drawings import scrawl

if TYPE_CHECKING:
    from penlatch.ink import Trace


@pytest.fixture(scope="module")
def network() -> BilstmSe:
    return BilstmSe(Artefacts.load())


def look(network: BilstmSe, trace: Trace) -> View:
    ink = clean(trace)
    return network.prepare(ink, global_features(ink))


def test_an_embedding_has_unit_length(network: BilstmSe) -> None:
    embedding = look(network, scrawl(1)).embedding
    assert embedding.shape == (64,)
    assert embedding.dtype == np.float32
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-6)


def test_there_are_as_many_frames_as_the_manifest_says_and_they_are_not_alike(network: BilstmSe) -> None:
    frames = look(network, scrawl(1)).frames
    assert frames.shape == Artefacts.load().manifest.outputs["frames"]
    assert frames.dtype == np.float32
    assert frames.std(axis=0).min() > 0


def test_the_same_signature_looks_the_same_in_any_order(network: BilstmSe) -> None:
    first = look(network, scrawl(1))
    look(network, scrawl(2))
    again = look(network, scrawl(1))
    assert np.array_equal(again.embedding, first.embedding)
    assert np.array_equal(again.frames, first.frames)


def test_the_frame_rate_of_the_pen_hardly_matters(network: BilstmSe) -> None:
    usual, fast, other = (look(network, trace) for trace in (scrawl(1), scrawl(1, hz=200.0), scrawl(2)))
    near = distances(usual.embedding, [fast.embedding, other.embedding])
    assert near[0] < 0.1 * near[1]
    aligned = alignment.distances(usual.frames, [fast.frames, other.frames])
    assert aligned[0] < 0.1 * aligned[1]


def test_a_writer_is_nearer_to_himself_than_to_others(network: BilstmSe) -> None:
    rng = np.random.default_rng(5)
    views = [look(network, writer.genuine(rng)) for writer in (Writer(5), Writer(6), Writer(7)) for _ in range(3)]
    same = np.kron(np.eye(3), np.ones((3, 3))) > 0
    embedded = np.stack([distances(view.embedding, [v.embedding for v in views]) for view in views])
    aligned = np.stack([alignment.distances(view.frames, [v.frames for v in views]) for view in views])
    for table in (embedded, aligned):
        assert table[same].mean() < 0.3 * table[~same].mean()


def test_the_self_test_passes_and_notices_other_embeddings(network: BilstmSe, monkeypatch: pytest.MonkeyPatch) -> None:
    network.check()
    *others, last = network._golden
    turned = np.roll(last, 1)
    assert np.dot(turned, last) < GOLDEN_COSINE
    monkeypatch.setattr(network, "_golden", (*others, turned))
    with pytest.raises(ModelError, match=f"golden input {len(others)} gives another embedding"):
        network.check()


def test_distances_are_one_less_the_cosine() -> None:
    east, north, west = (np.array(v, dtype=np.float32) for v in ([1, 0], [0, 1], [-1, 0]))
    assert distances(east, [east, north, west]) == pytest.approx([0, 1, 2])
    assert distances(east, []).shape == (0,)


def test_golden_inputs_follow_their_formula() -> None:
    rows, features = golden_input(2, length=3, channels=2, features=2)
    # Row 1 is half way, s = 0.5: channel 0 has frequency 1 + 2 % 7 = 3, channel 1 has 1 + 4 % 7 = 5.
    assert rows[1] == pytest.approx([np.sin(3 * np.pi + 2) / 2, np.sin(5 * np.pi + 3)], abs=1e-6)
    assert features == pytest.approx([2 * np.cos(2), 2 * np.cos(3.7)], abs=1e-6)
