"""Rounding: two digits, and never to the other side of the threshold."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from penlatch.messages import Disagreement, Reason, Verdict
from penlatch.rounding import rounded
from support.examples import armed, decision

shares = st.floats(0, 1, allow_subnormal=False)


@given(shares, st.one_of(shares, st.integers(0, 100).map(lambda n: n / 100)))
@example(0.499, 0.5)
@example(0.4999999999999999, 0.5)
@example(0.504, 0.503)
@example(0.0699, 0.07)
@example(0.28999, 0.29)
@example(0.999, 1.0)
@example(1.0, 1.0)
@example(0.0, 0.001)
def test_it_stays_on_its_side_of_the_threshold(exact: float, threshold: float) -> None:
    verdict = Verdict.MATCH if exact >= threshold else Verdict.NO_MATCH
    shown = rounded(decision(verdict=verdict, probability=exact, threshold=threshold)).probability
    assert shown is not None
    assert 0 <= shown <= 1
    assert (shown >= threshold) is (exact >= threshold)
    assert shown == round(shown, 2)
    assert abs(shown - exact) < 0.0151


def test_all_else_stays_as_it_is() -> None:
    judged = decision(probability=0.987654, reasons=(Disagreement(reason=Reason.SPEED, excess=0.123456),))
    shown = rounded(judged)
    assert (shown.probability, shown.reasons[0].excess) == (0.99, 0.12)
    assert (shown.seq, shown.threshold, shown.verdict) == (judged.seq, judged.threshold, judged.verdict)
    for event in (armed(), decision(probability=None), decision(probability=0.5, threshold=None)):
        assert rounded(event) == event
