"""Scorer multichannel: eleven normalised channels of a bounded number of rows, and the distance between two."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.ink import Trace
from penlatch.signal.channels import sequence
from penlatch.signal.preprocess import clean
from penlatch.sim.writer import Writer
from penlatch.verify.dtw import normalised_score
from penlatch.verify.multichannel import CHANNELS, ROWS, distances, prepare
from support.drawings import draw, scrawl


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 500))
def test_every_channel_is_normalised_over_its_signature(seed: int) -> None:
    ink = clean(scrawl(seed))
    rows = prepare(ink)
    assert rows.shape == (min(len(ink), ROWS), len(CHANNELS))
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-4)
    # A thousandth is added to each deviation, in the channel's own unit.
    deviation = sequence(ink, channels=CHANNELS, length=len(rows)).std(axis=0)
    np.testing.assert_allclose(rows.std(axis=0), deviation / (deviation + 1e-3), rtol=1e-3)


def test_a_pen_without_pressure_says_nothing_by_it() -> None:
    trace = scrawl(3)
    blunt = prepare(clean(Trace(t=trace.t, x=trace.x, y=trace.y, p=np.ones(len(trace)), down=trace.down)))
    columns = [CHANNELS.index(name) for name in ("p", "dp")]
    np.testing.assert_allclose(blunt[:, columns], 0, atol=1e-4)


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_a_dot_has_rows_enough_to_be_compared(frames: int) -> None:
    ones = np.ones(frames)
    dot = prepare(clean(Trace(t=np.arange(frames) / 100, x=ones, y=ones, p=ones, down=ones > 0)))
    assert dot.shape == (8, len(CHANNELS))
    assert np.isfinite(distances(dot, [dot, prepare(clean(scrawl(1)))])).all()


def test_the_longest_signatures_are_comparable() -> None:
    trace = draw(lambda t: (np.sin(t), np.cos(1.3 * t), 0.5 + 0.1 * np.sin(t)), [(0.0, 30.0)])
    slow = prepare(clean(trace))
    assert len(slow) == ROWS
    assert np.isfinite(distances(slow, [slow, prepare(clean(scrawl(1)))])).all()


def test_distances_are_symmetric_zero_to_oneself_and_do_not_depend_on_the_other_references() -> None:
    prepared = [prepare(clean(scrawl(seed))) for seed in range(4)]
    table = np.array([distances(query, prepared) for query in prepared])
    np.testing.assert_allclose(table, table.T, rtol=1e-5)
    np.testing.assert_allclose(np.diag(table), 0)
    np.testing.assert_allclose(distances(prepared[0], prepared[1:]), table[0, 1:], rtol=1e-6)
    assert distances(prepared[0], []).shape == (0,)


def test_size_and_place_of_a_signature_do_not_matter() -> None:
    trace = scrawl(9)
    other = Trace(t=trace.t, x=3 * trace.x + 70, y=3 * trace.y - 5, p=trace.p, down=trace.down)
    np.testing.assert_allclose(distances(prepare(clean(trace)), [prepare(clean(other))]), 0, atol=1e-4)


def test_genuine_signatures_score_below_forgeries_and_those_below_strangers() -> None:
    rng = np.random.default_rng(11)
    people = [Writer(seed) for seed in range(5)]
    scores: dict[str, list[float]] = {"genuine": [], "forged": [], "strange": []}
    for writer, other in pairwise([*people, people[0]]):
        references = [prepare(clean(writer.genuine(rng))) for _ in range(5)]
        between = np.array([distances(reference, references) for reference in references])
        queries = (writer.genuine(rng), writer.forgery(rng, by=other), other.genuine(rng))
        for kind, trace in zip(scores, queries, strict=True):
            scores[kind].append(normalised_score(distances(prepare(clean(trace)), references), between))
    assert np.mean(scores["genuine"]) < np.mean(scores["forged"]) < np.mean(scores["strange"])
    assert max(scores["genuine"]) < min(scores["strange"])
