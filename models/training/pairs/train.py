"""Trains the image pair network: writes `pair.tflite` and `pair.json`.

    python -m training.pairs.train --models DIRECTORY [--work DIRECTORY]

1. Renders `VARIATIONS` of every signature of the development writers (folds 1 to 3).
2. Trains without one of these folds; measures the three hypotheses on it, and calibrates the balance point there.
3. Goes on with all development writers, converts, and writes what ships with the calibration of step 2.
4. Measures the three hypotheses on the writers of fold 0, whom none of the above has met.

It needs TensorFlow 2.15 (Keras 2) and Pillow. What was rendered and trained is kept in the work folder: started again,
it goes on where it was. Seeds are fixed and operations deterministic.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

# Before TensorFlow is imported: a GPU, or the order of its threads, would make every run another.
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import msgspec
import numpy as np
import tensorflow as tf

from penlatch.verify.pair import FORMAT, HEAD, NETWORK, Head, Layer, golden_raster
from training.metrics import equal_error
from training.pairs import backbone, hypotheses, trials
from training.pairs.backbone import FEATURES, inked
from training.pairs.conditions import CLEAN, CONDITIONS
from training.pairs.convert import convert
from training.pairs.people import FOLDS, INVENTED, SETS, TEST_FOLD, invented, load_signatures
from training.pairs.renderings import variations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from training.pairs.backbone import Backbone
    from training.pairs.hypotheses import Hypothesis, PairNetwork
    from training.pairs.people import Signature
    from training.pairs.trials import Trials

SEED: Final = 1
VARIATIONS: Final = 5
"""Different variations of each signature; epochs take turns."""
INVENTED_WRITERS: Final = 500
INVENTED_SIGNATURES: Final = 6
"""Of each of them."""
EPOCHS: Final = 30
"""Of pre-training without the fold that calibrates."""
MORE_EPOCHS: Final = 14
"""Of going on with all development writers."""
MORE_RATE: Final = 1e-3
"""The learning rate, at its highest, of going on."""
ROUNDS: Final = 5
"""Of training on pairs; each sees another variation."""
BATCHES: Final = 75
"""Steps of one round."""
CALIBRATION_FOLD: Final = 1
"""The development fold that is left out once, to calibrate on."""
SHIPPED: Final[Hypothesis] = "product"
GOLDEN: Final = 8
"""Golden rasters whose features go into `pair-golden.json`."""
SELF_TEST: Final = 2
"""Golden features in `pair.json`, which a terminal checks itself with."""
GOLDEN_FILE: Final = "pair-golden.json"
COMMAND: Final = "python -m training.pairs.train"
_ALL: Final[tuple[Hypothesis, ...]] = ("euclidean", "learned", "product")
_CHUNK: Final = 256


@dataclass(frozen=True)
class Calibration:
    """What held-out writers say about a hypothesis' scores."""

    balance: float
    """The score at which both errors are equal."""
    temperature: float
    """The scale that makes likelihoods best, where scores are logits."""


