"""The paper's dual-task network: its equations by hand, and that it learns; needs JAX, which a terminal never has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed: scripts/reproduce makes .venv-train, which has it")

from training.seeds import dual_network as network  # noqa: E402 - after the skip
from training.seeds.dual_network import Signatures  # noqa: E402 - likewise

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS, CHANNELS, GLOBALS = 8, 3, 4


def key(seed: int = 0) -> Any:
    return jax.random.PRNGKey(seed)


def parameters(model: network.ModelNumber) -> network.Parameters:
    return network.initial(key(), channels=CHANNELS, features=GLOBALS, model=model)


def batch(count: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(count, ROWS, CHANNELS)).astype(np.float32),
        rng.normal(size=(count, GLOBALS)).astype(np.float32),
    )


def test_a_convolution_is_one() -> None:
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=(1, 8, 1)), rng.normal(size=(5, 1))
    expected = np.correlate(np.pad(values[0, :, 0], 2), weights[:, 0], mode="valid")
    found = network._convolve(values, weights, width=5, stride=1)[0, :, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(network._convolve(values, weights, width=5, stride=2)[0, :, 0], found[::2], rtol=1e-5)


def test_attention_scales_the_residual_branch_and_not_the_shortcut() -> None:
    block = dict(parameters(1)["block0"])
    sequences, _ = batch(2)

    def identity(values: Any, _scale: Any, _shift: Any) -> Any:
        return values

    shortcut = network._convolve(sequences, block["shortcut"], width=1, stride=2)
    branch = jax.nn.relu(network._convolve(sequences, block["first"], width=5, stride=2))
    branch = network._convolve(branch, block["second"], width=5, stride=1)
    z = branch.mean(1)
    s = 1 / (1 + np.exp(-(np.maximum(z @ block["w1"], 0) @ block["w2"])))
    found = network._residual(block, sequences, width=5, normalise=identity)
    np.testing.assert_allclose(found, np.maximum(branch * s[:, None] + shortcut, 0), rtol=1e-4, atol=1e-5)


def test_the_bilstm_reads_both_ways_by_equations_5_to_10() -> None:
    ways = parameters(2)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(8, network.FILTERS))

    def sigmoid(a: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(1 / (1 + np.exp(-a)))

    def last(way: Any, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        h, c = np.zeros(network.HIDDEN), np.zeros(network.HIDDEN)
        for row in rows:
            i, f, g, o = np.split(row @ np.asarray(way["w"]) + np.asarray(way["b"]) + h @ np.asarray(way["u"]), 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        return h

    expected = np.concatenate([last(ways["forward"], x), last(ways["backward"], x[::-1])])
    found = network._bilstm(ways["forward"], ways["backward"], x[None].astype(np.float32))[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_model_1_has_no_bilstm_and_only_model_3_a_fully_connected_layer() -> None:
    layers = {model: set(parameters(model)) for model in network.MODELS}
    assert layers[2] - layers[1] == {"forward", "backward"}
    assert layers[3] - layers[2] == {"classes"}


def test_the_loss_is_cross_entropy_and_a_tenth_of_center_loss() -> None:
    weights = parameters(3)
    sequences, features = batch(4)
    classes = np.array([0, 1, 1, 0])
    centers = np.ones((2, network.FEATURES))
    value, x = network.loss(weights, centers, (sequences, features, classes))
    logits = np.asarray(x) @ np.asarray(weights["classes"]["w"]) + np.asarray(weights["classes"]["b"])
    entropy = np.mean([np.log(np.exp(row).sum()) - row[k] for row, k in zip(logits, classes, strict=True)])
    center = sum(((row - centers[k]) ** 2).sum() / 2 for row, k in zip(np.asarray(x), classes, strict=True))
    assert float(value) == pytest.approx(entropy + 0.1 * center, rel=1e-4)


def test_without_that_layer_the_posterior_is_of_the_distances_to_the_centers() -> None:
    centers, x = np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([[1.0, 5.0], [0.0, 0.0]])
    posterior = np.exp(network.log_posterior({}, centers, x))
    np.testing.assert_allclose(posterior[0], [0.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(posterior[1], [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))], rtol=1e-5)


def test_a_center_moves_towards_its_own_class_alone() -> None:
    centers = np.array([[0.0], [10.0]])
    moved = network.moved_centers(centers, np.array([[3.0], [6.0]]), np.array([0, 0]))
    # Two of class 0: 0 - 0.5 * ((0 - 3) + (0 - 6)) / (1 + 2) = 1.5; none of class 1.
    np.testing.assert_allclose(moved, [[1.5], [10.0]])


def test_scoring_does_not_depend_on_who_else_is_scored() -> None:
    sequences, features = batch(6)
    weights = parameters(3)
    _, moments = network.embed(weights, *batch(30, seed=2))
    embed = jax.jit(network.embed)
    together, _ = embed(weights, sequences, features, moments)
    alone, _ = embed(weights, sequences[:1], features[:1], moments)
    np.testing.assert_allclose(together[:1], alone, rtol=1e-4, atol=1e-5)


def separable(count: int, seed: int) -> Signatures:
    """Make as many genuine as forged ones, which differ in level and in one feature."""
    sequences, features = batch(2 * count, seed)
    classes = np.repeat(np.array([0, 1], dtype=np.int32), count)
    sequences[:, :, 0] += 2 * classes[:, None]
    features[:, 0] += 2 * classes
    return Signatures(sequences, features, classes)


def trained(model: network.ModelNumber, *, seed: int) -> list[list[float]]:
    return network.train_and_score(
        separable(10, 3), separable(10, 4), model=model, seed=seed, user=1, stages=2, epochs=20
    )


@pytest.mark.parametrize("model", [1, 3])
def test_both_tasks_learn_what_can_be_learned(model: network.ModelNumber) -> None:
    scores = np.array(trained(model, seed=1))
    assert scores.shape == (2, 20)
    assert ((scores[-1] > 0.5) == (separable(10, 4).classes == network.GENUINE)).mean() >= 0.8


def test_a_seed_repeats_itself_and_another_does_not() -> None:
    assert trained(1, seed=1) == trained(1, seed=1) != trained(1, seed=2)


def test_stages_are_of_whole_batches() -> None:
    with pytest.raises(ValueError, match="not 3 stages"):
        network.train_and_score(separable(3, 0), separable(1, 0), model=1, seed=0, user=0, stages=3, epochs=5)
