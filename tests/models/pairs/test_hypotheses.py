"""Backbone and hypotheses; needs TensorFlow 2.15, which a terminal never has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip(
    "tensorflow", reason="TensorFlow is not installed: scripts/train makes .venv-train, which has it"
)

from penlatch.signal.raster import HEIGHT, WIDTH  # noqa: E402 - after the skip
from penlatch.verify.pair import golden_raster  # noqa: E402 - likewise
from training.pairs import backbone, hypotheses  # noqa: E402 - likewise
from training.pairs.convert import convert  # noqa: E402 - likewise

HYPOTHESES: tuple[hypotheses.Hypothesis, ...] = ("euclidean", "learned", "product")


@pytest.fixture(scope="module")
def built() -> backbone.Backbone:
    tf.keras.utils.set_random_seed(0)
    return backbone.build()


def unit(count: int, seed: int) -> Any:
    features = np.random.default_rng(seed).normal(size=(count, backbone.FEATURES)).astype(np.float32)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def test_the_backbone_keeps_where_things_are(built: backbone.Backbone) -> None:
    image = backbone.inked(golden_raster(0)[None])
    features = [built.whole()(picture, training=False).numpy()[0] for picture in (image, image[:, :, ::-1])]
    assert features[0].shape == (backbone.FEATURES,)
    cosine = features[0] @ features[1] / np.prod([np.linalg.norm(f) for f in features])
    assert cosine < 0.99


def test_it_is_of_the_class_of_a_small_mobilenet(built: backbone.Backbone) -> None:
    assert 100_000 < built.whole().count_params() < 1_000_000


def test_the_converted_backbone_agrees_with_keras(built: backbone.Backbone) -> None:
    whole = built.whole()
    interpreter = tf.lite.Interpreter(model_content=convert(whole), num_threads=1)
    interpreter.allocate_tensors()
    for number in range(3):
        image = backbone.inked(golden_raster(number)[None])
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
        interpreter.invoke()
        one = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
        two = whole(image, training=False).numpy()[0]
        assert one @ two / (np.linalg.norm(one) * np.linalg.norm(two)) > 0.98


@pytest.mark.parametrize("hypothesis", HYPOTHESES)
def test_a_hypothesis_is_symmetric(built: backbone.Backbone, hypothesis: hypotheses.Hypothesis) -> None:
    head = hypotheses.build(hypothesis, built.tail).head
    one, two = unit(4, 1), unit(4, 2)
    assert np.allclose(head([one, two]), head([two, one]), atol=1e-5)


def test_the_product_begins_as_the_cosine(built: backbone.Backbone) -> None:
    head = hypotheses.build("product", built.tail).head
    one, two = unit(200, 1), unit(200, 2)
    cosine = (one * two).sum(axis=1)
    assert np.corrcoef(head([one, two]).numpy()[:, 0], cosine)[0, 1] > 0.9


def test_two_dense_layers_make_the_shallow_head_and_three_the_learned_distance(built: backbone.Backbone) -> None:
    assert [w.shape for w, _ in hypotheses.layers(hypotheses.build("product", built.tail))] == [(96, 32), (32, 1)]
    assert len(hypotheses.layers(hypotheses.build("learned", built.tail))) == 3


def test_a_head_starts_on_a_copy_of_the_tail(built: backbone.Backbone) -> None:
    network = hypotheses.build("product", built.tail)
    assert network.tail is not built.tail
    for one, two in zip(network.tail.get_weights(), built.tail.get_weights(), strict=True):
        assert np.array_equal(one, two)


@pytest.mark.parametrize("hypothesis", HYPOTHESES)
def test_training_moves_head_and_tail_and_the_loss_falls(
    built: backbone.Backbone, hypothesis: hypotheses.Hypothesis
) -> None:
    network = hypotheses.build(hypothesis, built.tail)
    before = network.tail.get_weights()[0].copy()
    writers = np.repeat(np.arange(8), 4)
    shape = (len(writers), *built.trunk.output_shape[1:])
    rng = np.random.default_rng(0)
    of_writer = rng.normal(0, 1, (8, *shape[1:]))
    maps = (of_writer[writers] + rng.normal(0, 0.1, shape)).astype(np.float16)
    told: list[float] = []
    sampler = hypotheses.PairSampler(writers, np.zeros_like(writers), np.random.default_rng(0))
    hypotheses.train(
        network, lambda _: maps, sampler, epochs=2, batches=8,
        say=lambda text: told.append(float(text.partition("loss ")[2].split()[0])),
    )  # fmt: skip
    assert told[1] < told[0]
    assert not np.array_equal(network.tail.get_weights()[0], before)


def test_pairs_are_balanced_and_of_one_database() -> None:
    writers = np.repeat(np.arange(6), 3)
    sets = writers % 2
    one, two, same = hypotheses.PairSampler(writers, sets, np.random.default_rng(0)).draw(200)
    assert same.mean() == 0.5
    assert (writers[one] == writers[two]).tolist() == (same == 1).tolist()
    assert (one != two).all()
    assert (sets[one] == sets[two]).all()


def test_a_flip_is_what_it_says() -> None:
    images = backbone.inked(np.stack([golden_raster(number) for number in range(64)]))
    turned, which = backbone.flipped(images, np.random.default_rng(0))
    assert set(which) == {0, 1, 2, 3}
    assert turned.shape == (64, HEIGHT, WIDTH, 1)
    for image, after, flip in zip(images, turned, which, strict=True):
        down, across = backbone.FLIPS[flip]
        assert np.array_equal(after, image[::down, ::across])


def test_the_rate_rises_and_falls() -> None:
    rates = [backbone.rate(step, 100, 2.0) for step in range(100)]
    assert max(rates) == pytest.approx(2.0)
    assert rates[0] < rates[4] > rates[-1]
    assert rates[-1] < 0.01
