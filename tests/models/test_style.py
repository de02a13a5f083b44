"""Styles: another writer to the network, and the same distances between the signatures of each; needs JAX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed: scripts/train makes .venv-train, which has it")

from penlatch.signal.channels import sequence  # noqa: E402 - after the skip
from penlatch.signal.preprocess import clean  # noqa: E402 - likewise
from support.drawings import scrawl  # noqa: E402 - likewise
from training.samples import CHANNELS  # noqa: E402 - likewise
from training.style import Style, restyle  # noqa: E402 - likewise

if TYPE_CHECKING:
    from numpy.typing import NDArray

WRITERS, SIGNATURES, ROWS = 2, 3, 64


@pytest.fixture(scope="module")
def sequences() -> NDArray[np.float32]:
    inks = [clean(scrawl(seed)) for seed in range(WRITERS * SIGNATURES)]
    rows = np.stack([sequence(ink, channels=CHANNELS, length=ROWS) for ink in inks])
    return rows.reshape(WRITERS, SIGNATURES, ROWS, len(CHANNELS))


def style(**changed: Any) -> Style:
    """Return the style of writers who write as they do, with something changed."""
    usual = {"styled": True, "angle": 0.0, "side": 1.0, "blunt": False, "tempo": 0.0, "backwards": False}
    return Style(**{name: jax.numpy.full(WRITERS, value) for name, value in (usual | changed).items()})


def styled(sequences: NDArray[np.float32], **changed: Any) -> NDArray[np.float32]:
    return np.asarray(restyle(jax.numpy.asarray(sequences), style(**changed))[0])


def column(sequences: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    return np.asarray(sequences[..., CHANNELS.index(name)])


STYLES = {
    "turned": {"angle": 2.0},
    "mirrored": {"side": -1.0},
    "backwards": {"backwards": True},
    "faster": {"tempo": 0.3},
    "all": {"angle": -1.0, "side": -1.0, "backwards": True, "tempo": -0.2},
}
every_style = pytest.mark.parametrize("changed", STYLES.values(), ids=STYLES)


@every_style
def test_a_style_leaves_distances_between_signatures_of_a_writer_alike(
    sequences: NDArray[np.float32], changed: dict[str, Any]
) -> None:
    """Turning keeps the distance over each pair of axes; the other channels keep theirs alone."""
    after = styled(sequences, **changed)
    alone = [name for name in CHANNELS if name not in {"x", "y", "dx", "dy", "cos", "sin"}]
    for names in (("x", "y"), ("dx", "dy"), ("cos", "sin"), *((name,) for name in alone)):
        before_, after_ = (
            sum(((column(of, n)[:, 1:] - column(of, n)[:, :1]) ** 2).sum(axis=-1) for n in names)
            for of in (sequences, after)
        )
        np.testing.assert_allclose(after_, before_, rtol=1e-3, atol=1e-3)


@every_style
def test_a_style_makes_another_writer(sequences: NDArray[np.float32], changed: dict[str, Any]) -> None:
    assert np.abs(styled(sequences, **changed) - sequences).max() > 0.2


def test_who_has_no_style_writes_as_before(sequences: NDArray[np.float32]) -> None:
    np.testing.assert_allclose(styled(sequences), sequences, atol=1e-6)


def test_turning_twice_is_turning_by_the_sum(sequences: NDArray[np.float32]) -> None:
    twice = styled(styled(sequences, angle=0.7), angle=1.1)
    np.testing.assert_allclose(twice, styled(sequences, angle=1.8), atol=1e-5)


@pytest.mark.parametrize("changed", [{"side": -1.0}, {"backwards": True}], ids=["mirrored", "backwards"])
def test_twice_is_as_before(sequences: NDArray[np.float32], changed: dict[str, Any]) -> None:
    np.testing.assert_allclose(styled(styled(sequences, **changed), **changed), sequences, atol=1e-5)


def test_turning_is_about_the_middle_of_the_drawing(sequences: NDArray[np.float32]) -> None:
    quarter = styled(sequences, angle=np.pi / 2)
    np.testing.assert_allclose(column(quarter, "x"), 1 - column(sequences, "y"), atol=1e-5)
    np.testing.assert_allclose(column(quarter, "y"), column(sequences, "x"), atol=1e-5)
    np.testing.assert_allclose(column(quarter, "dx"), -column(sequences, "dy"), atol=1e-5)
    np.testing.assert_array_equal(column(quarter, "turn"), column(sequences, "turn"))


def test_a_mirrored_writer_turns_the_other_way(sequences: NDArray[np.float32]) -> None:
    mirrored = styled(sequences, side=-1.0)
    np.testing.assert_allclose(column(mirrored, "x"), 1 - column(sequences, "x"), atol=1e-6)
    for name in ("turn", "dx", "cos"):
        np.testing.assert_allclose(column(mirrored, name), -column(sequences, name), atol=1e-6)
    for name in ("y", "dy", "sin", "p", "log_speed", "pace"):
        np.testing.assert_allclose(column(mirrored, name), column(sequences, name), atol=1e-6)


def test_who_writes_backwards_moves_the_other_way_through_the_same_places(sequences: NDArray[np.float32]) -> None:
    backwards = styled(sequences, backwards=True)
    for name in ("x", "y", "p", "log_speed", "pace"):
        np.testing.assert_allclose(column(backwards, name), column(sequences, name)[..., ::-1], atol=1e-6)
    for name in ("dx", "dy", "dp", "cos", "sin", "turn", "acceleration"):
        np.testing.assert_allclose(column(backwards, name), -column(sequences, name)[..., ::-1], atol=1e-6)
    assert (np.diff(column(backwards, "time")) >= -1e-6).all()
    assert (column(backwards, "start")[..., 0] == 1).all()
    for name in ("start", "pause"):
        np.testing.assert_allclose(column(backwards, name).sum(axis=-1), column(sequences, name).sum(axis=-1))


def test_a_blunt_pen_knows_contact_only(sequences: NDArray[np.float32]) -> None:
    blunt = styled(sequences, blunt=True)
    assert (column(blunt, "p") == 1).all()
    assert (column(blunt, "dp") == 0).all()
    others = [place for place, name in enumerate(CHANNELS) if name not in {"p", "dp"}]
    np.testing.assert_allclose(blunt[..., others], sequences[..., others], atol=1e-6)


def test_tempo_is_seen_in_the_pace_alone(sequences: NDArray[np.float32]) -> None:
    faster = styled(sequences, tempo=0.25)
    np.testing.assert_allclose(column(faster, "pace"), column(sequences, "pace") + 0.25, atol=1e-6)
    others = [place for place, name in enumerate(CHANNELS) if name != "pace"]
    np.testing.assert_allclose(faster[..., others], sequences[..., others], atol=1e-6)


# --- Drawing ----------------------------------------------------------------------------------------------

MANY = 4000


def drawn(*, share: float, wild: float, seed: int = 0) -> Style:
    found = Style.draw(jax.random.PRNGKey(seed), MANY, share=share, wild=wild)
    return Style(*(np.asarray(part) for part in found))


def test_as_many_are_styled_as_wanted() -> None:
    assert drawn(share=0.8, wild=0.5).styled.mean() == pytest.approx(0.8, abs=0.03)


def test_without_a_style_nothing_is_changed() -> None:
    nobody = drawn(share=0.0, wild=1.0)
    assert not np.any(nobody.styled | nobody.blunt | nobody.backwards)
    assert not np.any(nobody.angle)
    assert not np.any(nobody.tempo)
    assert (nobody.side == 1).all()


def test_only_the_wild_write_backwards_or_upside_down() -> None:
    tame, wild = drawn(share=1.0, wild=0.0), drawn(share=1.0, wild=1.0)
    assert not np.any(tame.backwards)
    assert np.abs(tame.angle).mean() < 0.3
    assert 0.3 < wild.backwards.mean() < 0.5
    assert (np.cos(wild.angle) < 0).mean() == pytest.approx(0.5, abs=0.05)


def test_some_pens_are_blunt_and_some_writers_mirrored_whether_wild_or_not() -> None:
    for wild in (0.0, 1.0):
        found = drawn(share=1.0, wild=wild)
        assert 0.1 < found.blunt.mean() < 0.3
        assert 0.2 < (found.side < 0).mean() < 0.4


def test_the_same_key_draws_the_same() -> None:
    a, b, c = (drawn(share=0.8, wild=0.5, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(a.angle, b.angle)
    assert not np.array_equal(a.angle, c.angle)
