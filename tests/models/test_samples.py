"""Samples: every signature as network inputs in several versions, whoever's it is, whatever computes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from penlatch.signal.channels import CHANNELS as ALL_CHANNELS
from penlatch.signal.channels import sequence
from penlatch.signal.features import FEATURES, global_features
from penlatch.signal.preprocess import clean
from support.drawings import scrawl
from support.figures import lissajous
from training.records import MIN_POINTS, Record
from training.samples import (
    CHANNELS,
    FORGED_VERSIONS,
    GENUINE_VERSIONS,
    LEAST_GENUINE,
    LENGTH,
    MOST_FORGERIES,
    NETWORK_FEATURES,
    SYNTHETIC_VERSIONS,
    Pool,
    Signature,
    pool,
    signatures,
)

COLUMNS = [place for place, feature in enumerate(FEATURES) if feature.name in NETWORK_FEATURES]


def signed(user: str, seeds: range, *, genuine: bool = True) -> list[Signature]:
    return [Signature("susig-blind", user, genuine, clean(scrawl(seed))) for seed in seeds]


# Two writers, one forged; a third has too few genuine signatures.
ALL = [
    *signed("1", range(LEAST_GENUINE)),
    *signed("1", range(20, 23), genuine=False),
    *signed("2", range(30, 30 + LEAST_GENUINE)),
    *signed("3", range(40, 40 + LEAST_GENUINE - 1)),
]


@pytest.fixture(scope="module")
def made() -> Pool:
    return pool(ALL, processes=1)


def test_the_network_reads_channels_and_features_that_exist_and_no_size() -> None:
    assert set(CHANNELS) <= ALL_CHANNELS.keys()
    assert len(COLUMNS) == len(NETWORK_FEATURES) > 0
    assert not {feature.name for feature in FEATURES if feature.group == "size"} & set(NETWORK_FEATURES)


def test_every_signature_has_its_versions(made: Pool) -> None:
    genuine, forged = (sum(signature.genuine == is_genuine for signature in ALL) for is_genuine in (True, False))
    rows = genuine * (GENUINE_VERSIONS + SYNTHETIC_VERSIONS) + forged * FORGED_VERSIONS
    assert made.sequences.shape == (rows, LENGTH, len(CHANNELS))
    assert made.features.shape == (rows, len(NETWORK_FEATURES))
    assert np.isfinite(made.sequences).all()
    assert np.isfinite(made.features).all()


def test_writers_with_too_few_genuine_signatures_are_none(made: Pool) -> None:
    assert [(writer.database, writer.user) for writer in made.writers] == [("susig-blind", "1"), ("susig-blind", "2")]
    assert [writer.fold for writer in made.writers] == [1, 2]


def test_no_row_is_owned_twice(made: Pool) -> None:
    first, second = made.writers
    assert first.genuine.shape == second.genuine.shape == (LEAST_GENUINE, GENUINE_VERSIONS)
    assert first.synthetic.shape == second.synthetic.shape == (LEAST_GENUINE, SYNTHETIC_VERSIONS)
    assert (len(first.forged), len(second.forged)) == (3, 0)
    rows = np.concatenate([part.ravel() for w in made.writers for part in (w.genuine, w.forged, w.synthetic)])
    assert len(np.unique(rows)) == len(rows)


def test_the_first_version_is_the_signature_itself_and_no_other_is(made: Pool) -> None:
    first, second = made.writers
    tables = [(first.genuine, ALL), (first.forged, ALL[LEAST_GENUINE:]), (second.genuine, ALL[LEAST_GENUINE + 3 :])]
    for table, of in tables:
        for versions, signature in zip(table, of, strict=False):
            rows = sequence(signature.ink, channels=CHANNELS, length=LENGTH).astype(np.float16)
            features = global_features(signature.ink)[COLUMNS].astype(np.float32)
            itself, *others = versions
            np.testing.assert_array_equal(made.sequences[itself], rows)
            np.testing.assert_array_equal(made.features[itself], features)
            assert not any(np.array_equal(made.sequences[other], rows) for other in others)


def test_all_variations_and_synthetic_forgeries_differ(made: Pool) -> None:
    for writer in made.writers:
        rows = np.concatenate([writer.genuine, writer.synthetic], axis=1)
        for versions in rows:
            assert len({made.sequences[k].tobytes() for k in versions}) == len(versions)


def test_the_number_of_processes_changes_nothing(made: Pool) -> None:
    other = pool(ALL, processes=2)
    np.testing.assert_array_equal(other.sequences, made.sequences)
    np.testing.assert_array_equal(other.features, made.features)


def test_scaling_is_of_every_channel_and_feature(made: Pool) -> None:
    scaling = made.scaling()
    sequences = made.sequences.astype(np.float64)
    np.testing.assert_allclose(scaling["sequence_mean"], sequences.mean(axis=(0, 1)), atol=1e-3)
    np.testing.assert_allclose(scaling["sequence_deviation"], sequences.std(axis=(0, 1)) + 1e-3, rtol=1e-3)
    np.testing.assert_allclose(scaling["features_mean"], made.features.mean(axis=0, dtype=np.float64), rtol=1e-3)
    assert scaling["features_deviation"].shape == (len(NETWORK_FEATURES),)
    assert min(scaling["features_deviation"].min(), scaling["sequence_deviation"].min()) > 0


# --- From records -----------------------------------------------------------------------------------------

RECORD = Record("susig-visual", "7", "genuine", 1, 1, lissajous())


def test_records_are_cleaned_and_keep_whose_they_are() -> None:
    (genuine, forged) = signatures([RECORD, replace(RECORD, kind="skilled", user="8")])
    assert (genuine.database, genuine.user, genuine.genuine) == ("susig-visual", "7", True)
    assert (forged.user, forged.genuine) == ("8", False)
    np.testing.assert_array_equal(genuine.ink.x, clean(RECORD.trace).x)


def test_what_is_too_short_is_left_out() -> None:
    assert signatures([replace(RECORD, trace=lissajous(frames=MIN_POINTS - 1))]) == []


def test_of_many_forgeries_of_one_person_only_the_first_are_used() -> None:
    forged = [replace(RECORD, kind="skilled", index=k) for k in range(MOST_FORGERIES + 5)]
    assert len(signatures([*forged, *[replace(RECORD, index=k) for k in range(MOST_FORGERIES + 5)]])) == (
        2 * MOST_FORGERIES + 5
    )
    assert len(signatures([*forged, *[replace(record, user="8") for record in forged]])) == 2 * MOST_FORGERIES