class Rehearsal:
    """The training of one set of writers, kept on disk step by step."""

    def __init__(self, signatures: Sequence[Signature], *, without: int | None, work: Path) -> None:
        """Name it.

        Args:
            signatures: All development signatures.
            without: The fold that is left out; None for none.
            work: Folder of what was made.
        """
        self._signatures, self._work = signatures, work
        self._name = "all" if without is None else f"without-{without}"
        self._rows = np.flatnonzero([s.fold != without for s in signatures])
        # Pairs are made of real people alone: with invented ones a head learns how these vary.
        self._real = np.flatnonzero([s.fold != without and s.source != INVENTED for s in signatures])
        self._backbone = backbone.build()
        self._seen: dict[int, NDArray[np.float32]] = {}

    def pretrained(self, epochs: int, *, after: Backbone | None = None) -> Backbone:
        """Return the pre-trained backbone; with `after`, another is gone on with."""
        kept = [self._work / f"{self._name}.{part}.weights.h5" for part in ("trunk", "tail")]
        parts = (self._backbone.trunk, self._backbone.tail)
        if not all(path.exists() for path in kept):
            writers = self._numbers(self._rows, [s.writer for s in self._signatures])
            _say(f"pre-training, {self._name}: {len(writers)} signatures of {writers.max() + 1} writers")
            if after:
                for part, other in zip(parts, (after.trunk, after.tail), strict=True):
                    part.set_weights(other.get_weights())
            backbone.pretrain(
                self._backbone,
                lambda epoch: variations(self._signatures, epoch % VARIATIONS, self._work)[self._rows],
                writers,
                epochs=epochs,
                seed=SEED,
                highest=MORE_RATE if after else backbone.LEARNING_RATE,
                say=_say,
            )
            for part, path in zip(parts, kept, strict=True):
                part.save_weights(str(path))
        for part, path in zip(parts, kept, strict=True):
            part.load_weights(str(path))
        return self._backbone

    def trained(self, hypothesis: Hypothesis, rounds: int) -> PairNetwork:
        """Return a network trained on pairs, over the pre-trained backbone."""
        network = hypotheses.build(hypothesis, self._backbone.tail)
        kept = [self._work / f"{self._name}.{hypothesis}.{part}.weights.h5" for part in ("tail", "head")]
        parts = (network.tail, network.head)
        if not all(path.exists() for path in kept):
            sampler = hypotheses.PairSampler(
                self._numbers(self._real, [s.writer for s in self._signatures]),
                self._numbers(self._real, [s.source for s in self._signatures]),
                np.random.default_rng((SEED, _ALL.index(hypothesis))),
            )
            hypotheses.train(network, self._maps, sampler, epochs=rounds, batches=BATCHES, say=_say)
            for part, path in zip(parts, kept, strict=True):
                part.save_weights(str(path))
        for part, path in zip(parts, kept, strict=True):
            part.load_weights(str(path))
        return network

    def scores(self, network: PairNetwork, tested: Trials) -> dict[str, NDArray[np.float64]]:
        """Score trials with a network in float32; see `trials.scores`."""
        trunk = self._backbone.trunk

        def embed(rasters: NDArray[np.uint8]) -> NDArray[np.float32]:
            # Three hypotheses look at the same maps.
            if id(rasters) not in self._seen:
                self._seen[id(rasters)] = _predicted(trunk, inked(rasters))
            features = _predicted(network.tail, self._seen[id(rasters)])
            unit: NDArray[np.float32] = features / np.linalg.norm(features, axis=1, keepdims=True)
            return unit

        def compare(one: NDArray[np.float32], two: NDArray[np.float32]) -> NDArray[np.float64]:
            score: NDArray[np.float32] = network.head([one, two], training=False).numpy()
            return score[:, 0].astype(np.float64)

        return trials.scores(tested, embed, compare)

    @functools.lru_cache(maxsize=VARIATIONS)  # noqa: B019 - two of these live as long as the program
    def _maps(self, epoch: int) -> NDArray[np.float16]:
        rasters = variations(self._signatures, epoch % VARIATIONS, self._work)[self._real]
        return _predicted(self._backbone.trunk, inked(rasters)).astype(np.float16)

    @staticmethod
    def _numbers(rows: NDArray[np.intp], names: Sequence[Any]) -> NDArray[np.intp]:
        numbers: dict[Any, int] = {}
        return np.array([numbers.setdefault(names[row], len(numbers)) for row in rows], dtype=np.intp)


