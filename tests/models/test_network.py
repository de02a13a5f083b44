"""The network, its training and its conversion; needs JAX and TensorFlow 2.15, which a terminal never has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed: scripts/train makes .venv-train, which has it")
tf = pytest.importorskip(
    "tensorflow", reason="TensorFlow is not installed: scripts/train makes .venv-train, which has it"
)

from training import network  # noqa: E402 - after the skip
from training import train as training  # noqa: E402 - likewise
from training.convert import ConversionError, _gate, convert, keras  # noqa: E402 - likewise
from training.network import EMBEDDING, FRAME, STRIDE, Convolution  # noqa: E402 - likewise
from training.plan import Left  # noqa: E402 - likewise
from training.samples import CHANNELS, NETWORK_FEATURES, Pool, Writer  # noqa: E402 - likewise
from training.train import Task, task, train  # noqa: E402 - likewise

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LENGTH, WIDTH, FEATURES = 32, 4, 6


@pytest.fixture(scope="module")
def parameters() -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    scaling = {
        f"{what}_{moment}": rng.uniform(0.5, 1.5, count).astype(np.float32)
        for what, count in (("sequence", WIDTH), ("features", FEATURES))
        for moment in ("mean", "deviation")
    }
    return network.init(0, channels=WIDTH, features=FEATURES, scaling=scaling)


def inputs(count: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    # Some values lie beyond what the network clips.
    sequences = 3 * rng.normal(size=(count, LENGTH, WIDTH))
    return sequences.astype(np.float32), (3 * rng.normal(size=(count, FEATURES))).astype(np.float32)


def apply(
    parameters: dict[str, NDArray[np.float32]], sequences: NDArray[np.float32], features: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    arrays = {name: jax.numpy.asarray(values) for name, values in parameters.items()}
    frames, embeddings = network.apply(arrays, jax.numpy.asarray(sequences), jax.numpy.asarray(features))
    return np.asarray(frames), np.asarray(embeddings)


# --- The network ------------------------------------------------------------------------------------------


def test_a_signature_becomes_frames_and_one_embedding(parameters: dict[str, NDArray[np.float32]]) -> None:
    frames, embeddings = apply(parameters, *inputs(3))
    assert frames.shape == (3, LENGTH // STRIDE, FRAME)
    assert embeddings.shape == (3, EMBEDDING)


def test_signatures_do_not_look_at_each_other(parameters: dict[str, NDArray[np.float32]]) -> None:
    sequences, features = inputs(3)
    together, alone = apply(parameters, sequences, features), apply(parameters, sequences[1:2], features[1:2])
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose(a[1:2], b, atol=1e-5)


def test_frames_know_no_global_features_and_the_embedding_does(parameters: dict[str, NDArray[np.float32]]) -> None:
    sequences, features = inputs(1)
    first, other = apply(parameters, sequences, features), apply(parameters, sequences, features[:, ::-1])
    np.testing.assert_array_equal(first[0], other[0])
    assert not np.allclose(first[1], other[1])


def test_frames_see_what_came_before_and_after(parameters: dict[str, NDArray[np.float32]]) -> None:
    sequences, features = inputs(1)
    changed = sequences.copy()
    changed[:, LENGTH // 2] += 1
    moved = np.abs(apply(parameters, changed, features)[0] - apply(parameters, sequences, features)[0]).max(axis=-1)
    assert (moved > 0).all()


@pytest.mark.parametrize(("shape", "rows", "padding"), [((5, 1, 1, 2), 32, (1, 2)), ((3, 1, 1, 1), 8, (1, 1))])
def test_padding_is_tensorflow_s(shape: tuple[int, int, int, int], rows: int, padding: tuple[int, int]) -> None:
    assert Convolution(*shape).padding(rows) == padding


def test_the_same_seed_draws_the_same_parameters(parameters: dict[str, NDArray[np.float32]]) -> None:
    scaling = {
        name.removeprefix("scaling."): values for name, values in parameters.items() if name.startswith("scaling.")
    }
    again, other = (network.init(seed, channels=WIDTH, features=FEATURES, scaling=scaling) for seed in (0, 1))
    assert again.keys() == parameters.keys()
    assert all(np.array_equal(again[name], values) for name, values in parameters.items())
    assert not np.array_equal(other["frames.w"], parameters["frames.w"])


# --- Its conversion ---------------------------------------------------------------------------------------


def test_the_network_in_keras_is_the_one_that_was_trained(parameters: dict[str, NDArray[np.float32]]) -> None:
    sequences, features = inputs(4)
    built = keras(parameters, length=LENGTH)([sequences, features], training=False)
    for ours, theirs in zip(apply(parameters, sequences, features), built, strict=True):
        np.testing.assert_allclose(theirs.numpy(), ours, atol=1e-4)


def test_the_converted_network_agrees_with_it(parameters: dict[str, NDArray[np.float32]]) -> None:
    interpreter = tf.lite.Interpreter(model_content=convert(keras(parameters, length=LENGTH)))
    interpreter.allocate_tensors()
    outputs = {len(detail["shape"]): detail["index"] for detail in interpreter.get_output_details()}
    for seed in range(3):
        sequence, features = inputs(1, seed)
        interpreter.reset_all_variables()
        for detail in interpreter.get_input_details():
            interpreter.set_tensor(detail["index"], sequence if len(detail["shape"]) == 3 else features)
        interpreter.invoke()
        frames, embedding = apply(parameters, sequence, features)
        for converted, original in (
            (interpreter.get_tensor(outputs[3]), frames),
            (interpreter.get_tensor(outputs[2]), embedding),
        ):
            assert converted.shape == original.shape
            cosine = (converted * original).sum() / np.linalg.norm(converted) / np.linalg.norm(original)
            assert cosine > 0.99


def test_a_loop_is_refused() -> None:
    recurrent = tf.keras.layers.RNN(tf.keras.layers.LSTMCell(4))
    model = tf.keras.Sequential([tf.keras.Input((8, 2), batch_size=1), recurrent])
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    with pytest.raises(ConversionError, match="WHILE"):
        _gate(converter.convert())


def test_a_network_without_its_fused_lstms_is_refused() -> None:
    dense = tf.keras.Sequential([tf.keras.Input((4,), batch_size=1), tf.keras.layers.Dense(2)])
    with pytest.raises(ConversionError, match="0 fused LSTMs, 2 expected"):
        _gate(tf.lite.TFLiteConverter.from_keras_model(dense).convert())


# --- Its training -----------------------------------------------------------------------------------------

EACH = 6
DATABASES = ("svc2004-task2", "susig-blind", "synthetic")


@pytest.fixture(scope="module")
def some() -> Pool:
    """A dozen writers of random numbers, each of whose signatures lie about a point of their own."""
    rng = np.random.default_rng(0)
    writers, sequences, features = [], [], []
    for k in range(12):
        first = 2 * EACH * k
        rows = np.arange(first, first + 2 * EACH, dtype=np.int32).reshape(2, EACH, 1)
        writers.append(Writer(DATABASES[k % 3], str(k), genuine=rows[0], forged=rows[1][:3], synthetic=rows[1][3:]))
        own = rng.normal(size=(LENGTH, len(CHANNELS)))
        sequences += [own + (0.1 if j < EACH else 0.5) * rng.normal(size=own.shape) for j in range(2 * EACH)]
        features += [rng.normal(size=len(NETWORK_FEATURES)) for _ in range(2 * EACH)]
    return Pool(np.array(sequences, np.float16), np.array(features, np.float32), tuple(writers))


@pytest.fixture(scope="module")
def once(some: Pool) -> dict[str, dict[str, NDArray[np.float32]]]:
    tasks = [Task("a", tuple(range(12)), seed=1), Task("b", tuple(range(2, 12)), seed=2)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(training, "CHUNK", 2)
        return train(some, tasks, steps=4)


def test_training_changes_all_but_the_scaling_and_keeps_no_heads(
    some: Pool, once: dict[str, dict[str, NDArray[np.float32]]]
) -> None:
    begun = network.init(1, channels=len(CHANNELS), features=len(NETWORK_FEATURES), scaling=some.scaling())
    trained = once["a"]
    assert trained.keys() == begun.keys()
    for name, values in trained.items():
        assert np.isfinite(values).all()
        if name.startswith("scaling."):
            # The running mean of what never changes rounds.
            np.testing.assert_allclose(values, begun[name], rtol=1e-5)
        else:
            assert not np.array_equal(values, begun[name]), name


def test_training_repeats_itself_and_can_be_interrupted(
    some: Pool, once: dict[str, dict[str, NDArray[np.float32]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [Task("a", tuple(range(12)), seed=1), Task("b", tuple(range(2, 12)), seed=2)]
    checkpoint = tmp_path / "state.npz"
    monkeypatch.setattr(training, "CHUNK", 2)

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(training, "_say", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(some, tasks, steps=4, checkpoint=checkpoint)
    assert checkpoint.exists()
    done: list[int] = []
    monkeypatch.setattr(training, "_say", lambda step, *_: done.append(step))
    resumed = train(some, tasks, steps=4, checkpoint=checkpoint)
    assert done == [4], "it began where it was interrupted"
    assert not checkpoint.exists()
    for name in ("a", "b"):
        assert all(np.array_equal(values, once[name][key]) for key, values in resumed[name].items())


def test_a_task_leaves_out_whom_it_must_but_nobody_who_never_lived(some: Pool) -> None:
    allowed = task(some, Left(frozenset({1}), "susig")).allowed
    assert {(some.writers[k].database, some.writers[k].user) for k in allowed} == {
        *(("synthetic", str(k)) for k in (2, 5, 8, 11)),
        *(("svc2004-task2", str(k)) for k in (0, 3, 6)),
    }
