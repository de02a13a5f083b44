"""Reasons in plain language: what happened, and what the person or the integrator can do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from penlatch.foreign import WORDS, plain
from penlatch.messages import CHECK, DOOR, LOGIN, Action, Armed, Decision, Enrollment, Reason, Verdict
from penlatch.rounding import rounded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penlatch.messages import Event, Quality


class Sentence(NamedTuple):
    """One reason, for people."""

    what: str
    """What happened, fit to follow a colon."""
    todo: str = ""
    """What to do about it; empty where there is nothing to do."""


SENTENCES: Mapping[Reason, Sentence] = {
    Reason.SHAPE: Sentence("of all it compares, the shape of the lines differs most"),
    Reason.SPEED: Sentence("of all it compares, the speed of the pen differs most"),
    Reason.PRESSURE: Sentence("of all it compares, the pressure of the pen differs most"),
    Reason.RHYTHM: Sentence("of all it compares, the rhythm of strokes and pauses differs most"),
    Reason.SIZE: Sentence("of all it compares, the size differs most"),
    Reason.TILT: Sentence("of all it compares, the way the pen is held differs most"),
    Reason.REPLAY: Sentence(
        "it repeats an earlier signature more exactly than a hand can", "Sign with the pen, as you do on paper."
    ),
    Reason.AGREES: Sentence("everything agrees with the references"),
    Reason.TOO_SHORT: Sentence("it was over too soon for a signature", "Sign your whole name, at your usual pace."),
    Reason.TOO_LONG: Sentence("it went on for too long", "Sign once, without a pause, then lift the pen."),
    Reason.TOO_FEW_POINTS: Sentence(
        "the tablet saw too few points of it", "Sign your whole name and keep the tip on the tablet."
    ),
    Reason.TOO_MANY_POINTS: Sentence("it holds far more points than a signature", "Sign once and lift the pen."),
    Reason.TOO_LITTLE_INK: Sentence("too little was drawn to be a signature", "Sign your whole name."),
    Reason.TOO_SMALL: Sentence("it was too small", "Sign larger, as you would on paper."),
    Reason.TOO_LARGE: Sentence("it was too large", "Sign smaller, as you would on paper."),
    Reason.EVENTS_LOST: Sentence("the tablet lost part of it", "Sign once more."),
    Reason.PEN_LOST: Sentence(
        "the pen tablet went away in the middle of it", "Plug the tablet in again, then sign once more."
    ),
    Reason.DISAGREES: Sentence(
        "it is unlike the signatures before it", "Sign the way you always do; the same person must give them all."
    ),
    Reason.UNLIKE_PICTURES: Sentence(
        "it is unlike the pictures by which this person is known",
        "Sign as on the pictures; to enrol another signature, delete the person first: penlatch user delete NAME.",
    ),
    Reason.TOO_SIMPLE: Sentence(
        "it is so simple that anybody could write it", "Sign with your whole name, or with more than one line."
    ),
    Reason.OUTLIER: Sentence("one of the references is unlike all others", "Sign once more in its place."),
    Reason.TIMEOUT: Sentence("nobody signed in time", "Start again when the person is at the tablet."),
    Reason.CANCELLED: Sentence("it was cancelled"),
    Reason.TOO_MANY_RETRIES: Sentence("no attempt could be used", "Start again; `penlatch devices` shows the pen."),
    Reason.NO_PEN: Sentence("no pen tablet can be read", "Plug it in; `penlatch devices` says what is wrong with it."),
    Reason.LOCKED: Sentence("too many signatures did not match", "Wait; `penlatch status` says for how long."),
    Reason.NOT_ENROLLED: Sentence("this person is not enrolled", "Enrol them first: penlatch enroll NAME."),
    Reason.DUPLICATE_PERSON: Sentence(
        "these signatures already belong to somebody enrolled under another name",
        "See `penlatch user list`; a person is enrolled once.",
    ),
    Reason.MODEL: Sentence(
        "the models could not judge it", "Install penlatch again; `penlatch doctor` names the damaged file."
    ),
    Reason.STORE: Sentence("the database could not be used", "`penlatch doctor` says what is wrong with it."),
    Reason.INTERNAL: Sentence("a fault inside the daemon", "See its journal: journalctl -u penlatch."),
}
"""One sentence for each reason; a test holds it to be complete."""


def _because(reason: Reason) -> str:
    sentence = SENTENCES[reason]
    return f"{sentence.what}. {sentence.todo}".rstrip() if sentence.todo else f"{sentence.what}."


USES: Mapping[str, str] = {CHECK: "", DOOR: "to open the door", LOGIN: "to log in"}
"""For what a person signs, by the purpose. A check has no effect to be named."""


def _use(armed: Armed) -> str:
    """Say for what the person signs, to follow another phrase."""
    use = USES.get(armed.purpose, f"for {armed.purpose}")
    return f", {use}" if use else ""


def _awaited(armed: Armed) -> str:
    whom = f", {plain(armed.user, WORDS)}" if armed.user else ""
    return f"Sign now{whom}{_use(armed)} (attempt {armed.attempt}, {armed.timeout_s:.0f} s left)…"


def _judged(decision: Decision) -> str:
    told = "match" if decision.verdict is Verdict.MATCH else "no match"
    whom = f" {plain(decision.user, WORDS)}" if decision.user else ""
    odds = ""
    shown = rounded(decision).probability
    if shown is not None and decision.threshold is not None:
        odds = f", probability {shown:.2f} (threshold {decision.threshold:g})"
    return f"{told}{whom}{odds}: {SENTENCES[decision.reason].what}{_also(decision)}"


def _also(decision: Decision) -> str:
    """Name the other aspects that are rare for the person, with how rare."""
    rare = [f"{found.reason} {found.excess:.1f}" for found in decision.reasons if found.excess >= 1.0]
    return f" ({', '.join(rare)}; 1 is rare)" if rare else ""


def _worth(quality: Quality) -> str:
    alike = "" if quality.consistency is None else f", consistency {quality.consistency:.2f}"
    return f"Complexity {quality.complexity:.2f}{alike}."


def _enrolled(step: Enrollment) -> str:
    because = _because(step.reason) if step.reason is not None else "no reason was given."
    match step.outcome:
        case "accepted":
            return f"Reference {step.stage} of {step.stages} taken."
        case "retry":
            if step.replaces is not None:
                return f"Reference {step.replaces} was taken out: it is unlike all others. Sign once more in its place."
            return f"This one cannot be used: {because}"
        case "enrolled":
            told = (
                f"{step.stages} references were added to those of {plain(step.user, WORDS)}."
                if step.extend
                else f"{plain(step.user, WORDS)} is enrolled with {step.stages} references."
            )
            if step.quality is not None:
                told += f" {_worth(step.quality)}"
            if not step.advice:
                return told
            return f"{told} Next: {plain(step.advice)} (penlatch enroll {plain(step.user, WORDS)} --continue)."
        case "error":
            what = (
                f"nothing was added to the references of {plain(step.user, WORDS)}"
                if step.extend
                else f"{plain(step.user, WORDS)} was not enrolled"
            )
            return f"error: {what}: {because}"


def tell(event: Event) -> str:
    """Say in one line what `event` means to the person at the tablet."""
    match event:
        case Armed():
            return _awaited(event)
        case Decision():
            if event.verdict is Verdict.RETRY:
                return f"Attempt {event.attempt} cannot be used: {_because(event.reason)}"
            if event.verdict is Verdict.ERROR:
                return f"error: {_because(event.reason)}"
            return _judged(event)
        case Enrollment():
            return _enrolled(event)


def log_line(event: Event) -> str:
    """Say in one line what `event` means to somebody who watches the terminal from afar."""
    match event:
        case Armed():
            whom = f" for {plain(event.user, WORDS)}" if event.user else ""
            return f"{event.action}{whom}: waits for attempt {event.attempt}{_use(event)}"
        case Enrollment():
            return f"{Action.ENROLL} of {plain(event.user, WORDS)}: {_enrolled(event)}"
        case Decision():
            late = " [historical]" if event.historical else ""
            if event.verdict in (Verdict.MATCH, Verdict.NO_MATCH):
                return f"#{event.seq} {event.time} {event.action}: {_judged(event)} [for {event.purpose}]{late}"
            whom = f" {plain(event.user, WORDS)}" if event.user else ""
            what = SENTENCES[event.reason].what
            return f"#{event.seq} {event.time} {event.action}{whom}: {event.verdict}, {what}{late}"