def _predicted(model: tf.keras.Model, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([model.predict_on_batch(inputs[at : at + _CHUNK]) for at in range(0, len(inputs), _CHUNK)])


def calibrate(tested: Trials, scores: Mapping[str, NDArray[np.float64]]) -> Calibration:
    """Find the balance point and the scale of scores, all conditions weighing the same."""
    same, random = (
        np.concatenate([found[trials.acquired(tested, c) & (tested.kinds == kind)] for c, found in scores.items()])
        for kind in ("same", "random")
    )
    balance = equal_error(same, random)[1]

    def loss(temperature: float) -> float:
        wrong = np.logaddexp(0.0, -(same - balance) / temperature).mean()
        return float(wrong + np.logaddexp(0.0, (random - balance) / temperature).mean())

    return Calibration(balance=balance, temperature=min(np.geomspace(0.05, 20, 241), key=loss))


def summary(tested: Trials, scores: Mapping[str, NDArray[np.float64]], threshold: float) -> dict[str, Any]:
    """Return the outcome of each condition at a threshold, and that of skilled forgeries, plain."""
    figures: dict[str, Any] = {
        condition: asdict(trials.outcome(tested, found, threshold, condition=condition))
        for condition, found in scores.items()
    }
    figures["skilled"] = asdict(trials.outcome(tested, scores[CLEAN], threshold, impostor="skilled"))
    return figures


def _tell(title: str, figures: Mapping[str, Mapping[str, Any]]) -> None:
    parts = [f"{name} {figure['accuracy']:.2f} (EER {figure['eer']:.2f})" for name, figure in figures.items()]
    print(f"{title}: accuracy in % {', '.join(parts)}", flush=True)


def _say(text: str) -> None:
    print(text, flush=True)


def _golden(whole: tf.keras.Model, content: bytes) -> dict[str, Any]:
    """Return the features of golden rasters, of Keras and of the converted file: unit vectors, rounded to 1e-6."""
    interpreter = tf.lite.Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    vectors = []
    for number in range(GOLDEN):
        image = inked(golden_raster(number)[None])
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
        interpreter.invoke()
        converted = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
        original = whole(image, training=False).numpy()[0]
        vectors.append({"input": number, "keras": _unit(original), "converted": _unit(converted)})
    return {"made_with": f"tensorflow {tf.__version__}", "vectors": vectors}


def _unit(vector: NDArray[np.float32]) -> list[float]:
    unit = vector.astype(np.float64) / np.linalg.norm(vector)
    return [round(float(value), 6) for value in unit]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", type=Path, required=True, help="folder to write to")
    parser.add_argument("--data", type=Path, help="folder of the databases (default: $PENLATCH_DATA or ../shared/data)")
    parser.add_argument("--work", type=Path, default=Path("build/pairs"), help="folder of what was made so far")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=argparse.SUPPRESS)
    parser.add_argument("--more-epochs", type=int, default=MORE_EPOCHS, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=argparse.SUPPRESS)
    options = parser.parse_args()

    tf.keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    options.work.mkdir(parents=True, exist_ok=True)
    options.models.mkdir(parents=True, exist_ok=True)
    signatures = load_signatures(options.data)
    development = [s for s in signatures if s.fold != TEST_FOLD and s.kind == "genuine"]
    development += invented(INVENTED_WRITERS, INVENTED_SIGNATURES)
    for number in range(VARIATIONS):
        variations(development, number, options.work)
        print(f"variation {number + 1} of {VARIATIONS} of {len(development)} signatures", flush=True)

    rehearsal = Rehearsal(development, without=CALIBRATION_FOLD, work=options.work)
    first = rehearsal.pretrained(options.epochs)
    known = trials.make([s for s in signatures if s.fold == CALIBRATION_FOLD])
    calibrations: dict[Hypothesis, Calibration] = {}
    figures: dict[str, Any] = {"validation": {}, "test": {}}
    for hypothesis in _ALL:
        scores = rehearsal.scores(rehearsal.trained(hypothesis, options.rounds), known)
        calibrations[hypothesis] = calibrate(known, scores)
        figures["validation"][hypothesis] = summary(known, scores, calibrations[hypothesis].balance)
        _tell(f"fold {CALIBRATION_FOLD}, {hypothesis}", figures["validation"][hypothesis])

    final = Rehearsal(development, without=None, work=options.work)
    pretrained = final.pretrained(options.more_epochs, after=first)
    networks = {hypothesis: final.trained(hypothesis, options.rounds) for hypothesis in _ALL}
    shipped = networks[SHIPPED]
    whole = tf.keras.Model(pretrained.trunk.input, shipped.tail(pretrained.trunk.output), name="pair")
    content = convert(whole)
    golden = _golden(whole, content)
    unseen = trials.make([s for s in signatures if s.fold == TEST_FOLD])
    for hypothesis, network in networks.items():
        scores = final.scores(network, unseen)
        figures["test"][hypothesis] = summary(unseen, scores, calibrations[hypothesis].balance)
        _tell(f"fold {TEST_FOLD}, {hypothesis}", figures["test"][hypothesis])

    head = Head(
        format=FORMAT,
        features=FEATURES,
        layers=tuple(
            Layer(weights=tuple(tuple(_short(v) for v in row) for row in weights), bias=tuple(_short(v) for v in bias))
            for weights, bias in hypotheses.layers(shipped)
        ),
        balance=_short(calibrations[SHIPPED].balance),
        temperature=_short(calibrations[SHIPPED].temperature),
        golden=tuple(tuple(vector["converted"]) for vector in golden["vectors"][:SELF_TEST]),
        training_data={
            "databases": list(SETS),
            "invented": f"{INVENTED_WRITERS} writers of penlatch.sim",
            "network": f"the writers of folds 1 to {FOLDS - 1} (number in the writer's name modulo {FOLDS})",
            "calibration": f"the writers of fold {CALIBRATION_FOLD}, by a network that has not met them",
            "never": f"the writers of fold {TEST_FOLD}",
        },
        metrics={"threshold": 0.5, "conditions": list(CONDITIONS), "float32": figures},
        command=COMMAND,
        versions={
            "network": f"tensorflow {tf.__version__}",
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    )
    (options.models / NETWORK).write_bytes(content)
    (options.models / HEAD).write_bytes(msgspec.json.format(msgspec.json.encode(head), indent=1) + b"\n")
    (options.models / GOLDEN_FILE).write_text(json.dumps(golden, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{options.models / NETWORK}: {len(content)} bytes, {whole.count_params()} parameters")


def _short(value: float) -> float:
    return float(f"{float(value):.6g}")


if __name__ == "__main__":
    main()
