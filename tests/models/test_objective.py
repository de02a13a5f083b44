"""The objective: which signatures are compared, and that telling them apart is what lowers it; needs JAX."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed: scripts/train makes .venv-train, which has it")

from training import network  # noqa: E402 - after the skip
from training.objective import (  # noqa: E402 - likewise
    FORGED,
    GENUINE,
    STRANGERS,
    Batch,
    Weights,
    _Distances,
    _episodes,
    _triplets,
    heads,
    loss,
)

if TYPE_CHECKING:
    from jax import Array
    from numpy.typing import NDArray

WRITERS = 3
FLOOR = 0.02
HEAD = np.array([0.0, 1.0, 0.5], np.float32)
REAL = np.ones((WRITERS, FORGED), np.float32)
"""Weights of forgeries that are all by people."""


def apart(genuine: float, forged: float, strangers: float) -> _Distances:
    """Return a batch whose distances of each kind are all the same."""
    own = np.full((WRITERS, GENUINE, GENUINE), genuine) * (1 - np.eye(GENUINE))
    return _Distances(
        jax.numpy.asarray(own),
        jax.numpy.full((WRITERS, GENUINE, FORGED), forged),
        jax.numpy.full((WRITERS, GENUINE, STRANGERS), strangers),
    )


def episodes(d: _Distances, kind: NDArray[np.float32] = REAL) -> float:
    return float(_episodes(d, jax.numpy.asarray(HEAD), jax.numpy.asarray(kind), 0.4, floor=FLOOR))


def triplets(d: _Distances, kind: NDArray[np.float32] = REAL) -> float:
    return float(_triplets(d, jax.numpy.asarray(kind), 0.4, 0.5, floor=FLOOR))


# --- Pairs ------------------------------------------------------------------------------------------------


def test_signatures_are_compared_within_their_writer_and_with_the_next_ones() -> None:
    # Signature k of writer w is the number 100 w + k, and a distance tells which two were compared.
    numbers = 100.0 * np.arange(WRITERS)[:, None] + np.arange(GENUINE + FORGED)
    found = _Distances.of(jax.numpy.asarray(numbers[..., None]), lambda a, b: (1000 * a + b)[:, 0])
    for w in range(WRITERS):
        for a in range(GENUINE):
            assert found.genuine[w, a, a] == 0
            for b in range(a + 1, GENUINE):
                assert found.genuine[w, a, b] == found.genuine[w, b, a] == 1000 * numbers[w, a] + numbers[w, b]
            for b in range(FORGED):
                assert found.forged[w, a, b] == 1000 * numbers[w, a] + numbers[w, GENUINE + b]
            for k in range(STRANGERS):
                assert found.strangers[w, a, k] == 1000 * numbers[w, a] + numbers[(w + k + 1) % WRITERS, k]


# --- Hand-made distances ----------------------------------------------------------------------------------


def test_what_is_told_apart_costs_little_and_what_is_not_costs_much() -> None:
    clear, blurred, wrong = apart(0.1, 10.0, 20.0), apart(1.0, 1.0, 1.0), apart(10.0, 0.1, 0.1)
    assert episodes(clear) < 0.1 * episodes(blurred)
    assert episodes(blurred) < 0.5 * episodes(wrong)
    assert triplets(clear) == 0
    # Within the margin, everywhere: the hinge is the margin, for forgeries and, at their weight, for strangers.
    assert triplets(blurred) == pytest.approx(0.5 + 0.4 * 0.5, rel=0.1)
    assert triplets(wrong) > 5 * triplets(blurred)


def test_one_threshold_serves_all_writers() -> None:
    # Told apart within each writer, but what is genuine for one is forged for the other.
    d = apart(0.5, 2.0, 8.0)
    scale = np.array([0.1, 1.0, 10.0])[:, None, None]
    assert episodes(_Distances(*(part * scale for part in d))) > 1.2 * episodes(d)
    assert triplets(_Distances(*(part * scale for part in d))) == pytest.approx(0, abs=0.05)


def test_a_query_is_measured_by_the_other_references_own_distances() -> None:
    # The first signature of each writer is far from the others; as a query it must not widen its own measure.
    table = np.full((GENUINE, GENUINE), 0.5)
    table[0] = table[:, 0] = 5.0
    np.fill_diagonal(table, 0)
    # What is not genuine is so far away that it costs nothing.
    odd = apart(0.5, 1e6, 1e6)._replace(genuine=jax.numpy.asarray(np.stack([table] * WRITERS)))
    threshold, sharpness, share = 0.0, np.e, 0.5
    log = np.log(np.logaddexp(0, table / FLOOR) * FLOOR + FLOOR)
    costs = []
    for query in range(GENUINE):
        others = [k for k in range(GENUINE) if k != query]
        to = log[query, others]
        own = log[np.ix_(others, others)][~np.eye(GENUINE - 1, dtype=bool)].mean()
        surprise = 0.5 * (to.mean() - np.log(np.exp(-8 * to).sum()) / 8) - share * own
        costs.append(np.logaddexp(0, sharpness * (surprise - threshold)))
    assert episodes(odd) == pytest.approx(np.mean(costs), rel=1e-4)


def test_a_forgery_that_counts_nothing_changes_nothing() -> None:
    d = apart(0.3, 1.0, 2.0)
    near = d._replace(forged=d.forged.at[:, :, -1].set(0.01))
    kind = np.tile(np.array([1, 1, 1, 1, 0], np.float32), (WRITERS, 1))
    assert episodes(near, kind) == pytest.approx(episodes(d, kind))
    assert episodes(near) > episodes(d)
    assert triplets(near, kind) == pytest.approx(triplets(d, kind))


def test_strangers_cost_what_they_weigh() -> None:
    near = apart(0.3, 2.0, 0.3)
    lighter, heavier = (
        float(_episodes(near, jax.numpy.asarray(HEAD), jax.numpy.asarray(REAL), weight, floor=FLOOR))
        for weight in (0.0, 1.0)
    )
    assert heavier > lighter + 0.5


# --- The whole --------------------------------------------------------------------------------------------

ROWS, CHANNELS, FEATURES = 16, 3, 4


def batch(seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    each = GENUINE + FORGED
    return Batch(
        sequences=jax.numpy.asarray(rng.normal(size=(WRITERS, each, ROWS, CHANNELS)).astype(np.float32)),
        features=jax.numpy.asarray(rng.normal(size=(WRITERS, each, FEATURES)).astype(np.float32)),
        synthetic=jax.numpy.asarray(np.arange(WRITERS * FORGED).reshape(WRITERS, FORGED) % 3 == 0),
        writers=jax.numpy.arange(WRITERS),
    )


@pytest.fixture(scope="module")
def parameters() -> dict[str, Array]:
    scaling = {
        f"{what}_{moment}": np.full(count, value, np.float32)
        for what, count in (("sequence", CHANNELS), ("features", FEATURES))
        for moment, value in (("mean", 0.0), ("deviation", 1.0))
    }
    drawn = network.init(0, channels=CHANNELS, features=FEATURES, scaling=scaling) | heads(WRITERS, 0)
    return {name: jax.numpy.asarray(values) for name, values in drawn.items()}


def test_the_loss_is_the_weighted_sum_of_its_parts(parameters: dict[str, Array]) -> None:
    total, parts = loss(parameters, batch(), Weights())
    assert parts.keys() == {
        *("alignment_episodes", "alignment_triplets", "embedding_episodes", "embedding_triplets"),
        *("entropy", "center"),
    }
    assert total == pytest.approx(sum(getattr(Weights(), name) * float(part) for name, part in parts.items()), rel=1e-5)
    assert min(float(part) for part in parts.values()) > 0


def test_gradients_are_finite_and_reach_everything_that_is_trained(parameters: dict[str, Array]) -> None:
    gradient = jax.grad(lambda p: loss(p, batch(), Weights())[0])(parameters)
    assert all(np.isfinite(values).all() for values in gradient.values())
    untouched = {name for name, values in gradient.items() if not np.any(np.asarray(values))}
    assert not {name for name in untouched if name.endswith((".w", ".directions", ".centers"))}


def test_gradients_are_finite_for_signatures_that_are_copies(parameters: dict[str, Array]) -> None:
    copies = batch()
    copies = copies._replace(
        sequences=jax.numpy.broadcast_to(copies.sequences[:1, :1], copies.sequences.shape),
        features=jax.numpy.broadcast_to(copies.features[:1, :1], copies.features.shape),
    )
    gradient = jax.grad(lambda p: loss(p, copies, Weights())[0])(parameters)
    assert all(np.isfinite(values).all() for values in gradient.values())


def test_a_step_along_the_gradient_lowers_the_loss(parameters: dict[str, Array]) -> None:
    before, gradient = jax.value_and_grad(lambda p: loss(p, batch(), Weights())[0])(parameters)
    moved = {name: value - 1e-3 * gradient[name] for name, value in parameters.items()}
    assert loss(moved, batch(), Weights())[0] < before


def test_heads_are_two_classes_for_every_writer_the_same_every_time() -> None:
    first, second = heads(7, 1), heads(7, 1)
    assert first["heads.directions"].shape == first["heads.centers"].shape == (14, network.EMBEDDING)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert not np.array_equal(heads(7, 2)["heads.directions"], first["heads.directions"])
