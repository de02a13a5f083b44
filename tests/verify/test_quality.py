"""Quality: what anybody could write is told from a signature, and the odd one among references is found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from penlatch.config import Enroll
from penlatch.errors import TraceError
from penlatch.ink import PenInfo, Trace
from penlatch.sim.writer import Writer
from penlatch.verify.quality import OUTLIER, assess, complexity, outlier, second_sitting
from penlatch.verify.verifier import Verifier
from support.drawings import draw

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Path2 = Callable[[NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]]
    """x and y [mm] over the share of the time, 0..1."""

LIMIT = Enroll().min_complexity


def drawn(path: Path2, *, lifts: tuple[tuple[float, float], ...] = ((0.0, 1.0),), tremor_mm: float = 0.1) -> Trace:
    rng = np.random.default_rng(1)

    def curve(t: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        x, y = path(t)
        return x + rng.normal(0, tremor_mm, len(t)), y + rng.normal(0, tremor_mm, len(t)), np.full(len(t), 0.5)

    return draw(curve, lifts)


SIMPLE: dict[str, Trace] = {
    "line": drawn(lambda s: (40 * s, 4 * s)),
    "trembling line": drawn(lambda s: (40 * s, 0 * s), tremor_mm=0.5),
    "circle": drawn(lambda s: (20 * np.cos(2 * np.pi * s), 20 * np.sin(2 * np.pi * s))),
    "check mark": drawn(lambda s: (30 * s, np.where(s < 0.3, 30 * s, 9 - 40 * (s - 0.3)))),
    "cross": drawn(
        lambda s: (np.where(s < 0.5, 80 * s, 80 * (1 - s)), np.where(s < 0.5, 80 * s, 80 * (s - 0.5))),
        lifts=((0.0, 0.4), (0.6, 1.0)),
    ),
    "wave": drawn(lambda s: (40 * s, 5 * np.sin(4 * np.pi * s))),
}


@pytest.mark.parametrize("name", SIMPLE)
def test_what_anybody_could_write_is_below_the_default_limit(name: str) -> None:
    assert complexity(SIMPLE[name]) < LIMIT


@pytest.mark.parametrize("seed", range(30))
def test_a_signature_is_above_it(seed: int) -> None:
    assert complexity(Writer(seed).genuine(np.random.default_rng(seed))) > LIMIT


@pytest.mark.parametrize("seed", range(3))
def test_neither_size_nor_unit_nor_place_nor_tempo_makes_it_more_complex(seed: int) -> None:
    trace = Writer(seed).genuine(np.random.default_rng(seed))
    moved = replace(trace, x=100 * trace.x + 5000, y=100 * trace.y, pen=PenInfo("other", unit="tablet"))
    assert complexity(moved) == pytest.approx(complexity(trace))
    assert complexity(replace(trace, t=1.5 * trace.t)) == pytest.approx(complexity(trace), abs=0.03)


def test_twice_as_much_is_more_complex() -> None:
    def loops_of(turns: float) -> Trace:
        return drawn(lambda s: (30 * s + 8 * np.sin(turns * s), 8 * np.cos(turns * s)))

    loops = [loops_of(turns) for turns in (20, 40)]
    assert 0 < complexity(loops[0]) < complexity(loops[1]) < 1


def test_a_dot_has_no_complexity() -> None:
    ones = np.ones(30)
    assert complexity(Trace(t=np.arange(30) / 100, x=ones, y=ones, p=ones, down=ones > 0)) == 0.0


def test_a_pen_that_never_touched_is_no_signature() -> None:
    line = SIMPLE["line"]
    with pytest.raises(TraceError, match="never touched"):
        complexity(replace(line, down=np.zeros_like(line.down)))


# --- References together --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def verifier() -> Verifier:
    return Verifier.load()


def references(seed: int, count: int = 5) -> list[Trace]:
    rng = np.random.default_rng(seed)
    return [Writer(seed).genuine(rng) for _ in range(count)]


@pytest.mark.parametrize("place", range(5))
def test_another_persons_signature_among_the_references_is_the_outlier(verifier: Verifier, place: int) -> None:
    traces = references(1)
    traces[place] = references(2, 1)[0]
    found = outlier(verifier.template([verifier.analyse(trace) for trace in traces]))
    assert found is not None
    assert (found.position, found.beyond) == (place, True)


def test_few_honest_enrolments_have_an_outlier(verifier: Verifier) -> None:
    beyond = []
    for seed in range(20):
        found = outlier(verifier.template([verifier.analyse(trace) for trace in references(seed)]))
        assert found is not None
        beyond.append(found.ratio > OUTLIER)
    assert np.mean(beyond) <= 0.05


def test_identical_references_have_no_outlier_and_are_as_consistent_as_can_be(verifier: Verifier) -> None:
    traces = references(1, 1) * 4
    quality = verifier.quality(traces, verifier.template([verifier.analyse(trace) for trace in traces]))
    assert quality.outlier is None
    assert quality.consistency is not None
    assert quality.consistency > 0.95


def test_references_of_two_people_are_less_consistent_than_of_one(verifier: Verifier) -> None:
    one, two = references(1, 6), references(1, 3) + references(2, 3)
    quality = [
        verifier.quality(traces, verifier.template([verifier.analyse(trace) for trace in traces]))
        for traces in (one, two)
    ]
    assert quality[0].consistency is not None
    assert quality[1].consistency is not None
    assert quality[0].consistency > 0.5 > quality[1].consistency


def test_a_quality_names_the_outlier_as_people_count(verifier: Verifier) -> None:
    traces = references(1)
    traces[3] = references(2, 1)[0]
    template = verifier.template([verifier.analyse(trace) for trace in traces])
    assert assess(traces, template, verifier._calibration.population).outlier == 4


# --- A second sitting -----------------------------------------------------------------------------------------


def test_a_second_sitting_is_advised_with_the_figure_where_there_is_one() -> None:
    plain = second_sitting({})
    assert "another day" in plain
    assert "%" not in plain
    measured = second_sitting({"two_sittings": {"one": 5.52, "two": 3.5, "data": "svc2004-task2"}})
    assert measured.startswith(plain)
    assert "5.5 % to 3.5 % (svc2004-task2)" in measured


@pytest.mark.parametrize("broken", [{"two_sittings": 3}, {"two_sittings": {"one": 5.5}}])
def test_a_figure_that_is_not_whole_is_not_told(broken: dict[str, object]) -> None:
    assert second_sitting(broken) == second_sitting({})
