"""Episodes: batches of different writers whom the network may see, forged by people where there were any."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

pytest.importorskip("jax", reason="JAX is not installed: scripts/train makes .venv-train, which has it")

from training.episodes import SHARE, WRITERS, Episodes, draw
from training.objective import FORGED, GENUINE
from training.samples import Writer

VERSIONS = 3


def writer(place: int, database: str, *, forged: int) -> Writer:
    """Return a writer with six genuine signatures, whose rows of the pool are 1000 times their place and more."""

    def rows(first: int, count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
        return (1000 * place + first + np.arange(count * VERSIONS, dtype=np.int32)).reshape(count, VERSIONS)

    return Writer(database, str(place), genuine=rows(0, 6), forged=rows(300, forged), synthetic=rows(600, 6))


DATABASES = tuple(SHARE)
PEOPLE = tuple(writer(k, DATABASES[k % len(DATABASES)], forged=(0, 2, 9)[k % 3]) for k in range(70))
ALLOWED = tuple(k for k in range(len(PEOPLE)) if k % 5)


@pytest.fixture(scope="module")
def drawn() -> Episodes:
    return draw(PEOPLE, allowed=ALLOWED, steps=400, seed=1)


def test_every_batch_is_of_different_writers_who_may_be_drawn(drawn: Episodes) -> None:
    assert drawn.writers.shape == (400, WRITERS)
    assert all(len(set(batch)) == WRITERS for batch in drawn.writers.tolist())
    assert set(drawn.writers.ravel().tolist()) <= set(ALLOWED)


def test_all_signatures_claim_to_be_the_writer_s_and_the_first_are(drawn: Episodes) -> None:
    assert drawn.rows.shape == (400, WRITERS, GENUINE + FORGED)
    place, kind = np.divmod(drawn.rows, 1000)
    np.testing.assert_array_equal(place, np.broadcast_to(drawn.writers[..., None], place.shape))
    assert (kind[..., :GENUINE] < 300).all()
    assert (kind[..., GENUINE:] >= 300).all()
    np.testing.assert_array_equal(kind[..., GENUINE:] >= 600, drawn.synthetic)


def test_no_signature_is_in_a_batch_in_two_versions(drawn: Episodes) -> None:
    signature = drawn.rows[..., :GENUINE] % 1000 // VERSIONS
    assert all(len(set(own)) == GENUINE for batch in signature.tolist() for own in batch)


def test_forgeries_are_by_people_but_for_the_last_where_people_forged(drawn: Episodes) -> None:
    for place, synthetic in zip(drawn.writers.ravel(), drawn.synthetic.reshape(-1, FORGED), strict=True):
        by_people = min(len(PEOPLE[place].forged), FORGED - 1)
        assert synthetic.tolist() == [False] * by_people + [True] * (FORGED - by_people)


def test_all_versions_are_drawn(drawn: Episodes) -> None:
    assert set((drawn.rows % 1000).ravel().tolist()) >= set(range(6 * VERSIONS))


def test_databases_are_drawn_as_often_as_their_share_says(drawn: Episodes) -> None:
    count = Counter(PEOPLE[place].database for place in drawn.writers.ravel())
    # Without replacement a batch evens the shares out a little.
    assert count["sigcomp2009-training"] == min(count.values())
    for database, share in SHARE.items():
        assert count[database] / drawn.writers.size == pytest.approx(share, abs=0.04)


def test_the_same_seed_draws_the_same() -> None:
    first, second, other = (draw(PEOPLE, allowed=ALLOWED, steps=5, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first.rows, other.rows)


def test_a_database_whose_people_are_all_left_out_is_not_drawn() -> None:
    allowed = [k for k in range(len(PEOPLE)) if PEOPLE[k].database != "susig-visual"]
    drawn = draw(PEOPLE, allowed=allowed, steps=50, seed=1)
    assert "susig-visual" not in {PEOPLE[place].database for place in drawn.writers.ravel()}
