"""Sigma-lognormal fits: they write what they were fitted to, and when varied, something like it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from penlatch.ink import Trace
from penlatch.sim.writer import Writer
from training.sigma_lognormal import fit
from training.species import radius


def written(seed: int) -> Trace:
    return Writer(seed).genuine(np.random.default_rng(seed))


def apart(one: Trace, other: Trace) -> float:
    """Return how far two equally long signatures are apart, row by row [RMS radius]."""
    difference = (one.x - one.x.mean() - other.x + other.x.mean(), one.y - one.y.mean() - other.y + other.y.mean())
    return float(np.sqrt(np.mean(difference[0] ** 2 + difference[1] ** 2))) / radius(one)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_strokes_write_the_signature(seed: int) -> None:
    trace = written(seed)
    fitted = fit(trace)
    assert fitted.snr_db > 12
    again = fitted.duplicate(np.random.default_rng(0), share=0.0)
    assert len(again) == len(trace)
    assert (again.down == trace.down).all()
    assert again.duration == pytest.approx(trace.duration, rel=0.01)
    assert apart(trace, again) < 0.3


def test_the_more_it_varies_the_farther_it_is() -> None:
    trace = written(2)
    fitted = fit(trace)

    def varied(share: float) -> float:
        rng = np.random.default_rng(1)
        return float(np.median([apart(trace, fitted.duplicate(rng, share=share)) for _ in range(6)]))

    assert varied(0.0) < varied(0.25) < varied(1.0)


def test_what_is_made_has_the_lifts_of_the_original_and_time_that_goes_on() -> None:
    fitted = fit(written(3))
    made = fitted.duplicate(np.random.default_rng(2), share=0.25)
    assert (np.diff(made.t) >= 0).all()
    assert (made.p == fitted.trace.p).all()


def test_what_is_over_at_once_holds_no_stroke() -> None:
    trace = written(1)
    few = {name: getattr(trace, name)[:6] for name in ("t", "x", "y", "p", "down")}
    with pytest.raises(ValueError, match="too short"):
        fit(replace(Trace(**few), t=few["t"]))
