"""Every reason has a sentence; what an action tells reads as plain language."""

import pytest

from penlatch.cli.sentences import SENTENCES, log_line, tell
from penlatch.messages import Action, Disagreement, Enrollment, Quality, Reason, Verdict
from support.examples import armed, decision, unjudged

RETRIES = {
    Reason.TOO_SHORT,
    Reason.TOO_LONG,
    Reason.TOO_FEW_POINTS,
    Reason.TOO_MANY_POINTS,
    Reason.TOO_LITTLE_INK,
    Reason.TOO_SMALL,
    Reason.TOO_LARGE,
    Reason.EVENTS_LOST,
    Reason.PEN_LOST,
    Reason.DISAGREES,
    Reason.TOO_SIMPLE,
    Reason.OUTLIER,
}


def test_every_reason_has_a_sentence() -> None:
    assert set(SENTENCES) == set(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_a_sentence_reads_after_a_colon_and_its_advice_is_one(reason: Reason) -> None:
    what, todo = SENTENCES[reason]
    assert what[0].islower()
    assert not what.endswith(".")
    assert todo == "" or ((todo[0].isupper() or todo[0] == "`") and todo.endswith("."))


@pytest.mark.parametrize("reason", sorted(RETRIES))
def test_every_retry_says_what_to_do(reason: Reason) -> None:
    assert SENTENCES[reason].todo


def test_what_is_awaited_is_said_with_the_attempt_and_the_time_left() -> None:
    assert tell(armed(2, timeout_s=17.6)) == "Sign now, alice (attempt 2, 18 s left)…"
    assert tell(armed(user=None, action=Action.IDENTIFY)) == "Sign now (attempt 1, 30 s left)…"


def test_a_match_names_the_person_the_probability_and_the_threshold() -> None:
    assert tell(decision()) == ("match alice, probability 0.93 (threshold 0.5): everything agrees with the references")


def test_no_match_names_what_differs_most() -> None:
    text = tell(decision(verdict=Verdict.NO_MATCH, reason=Reason.SPEED, probability=0.01))
    assert text.startswith("no match alice, probability 0.01 ")
    assert "speed" in text


def test_a_retry_says_why_and_what_to_do() -> None:
    text = tell(unjudged(Verdict.RETRY, Reason.TOO_SMALL))
    assert text == "Attempt 1 cannot be used: it was too small. Sign larger, as you would on paper."


def test_an_error_is_never_told_as_a_judgement() -> None:
    text = tell(unjudged(Verdict.ERROR, Reason.TIMEOUT))
    assert text.startswith("error: nobody signed in time.")
    assert "match" not in text


def test_an_enrolment_counts_its_references() -> None:
    step = Enrollment(user="alice", outcome="accepted", done=False, reason=None, stage=2, stages=5)
    assert tell(step) == "Reference 2 of 5 taken."
    end = Enrollment(user="alice", outcome="enrolled", done=True, reason=None, stage=5, stages=5)
    assert tell(end) == "alice is enrolled with 5 references."


def test_the_end_of_an_enrolment_says_what_it_is_worth_and_what_comes_next() -> None:
    end = Enrollment(
        user="alice",
        outcome="enrolled",
        done=True,
        reason=None,
        stage=5,
        stages=5,
        quality=Quality(complexity=0.524, consistency=0.61, outlier=None),
        advice="a second sitting helps",
    )
    assert tell(end) == (
        "alice is enrolled with 5 references. Complexity 0.52, consistency 0.61. "
        "Next: a second sitting helps (penlatch enroll alice --continue)."
    )


def test_a_second_sitting_says_what_it_added_or_that_it_added_nothing() -> None:
    end = Enrollment(user="alice", outcome="enrolled", done=True, reason=None, stage=2, stages=2, extend=True)
    assert tell(end) == "2 references were added to those of alice."
    failed = Enrollment(
        user="alice", outcome="error", done=True, reason=Reason.DISAGREES, stage=0, stages=2, extend=True
    )
    assert tell(failed).startswith("error: nothing was added to the references of alice: it is unlike")


def test_a_reference_that_was_taken_out_is_named() -> None:
    step = Enrollment(user="alice", outcome="retry", done=False, reason=Reason.OUTLIER, stage=4, stages=5, replaces=2)
    assert tell(step).startswith("Reference 2 was taken out")
    assert tell(step).endswith("Sign once more in its place.")


def test_a_judgement_names_everything_that_is_rare_and_how_rare() -> None:
    reasons = tuple(
        Disagreement(reason=reason, excess=excess)
        for reason, excess in ((Reason.SPEED, 2.31), (Reason.RHYTHM, 1.0), (Reason.SHAPE, 0.9))
    )
    text = tell(decision(verdict=Verdict.NO_MATCH, reason=Reason.SPEED, reasons=reasons, probability=0.01))
    assert text.endswith("speed of the pen differs most (speed 2.3, rhythm 1.0; 1 is rare)")


def test_a_failed_enrolment_says_that_nobody_was_enrolled() -> None:
    end = Enrollment(user="alice", outcome="error", done=True, reason=Reason.DUPLICATE_PERSON, stage=5, stages=5)
    assert tell(end).startswith("error: alice was not enrolled: these signatures already belong")


def test_the_log_line_has_the_number_the_time_and_marks_what_is_historical() -> None:
    line = log_line(decision(7, historical=True))
    assert line.startswith("#7 2026-01-02T03:04:07.678Z verify: match alice")
    assert line.endswith("[historical]")


def test_the_log_line_names_who_was_asked_also_when_nothing_was_judged() -> None:
    line = log_line(unjudged(Verdict.ERROR, Reason.TIMEOUT))
    assert line.endswith("verify alice: error, nobody signed in time")


def test_the_log_line_of_a_retry_gives_no_advice_to_who_only_reads_it() -> None:
    line = log_line(unjudged(Verdict.RETRY, Reason.TOO_SMALL))
    assert line.endswith("verify alice: retry, it was too small")


@pytest.mark.parametrize(
    ("purpose", "told"),
    [
        ("door", "Sign now, alice, to open the door (attempt 1, 30 s left)…"),
        ("login", "Sign now, alice, to log in (attempt 1, 30 s left)…"),
        ("payment-2", "Sign now, alice, for payment-2 (attempt 1, 30 s left)…"),
        ("check", "Sign now, alice (attempt 1, 30 s left)…"),
    ],
)
def test_the_person_is_told_for_what_they_sign(purpose: str, told: str) -> None:
    assert tell(armed(purpose=purpose)) == told


def test_whoever_watches_is_told_for_what_somebody_signs_and_signed() -> None:
    assert log_line(armed(purpose="login")) == "verify for alice: waits for attempt 1, to log in"
    assert log_line(decision(7, purpose="login")).endswith(" [for login]")
