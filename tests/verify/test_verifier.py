"""Verifier: people who sign, and what it must make of them. The people are made up; real ones are in tests/models."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from penlatch.errors import ModelError, TraceError
from penlatch.ink import PenInfo, Trace
from penlatch.messages import Reason
from penlatch.sim.writer import Writer
from penlatch.verify.artefacts import CALIBRATION, Artefacts
from penlatch.verify.bilstm_se import BilstmSe
from penlatch.verify.calibrate import Calibration
from penlatch.verify.template import Template
from penlatch.verify.verifier import DISTANCES, MAX_REFERENCES, MIN_REFERENCES, Verifier, analyse
from support.drawings import without_hover

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from penlatch.signal.preprocess import Ink
    from penlatch.verify.bilstm_se import View
    from penlatch.verify.verifier import Analysis

PEOPLE = range(8)
SIGNATURES = 13
"""One more than the most references."""


@pytest.fixture(scope="module")
def verifier() -> Verifier:
    return Verifier.load()


@pytest.fixture(scope="module")
def signatures() -> list[list[Trace]]:
    """Genuine signatures of every person."""
    return [
        [writer.genuine(rng) for _ in range(SIGNATURES)]
        for seed in PEOPLE
        for writer, rng in [(Writer(seed), np.random.default_rng(seed))]
    ]


@pytest.fixture(scope="module")
def analyses(verifier: Verifier, signatures: list[list[Trace]]) -> list[list[Analysis]]:
    return [[verifier.analyse(trace) for trace in traces] for traces in signatures]


@pytest.fixture(scope="module")
def templates(verifier: Verifier, analyses: list[list[Analysis]]) -> dict[str, Template]:
    return {f"p{i}": verifier.template(own[:5]) for i, own in enumerate(analyses)}


# --- Verify -----------------------------------------------------------------------------------------------


def test_other_people_never_match(
    verifier: Verifier, analyses: list[list[Analysis]], templates: dict[str, Template]
) -> None:
    matches = [
        verifier.verify(templates[f"p{i}"], signature).match
        for i in PEOPLE
        for j in PEOPLE
        if i != j
        for signature in analyses[j][:3]
    ]
    assert len(matches) == 168
    assert not any(matches)


def test_most_genuine_signatures_match(
    verifier: Verifier, analyses: list[list[Analysis]], templates: dict[str, Template]
) -> None:
    matches = [verifier.verify(templates[f"p{i}"], own).match for i in PEOPLE for own in analyses[i][5:]]
    assert np.mean(matches) > 0.8


def test_most_skilled_forgeries_do_not(verifier: Verifier, templates: dict[str, Template]) -> None:
    rng = np.random.default_rng(99)
    forgeries = [(i, Writer(i).forgery(rng, Writer(100 + i))) for i in PEOPLE for _ in range(4)]
    matches = [verifier.verify(templates[f"p{i}"], verifier.analyse(trace)).match for i, trace in forgeries]
    assert np.mean(matches) < 0.2


def test_a_judgement_says_what_it_is_made_of(
    verifier: Verifier, analyses: list[list[Analysis]], templates: dict[str, Template]
) -> None:
    judgement = verifier.verify(templates["p0"], analyses[0][6])
    assert 0 <= judgement.probability <= 1
    assert judgement.distances.keys() == set(verifier.scorers)
    assert all(distance >= 0 for distance in judgement.distances.values())


def test_it_is_the_same_every_time_and_in_any_order(verifier: Verifier, signatures: list[list[Trace]]) -> None:
    def judge() -> list[float]:
        template = verifier.template([verifier.analyse(trace) for trace in signatures[0][:5]])
        return [
            verifier.verify(template, verifier.analyse(t)).probability for t in (signatures[0][6], signatures[1][0])
        ]

    first = judge()
    assert judge() == first
    assert first[0] != first[1]


def test_the_order_of_references_does_not_matter(verifier: Verifier, analyses: list[list[Analysis]]) -> None:
    forwards, backwards = verifier.template(analyses[0][:5]), verifier.template(analyses[0][4::-1])
    query = analyses[0][7]
    assert verifier.verify(forwards, query).probability == pytest.approx(verifier.verify(backwards, query).probability)


def test_a_template_that_was_stored_judges_alike(
    verifier: Verifier, analyses: list[list[Analysis]], templates: dict[str, Template]
) -> None:
    stored = Template.from_bytes(templates["p0"].to_bytes())
    assert verifier.verify(stored, analyses[0][6]) == verifier.verify(templates["p0"], analyses[0][6])


@pytest.mark.parametrize("n", range(MIN_REFERENCES, MAX_REFERENCES + 1))
def test_it_works_with_any_number_of_references(verifier: Verifier, analyses: list[list[Analysis]], n: int) -> None:
    template = verifier.template(analyses[0][:n])
    own = verifier.verify(template, analyses[0][n])
    assert own.probability > verifier.verify(template, analyses[1][0]).probability


@pytest.mark.parametrize("n", [0, 13])
def test_a_template_of_too_few_or_too_many_references_is_refused(
    verifier: Verifier, analyses: list[list[Analysis]], n: int
) -> None:
    with pytest.raises(ValueError, match="1 to 12 references"):
        verifier.template((analyses[0] * 2)[:n])


def test_identical_references_are_no_reason_to_break_down(verifier: Verifier, analyses: list[list[Analysis]]) -> None:
    template = verifier.template([analyses[0][0]] * 5)
    assert verifier.verify(template, analyses[0][0]).match
    assert not verifier.verify(template, analyses[1][0]).match


# --- Whatever the pen -------------------------------------------------------------------------------------


def move(trace: Trace, *, scale: float = 1.0, x: float = 0.0, later: float = 0.0) -> Trace:
    return replace(
        trace, x=trace.x * scale + x, y=trace.y * scale - x, t=trace.t + later, pen=PenInfo("other", unit="tablet")
    )


def test_frames_in_the_air_change_nothing(verifier: Verifier, signatures: list[list[Trace]]) -> None:
    live, recorded = signatures[0], [without_hover(trace) for trace in signatures[0]]
    assert not all(trace.down.all() for trace in live), "these would be the same traces"
    template = verifier.template([verifier.analyse(trace) for trace in live[:5]])
    for a, b in zip(live[5:], recorded[5:], strict=True):
        expected = verifier.verify(template, verifier.analyse(a)).probability
        assert verifier.verify(template, verifier.analyse(b)).probability == pytest.approx(expected, abs=0.02)


def test_neither_the_unit_of_length_nor_the_place_matters(
    verifier: Verifier, signatures: list[list[Trace]], templates: dict[str, Template]
) -> None:
    moved = [move(trace, scale=100.0, x=5000.0) for trace in signatures[0]]
    template = verifier.template([verifier.analyse(trace) for trace in moved[:5]])
    for here, there in zip(signatures[0][5:8], moved[5:8], strict=True):
        expected = verifier.verify(templates["p0"], verifier.analyse(here)).probability
        assert verifier.verify(template, verifier.analyse(there)).probability == pytest.approx(expected, abs=0.01)


def test_a_pen_that_never_touched_is_no_signature(verifier: Verifier, signatures: list[list[Trace]]) -> None:
    trace = signatures[0][0]
    hovering = replace(trace, down=np.zeros_like(trace.down), p=np.zeros_like(trace.p))
    with pytest.raises(TraceError, match="never touched"):
        verifier.analyse(hovering)


@pytest.mark.parametrize("frames", [1, 2, 3, 10])
def test_a_dot_is_judged_and_never_matches(verifier: Verifier, templates: dict[str, Template], frames: int) -> None:
    ones = np.ones(frames)
    dot = Trace(t=np.arange(frames) / 100, x=ones, y=ones, p=ones, down=ones > 0)
    assert not verifier.verify(templates["p0"], verifier.analyse(dot)).match


# --- Reasons ----------------------------------------------------------------------------------------------


def reason(verifier: Verifier, template: Template, change: Callable[[Trace], Trace], traces: list[Trace]) -> Reason:
    reasons = [verifier.verify(template, verifier.analyse(change(trace))).reason for trace in traces]
    return max(set(reasons), key=reasons.count)


def test_what_was_changed_is_the_reason(
    verifier: Verifier, signatures: list[list[Trace]], templates: dict[str, Template]
) -> None:
    traces, template = signatures[0][5:], templates["p0"]
    assert reason(verifier, template, lambda t: move(t, scale=3.0), traces) is Reason.SIZE
    assert reason(verifier, template, lambda t: replace(t, p=t.p * 0.2), traces) is Reason.PRESSURE
    assert reason(verifier, template, lambda t: replace(t, y=-t.y), traces) is Reason.SHAPE
    assert reason(verifier, template, lambda t: replace(t, t=t.t * 3), traces) in {Reason.SPEED, Reason.RHYTHM}


def test_a_genuine_signature_mostly_agrees(
    verifier: Verifier, signatures: list[list[Trace]], templates: dict[str, Template]
) -> None:
    assert reason(verifier, templates["p0"], lambda t: t, signatures[0][5:]) is Reason.AGREES


def test_only_a_match_agrees(analyses: list[list[Analysis]], templates: dict[str, Template]) -> None:
    strict = Verifier.load(threshold=1.0)
    for signature in analyses[0][5:]:
        judgement = strict.verify(templates["p0"], signature)
        assert judgement.match or judgement.reason is not Reason.AGREES


# --- Identify ---------------------------------------------------------------------------------------------


def test_identify_names_who_signed(
    verifier: Verifier, analyses: list[list[Analysis]], templates: dict[str, Template]
) -> None:
    found = [verifier.identify(templates, analyses[i][6]) for i in PEOPLE]
    named = [judged is not None and judged[0] == f"p{i}" for i, judged in enumerate(found)]
    assert np.mean(named) > 0.8


def test_identify_finds_the_most_probable(
    verifier: Verifier, analyses: list[list[Analysis]], templates: dict[str, Template]
) -> None:
    judged = verifier.identify(templates, analyses[2][8])
    assert judged is not None
    assert judged[1].probability == max(verifier.verify(t, analyses[2][8]).probability for t in templates.values())


def test_identify_knows_nobody_without_templates(verifier: Verifier, analyses: list[list[Analysis]]) -> None:
    assert verifier.identify({}, analyses[0][0]) is None


# --- Enrolment --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accepted", [1, 2, 4])
def test_an_enrolment_takes_the_same_hand_and_refuses_another(
    verifier: Verifier, analyses: list[list[Analysis]], accepted: int
) -> None:
    own = [verifier.agrees(analyses[i][:accepted], analyses[i][accepted]) for i in PEOPLE]
    others = [verifier.agrees(analyses[i][:accepted], analyses[j][0]) for i in PEOPLE for j in PEOPLE if i != j]
    assert np.mean(own) > 0.8
    assert np.mean(others) < 0.1


# --- Closed when in doubt ---------------------------------------------------------------------------------


def test_a_template_of_other_models_is_never_judged_with(
    verifier: Verifier, analyses: list[list[Analysis]], templates: dict[str, Template]
) -> None:
    foreign = replace(templates["p0"], version="0" * 64)
    with pytest.raises(ModelError, match="other models"):
        verifier.verify(foreign, analyses[0][6])
    with pytest.raises(ModelError, match="other models"):
        verifier.identify({"p0": foreign}, analyses[0][6])


def test_the_threshold_decides(
    verifier: Verifier, analyses: list[list[Analysis]], templates: dict[str, Template]
) -> None:
    probability = verifier.verify(templates["p0"], analyses[0][6]).probability
    assert Verifier.load(threshold=probability).verify(templates["p0"], analyses[0][6]).match
    above = float(np.nextafter(probability, 1))
    assert not Verifier.load(threshold=above).verify(templates["p0"], analyses[0][6]).match


@pytest.mark.parametrize("raised", [0.0, 0.2, 0.5, 0.95, 1.0])
def test_a_raised_threshold_takes_matches_away_and_gives_none(
    verifier: Verifier, analyses: list[list[Analysis]], templates: dict[str, Template], raised: float
) -> None:
    template = templates["p0"]
    for analysis in (analyses[0][-1], analyses[1][0]):
        judged = verifier.verify(template, analysis)
        again = judged.at(raised)
        assert again.match == (judged.match and judged.probability >= raised)
        assert again.match or again.reason is not Reason.AGREES
        assert again.probability == judged.probability


@pytest.mark.parametrize("impossible", [float("nan"), 5.08, -0.1])
def test_what_is_no_probability_is_a_fault_and_no_judgement(
    verifier: Verifier,
    analyses: list[list[Analysis]],
    templates: dict[str, Template],
    monkeypatch: pytest.MonkeyPatch,
    impossible: float,
) -> None:
    # Seen in an emulator whose vector instructions were wrong: tanh(3) was 1e22.
    monkeypatch.setattr("penlatch.verify.verifier._logistic", lambda _: impossible)
    with pytest.raises(ModelError, match=r"this machine miscalculates"):
        verifier.verify(templates["p0"], analyses[0][6])


@pytest.mark.parametrize("logit", [-1e300, -800.0, 0.0, 800.0, 1e300])
def test_extreme_logits_are_probabilities(
    verifier: Verifier,
    analyses: list[list[Analysis]],
    templates: dict[str, Template],
    monkeypatch: pytest.MonkeyPatch,
    logit: float,
) -> None:
    monkeypatch.setattr(verifier, "_logit", lambda _: logit)
    assert verifier.verify(templates["p0"], analyses[0][6]).probability == pytest.approx(0.5 + 0.5 * np.sign(logit))


def test_the_self_test_notices_a_network_that_went_astray(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = Verifier.load()
    verifier.check()
    monkeypatch.setattr(
        verifier._network._model, "run", lambda _: {"embedding": np.ones(64), "frames": np.ones((64, 32))}
    )
    with pytest.raises(ModelError, match="golden input 0"):
        verifier.check()


# --- The scorers ------------------------------------------------------------------------------------------


def test_the_calibration_says_which_scorers_run(verifier: Verifier, analyses: list[list[Analysis]]) -> None:
    wanted = Calibration.from_bytes(Artefacts.load().files[CALIBRATION], path=CALIBRATION).scorers
    template = verifier.template(analyses[0][:2])
    assert verifier.scorers == wanted
    assert analyses[0][0].prepared.keys() == template.references.keys() == template.between.keys() == set(wanted)


def test_scorers_asked_for_besides_are_told_and_change_no_probability(
    verifier: Verifier, signatures: list[list[Trace]], analyses: list[list[Analysis]]
) -> None:
    wider = Verifier.load(also=["fusion", "dtw", verifier.scorers[0]])
    assert wider.scorers == (*verifier.scorers, "fusion", "dtw")
    more = [wider.analyse(trace) for trace in signatures[0][:6]]
    told = wider.verify(wider.template(more[:5]), more[5])
    usual = verifier.verify(verifier.template(analyses[0][:5]), analyses[0][5])
    assert told.distances.keys() == usual.distances.keys() | {"fusion", "dtw"}
    assert (told.probability, told.reasons) == (usual.probability, usual.reasons)


def test_a_scorer_that_no_version_knows_is_refused(tmp_path: Path) -> None:
    shipped = Artefacts.load()
    raw = json.loads(shipped.files[CALIBRATION])
    raw["scorers"].append("graphology")
    raw["population"]["spread"]["graphology"] = raw["population"]["spread"]["bilstm_se"]
    other = replace(shipped, directory=tmp_path, files={**shipped.files, CALIBRATION: json.dumps(raw).encode()})
    with pytest.raises(ModelError, match=r"unknown scorers.*graphology"):
        Verifier(other)


@pytest.mark.parametrize("scorers", [("dtw",), ("multichannel", "fusion"), tuple(DISTANCES)])
def test_only_what_the_scorers_need_is_computed(scorers: tuple[str, ...]) -> None:
    network = Network(BilstmSe(Artefacts.load()))
    analysis = analyse(Writer(1).genuine(np.random.default_rng(1)), network, scorers)  # type: ignore[arg-type] # counts
    assert analysis.prepared.keys() == set(scorers)
    assert network.looks == ("alignment" in scorers)


class Network:
    """A network that counts how often it is asked."""

    def __init__(self, network: BilstmSe) -> None:
        self._network, self.looks = network, 0

    def prepare(self, ink: Ink, features: NDArray[np.float64]) -> View:
        self.looks += 1
        return self._network.prepare(ink, features)


# --- Nothing leaks ----------------------------------------------------------------------------------------


def test_nothing_of_a_signature_shows_in_a_repr(analyses: list[list[Analysis]], templates: dict[str, Template]) -> None:
    assert repr(analyses[0][0]) == "Analysis(…)"
    assert len(repr(templates["p0"])) < 80
