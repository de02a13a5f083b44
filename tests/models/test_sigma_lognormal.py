"""Sigma-lognormal fits: they write what they were fitted to, and when varied, something like it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from penlatch.ink import Trace
from penlatch.sim.writer import Writer
from penlatch.verify.replay import course, distances
from training.sigma_lognormal import fit


def written(seed: int) -> Trace:
    return Writer(seed).genuine(np.random.default_rng(seed))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_strokes_write_the_signature(seed: int) -> None:
    trace = written(seed)
    fitted = fit(trace)
    assert fitted.snr_db > 12
    again = fitted.duplicate(np.random.default_rng(0), share=0.0)
    assert len(again) == len(trace)
    assert (again.down == trace.down).all()
    assert again.duration == pytest.approx(trace.duration, rel=0.01)
    assert distances(course(again), course(trace)[None])[0] < 0.15


def test_the_more_it_varies_the_farther_it_is() -> None:
    trace = written(2)
    fitted = fit(trace)

    def apart(share: float) -> float:
        rng = np.random.default_rng(1)
        made = np.stack([course(fitted.duplicate(rng, share=share)) for _ in range(6)])
        return float(np.median(distances(course(trace), made)))

    assert apart(0.05) < apart(0.25) < apart(1.0)


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
