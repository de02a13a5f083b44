"""The shipped models fit the code around them: what they were made with still comes out."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from penlatch.verify.artefacts import Artefacts, default_directory
from penlatch.verify.bilstm_se import BilstmSe
from penlatch.verify.verifier import DISTANCES
from training.evidence import NETWORK_SCORERS
from training.golden import TRACES, golden_numbers, golden_trace

MAKE_ANEW = "signal or verify changed since the models were made: run scripts/train --ship"


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((default_directory() / "golden.json").read_text(encoding="utf-8"))
    return content


def test_traces_are_what_the_models_were_made_with(kept: dict[str, Any]) -> None:
    now = golden_numbers(BilstmSe(Artefacts.load()))
    assert len(kept["traces"]) == len(now) == TRACES
    for before, after in zip(kept["traces"], now, strict=True):
        assert after["distances"].keys() == before["distances"].keys() == DISTANCES.keys(), MAKE_ANEW
        assert after["features"] == pytest.approx(before["features"], abs=1e-4), MAKE_ANEW
        assert np.dot(after["embedding"], before["embedding"]) > 0.999, MAKE_ANEW
        for scorer, distances in before["distances"].items():
            # The network rounds otherwise on other processors, hence its wider tolerance.
            tolerance = 5e-3 if scorer in NETWORK_SCORERS else 1e-4
            assert after["distances"][scorer] == pytest.approx(distances, abs=tolerance), MAKE_ANEW


def test_golden_traces_are_unlike_each_other(kept: dict[str, Any]) -> None:
    for number, golden in enumerate(kept["traces"]):
        others = np.delete(np.array(golden["distances"]["dtw"]), number)
        assert golden["distances"]["dtw"][number] == 0
        assert (others > 0.1).all()


def test_golden_traces_have_hover_frames_and_lifts() -> None:
    trace = golden_trace(0)
    assert not trace.down.all()
    assert len(list(trace.strokes())) == 3


def test_quantisation_hardly_changes_an_embedding(kept: dict[str, Any]) -> None:
    cosines = [float(np.dot(vector["original"], vector["converted"])) for vector in kept["vectors"]]
    assert len(cosines) >= 8
    assert min(cosines) > 0.999
