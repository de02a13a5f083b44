"""Measuring replays: species change what they say they change, and the figures count what they say they count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from penlatch.sim.writer import Writer
from penlatch.verify import replay
from training.replays import SPECIES, Person, cropped, measure_genuine, measure_species, measure_synthetic, noisy

SIGNATURES = 4


@pytest.fixture(scope="module")
def everybody() -> list[Person]:
    people = []
    for number in range(3):
        writer, rng = Writer(number), np.random.default_rng(number)
        traces = [writer.genuine(rng) for _ in range(SIGNATURES)]
        people.append(Person(f"U{number}", traces, np.stack([replay.course(trace) for trace in traces])))
    return people


def test_genuine_repetitions_are_compared_with_all_earlier_ones(everybody: list[Person]) -> None:
    found = measure_genuine(everybody)
    assert (found["people"], found["pairs"]) == (3, 3 * SIGNATURES * (SIGNATURES - 1) // 2)
    assert (found["bpcer"]["count"], found["bpcer"]["n"]) == (0, 3 * (SIGNATURES - 1))
    assert found["min"] > replay.LIMIT


def test_somebody_who_repeats_exactly_is_counted_and_a_copied_file_is_not(everybody: list[Person]) -> None:
    first = everybody[0].traces[0]
    almost = replace(first, x=first.x + 1e-3 * np.sin(first.t))
    traces = [*everybody[0].traces, almost, first]
    person = Person("U0", traces, np.stack([replay.course(trace) for trace in traces]))
    found = measure_genuine([person])
    assert found["identical_files"] == 1
    assert found["bpcer"]["count"] == 2, "the one that is almost the first, and the first again after that one"


def test_every_species_is_tried_on_everybody(everybody: list[Person]) -> None:
    found = measure_species(everybody, chosen=2, svc2004=True)
    assert set(found) > set(SPECIES)
    assert found["exact"] == found["shifted"]
    assert found["exact"]["count"] == 0
    assert all(figure["n"] == 6 for figure in found.values())
    assert all(figure["passed"]["count"] <= figure["count"] for figure in found.values())


def test_noise_is_a_share_of_the_size(everybody: list[Person]) -> None:
    trace = everybody[0].traces[0]
    changed = noisy(0.02)(trace, np.random.default_rng(0))
    assert changed is not None
    radius = np.hypot(trace.x[trace.down].std(), trace.y[trace.down].std())
    assert (changed.x - trace.x).std() == pytest.approx(0.02 * radius, rel=0.1)


def test_cropping_leaves_out_the_ends(everybody: list[Person]) -> None:
    trace = everybody[0].traces[0]
    changed = cropped(0.1, 0.2)(trace, np.random.default_rng(0))
    assert changed is not None
    assert 0.6 < len(changed) / len(trace) <= 0.71
    assert changed.t[0] == 0


def test_synthetic_signatures_are_put_to_the_verifier_as_well(everybody: list[Person]) -> None:
    found = measure_synthetic(everybody, chosen=1)
    for figures in (figure for name, figure in found.items() if name.startswith("varied")):
        assert figures["both"]["count"] <= min(figures["replay"]["count"], figures["verifier"]["count"])
