"""Trials: balanced pairs of people, judged as they should be."""

from __future__ import annotations

import numpy as np
import pytest

from penlatch.signal.preprocess import clean
from penlatch.sim.writer import Writer
from training.pairs import trials
from training.pairs.conditions import CLEAN
from training.pairs.trials import Trials

pytest.importorskip("PIL", reason="Pillow, which reads scans, is not installed: pip install 'penlatch[image]'")

from training.pairs.people import Signature


def people(writers: int = 4, each: int = 5, forged: int = 2) -> list[Signature]:
    found = []
    for seed in range(writers):
        rng = np.random.default_rng(seed)
        writer, other = Writer(seed), Writer(seed + 50)
        # Two databases.
        source = ("svc2004-task2", "susig-visual")[seed % 2]
        found += [Signature(source, f"U{seed}", "genuine", clean(writer.genuine(rng))) for _ in range(each)]
        found += [Signature(source, f"U{seed}", "skilled", clean(writer.forgery(rng, other))) for _ in range(forged)]
    return found


@pytest.fixture(scope="module")
def made() -> Trials:
    return trials.make(people(), conditions=(CLEAN, "noise"))


def test_pairs_are_balanced(made: Trials) -> None:
    counts = {kind: int(np.count_nonzero(made.kinds == kind)) for kind in ("same", "random", "skilled")}
    assert counts["same"] == counts["random"] == counts["skilled"] == 4 * 10


def test_same_is_one_writer_and_random_is_two_of_one_database(made: Trials) -> None:
    one, two = made.writers[made.references], made.writers[made.questions]
    same, random = made.kinds == "same", made.kinds == "random"
    assert (one[same] == two[same]).all()
    assert (made.references[same] != made.questions[same]).all()
    assert (one[random] != two[random]).all()
    assert (made.sources[made.references] == made.sources[made.questions]).all()


def test_forgeries_are_asked_and_never_kept(made: Trials) -> None:
    forged = np.arange(len(made.writers)) >= len(made.rasters["noise"])
    assert forged.sum() == 4 * 2
    assert not forged[made.references].any()
    assert (forged[made.questions] == (made.kinds == "skilled")).all()


def test_the_same_signatures_make_the_same_trials(made: Trials) -> None:
    again = trials.make(people(), conditions=(CLEAN, "noise"))
    assert np.array_equal(again.questions, made.questions)
    assert np.array_equal(again.rasters["noise"], made.rasters["noise"])


def test_only_plain_forgeries_have_scores(made: Trials) -> None:
    def embed(
        rasters: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return np.ones((len(rasters), 2), dtype=np.float32)

    found = trials.scores(made, embed, lambda one, two: (one * two).sum(axis=1).astype(np.float64))
    assert np.isfinite(found[CLEAN]).all()
    assert np.array_equal(np.isnan(found["noise"]), made.kinds == "skilled")


def test_an_outcome_counts_what_it_says(made: Trials) -> None:
    scores = np.where(made.kinds == "same", 1.0, 0.0)
    perfect = trials.outcome(made, scores, 0.5)
    assert (perfect.accuracy, perfect.fnmr, perfect.fmr, perfect.eer) == (100, 0, 0, 0)
    assert (perfect.writers, perfect.same, perfect.different, perfect.not_found) == (4, 40, 40, 0)
    scores[np.flatnonzero(made.kinds == "same")[:4]] = 0.0
    worse = trials.outcome(made, scores, 0.5)
    assert (worse.accuracy, worse.fnmr, worse.fmr) == (95, 10, 0)
    assert worse.interval[0] < 95 <= worse.interval[1]


def test_a_threshold_is_met_by_what_equals_it(made: Trials) -> None:
    assert trials.outcome(made, np.full(len(made.kinds), 0.5), 0.5).fmr == 100


def test_what_was_not_found_is_counted_apart(made: Trials) -> None:
    lost = dict(made.found)
    lost["noise"] = made.found["noise"].copy()
    lost["noise"][made.questions[np.flatnonzero(made.kinds == "same")[0]]] = False
    partly = Trials(made.rasters, lost, made.sources, made.writers, made.references, made.questions, made.kinds)
    outcome = trials.outcome(partly, np.where(made.kinds == "same", 1.0, 0.0), 0.5, condition="noise")
    assert outcome.not_found >= 1
    assert outcome.same + outcome.different + outcome.not_found == 80
    assert outcome.accuracy == 100


def test_nobody_is_in_two_folds() -> None:
    for number in (1, 4, 7, 40):
        folds = {
            Signature(source, f"U{number:02d}", "genuine", clean(Writer(1).genuine(np.random.default_rng(1)))).fold
            for source in ("svc2004-task1", "svc2004-task2", "susig-visual", "susig-blind")
        }
        assert folds == {number % 4}
