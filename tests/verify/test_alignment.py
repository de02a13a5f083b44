"""Scorer alignment: frames by the network, compared by warping with a squared cost in a band of a fifth."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from penlatch.verify.alignment import BAND, distances

Frames = NDArray[np.float32]


def frames(seed: int, count: int = 64) -> Frames:
    return np.random.default_rng(seed).normal(size=(count, 32)).astype(np.float32)


def test_distances_are_squared_euclidean_per_frame_of_both() -> None:
    still, moved = np.zeros((64, 2), np.float32), np.full((64, 2), 3, np.float32)
    # 64 steps along the diagonal at 3^2 + 3^2, over 128 frames.
    assert distances(still, [moved]) == pytest.approx([9.0])


def test_a_signature_is_nowhere_from_itself_and_the_order_does_not_matter() -> None:
    a, b = frames(1), frames(2)
    assert distances(a, [a])[0] == 0
    assert distances(a, [b])[0] == pytest.approx(distances(b, [a])[0], rel=1e-5)


@pytest.mark.parametrize(("shift", "aligned"), [(0.9 * BAND, True), (1.3 * BAND, False)])
def test_what_came_earlier_is_aligned_within_a_fifth_of_the_signature(shift: float, *, aligned: bool) -> None:
    early, late = np.zeros((100, 1), np.float32), np.zeros((100, 1), np.float32)
    early[20], late[20 + round(100 * shift)] = 1.0, 1.0
    assert (distances(early, [late])[0] == pytest.approx(0.0)) == aligned


def test_the_same_frames_at_another_pace_cost_little() -> None:
    u = np.linspace(0, 1, 64)
    even, hurried, other = (
        np.stack([np.sin(12 * at), np.cos(9 * at)], axis=1).astype(np.float32)
        for at in (u, u + 0.05 * np.sin(np.pi * u), 1.5 * u + 1)
    )
    nearer, farther = distances(even, [hurried, other])
    assert nearer < 0.1 * ((even - hurried) ** 2).sum(axis=1).mean() / 2
    assert nearer < 0.1 * farther


def test_without_references_there_are_no_distances() -> None:
    assert distances(frames(1), []).shape == (0,)
