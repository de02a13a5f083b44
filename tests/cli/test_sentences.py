"""Every reason has a sentence; what an action tells reads as plain language."""

import pytest

from penlatch.cli.sentences import SENTENCES, log_line, tell
from penlatch.messages import Action, Armed, Decision, Enrollment, Reason, Verdict

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
}


def decision(**changed: object) -> Decision:
    fields: dict[str, object] = {
        "terminal": "door",
        "seq": 7,
        "boot": 1,
        "time": "2026-01-02T03:04:05.678Z",
        "action": Action.VERIFY,
        "user": "alice",
        "verdict": Verdict.MATCH,
        "done": True,
        "reason": Reason.AGREES,
        "probability": 0.9312,
        "threshold": 0.5,
    }
    return Decision(**fields | changed)  # type: ignore[arg-type]  # fields of a message, changed by name


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
    armed = Armed(action=Action.VERIFY, user="alice", attempt=2, timeout_s=17.6)
    assert tell(armed) == "Sign now, alice (attempt 2, 18 s left)…"
    assert tell(Armed(action=Action.IDENTIFY, user=None, attempt=1, timeout_s=30)) == "Sign now (attempt 1, 30 s left)…"


def test_a_match_names_the_person_the_probability_and_the_threshold() -> None:
    assert tell(decision()) == (
        "match alice, probability 0.931 (threshold 0.500): everything agrees with the references"
    )


def test_no_match_names_what_differs_most() -> None:
    text = tell(decision(verdict=Verdict.NO_MATCH, reason=Reason.SPEED, probability=0.01))
    assert text.startswith("no match alice, probability 0.010")
    assert "speed" in text


def test_a_retry_says_why_and_what_to_do() -> None:
    text = tell(decision(verdict=Verdict.RETRY, done=False, reason=Reason.TOO_SMALL, probability=None))
    assert text == "Attempt 1 cannot be used: it was too small. Sign larger, as you would on paper."


def test_an_error_is_never_told_as_a_judgement() -> None:
    text = tell(decision(verdict=Verdict.ERROR, reason=Reason.TIMEOUT, probability=None))
    assert text.startswith("error: nobody signed in time.")
    assert "match" not in text


def test_an_enrolment_counts_its_references() -> None:
    step = Enrollment(user="alice", outcome="accepted", done=False, reason=None, stage=2, stages=5)
    assert tell(step) == "Reference 2 of 5 taken."
    end = Enrollment(user="alice", outcome="enrolled", done=True, reason=None, stage=5, stages=5)
    assert tell(end) == "alice is enrolled with 5 references."


def test_a_failed_enrolment_says_that_nobody_was_enrolled() -> None:
    end = Enrollment(user="alice", outcome="error", done=True, reason=Reason.DUPLICATE_PERSON, stage=5, stages=5)
    assert tell(end).startswith("error: alice was not enrolled: these signatures already belong")


def test_the_log_line_has_the_number_the_time_and_marks_what_is_historical() -> None:
    line = log_line(decision(historical=True))
    assert line.startswith("#7 2026-01-02T03:04:05.678Z verify: match alice")
    assert line.endswith("[historical]")


def test_the_log_line_names_who_was_asked_also_when_nothing_was_judged() -> None:
    line = log_line(decision(verdict=Verdict.ERROR, reason=Reason.TIMEOUT, probability=None))
    assert line.endswith("verify alice: error, nobody signed in time")


def test_the_log_line_of_a_retry_gives_no_advice_to_who_only_reads_it() -> None:
    line = log_line(decision(verdict=Verdict.RETRY, done=False, reason=Reason.TOO_SMALL, probability=None))
    assert line.endswith("verify alice: retry, it was too small")
