"""Example messages: what a terminal tells when all is well, with whatever a test wants changed."""

from __future__ import annotations

import msgspec

from penlatch.messages import (
    DOOR,
    Action,
    Armed,
    CurvePoint,
    Decision,
    Grade,
    Health,
    Info,
    OperatingPoint,
    Part,
    Rate,
    Reason,
    SiteCalibration,
    User,
    Verdict,
)

BOOT = 7
"""The start of the daemon that the tests live in."""
INSTANCE = "0f" * 16
"""Life of the database that the tests live in."""
ALICE = User(name="alice", references=5, enrolled="2026-01-01T00:00:00.000Z", template_version="1a2b")
BOB = User(name="bob", references=8, enrolled="2026-01-01T00:00:01.000Z", template_version="1a2b")
INFO = Info(
    terminal="door",
    version="1",
    mode="on-demand",
    threshold=0.5,
    models="1a2b",
    runtime="tflite-runtime",
    requests=("verify", "status"),
    boot=BOOT,
)


def decision(seq: int = 1, **changed: object) -> Decision:
    """Return a match of alice, with some fields changed."""
    match = Decision(
        terminal="door",
        instance=INSTANCE,
        seq=seq,
        boot=BOOT,
        time=f"2026-01-02T03:04:{seq % 60:02}.678Z",
        action=Action.VERIFY,
        user="alice",
        purpose=DOOR,
        grade=Grade.PEN,
        verdict=Verdict.MATCH,
        done=True,
        reason=Reason.AGREES,
        probability=0.93,
        threshold=0.5,
    )
    return msgspec.structs.replace(match, **changed)


def unjudged(verdict: Verdict, reason: Reason, *, seq: int = 1) -> Decision:
    """Return a decision without a judgement: a retry, after which alice may sign again, or an error."""
    done = verdict is not Verdict.RETRY
    return decision(seq, verdict=verdict, done=done, reason=reason, probability=None, threshold=None)


def armed(attempt: int = 1, **changed: object) -> Armed:
    """Return the news that the terminal waits for alice, with some fields changed."""
    waits = Armed(action=Action.VERIFY, user="alice", attempt=attempt, timeout_s=30.0)
    return msgspec.structs.replace(waits, **changed)


def health(**changed: object) -> Health:
    """Return the health of an idle terminal that lacks nothing, with some fields changed."""
    well = Health(
        ok=True,
        time="2026-01-02T03:04:05.678Z",
        action=Action.IDLE,
        pen=Part(ok=True, detail="Wacom ISDV4 at /dev/ttyS4"),
        models=Part(ok=True, detail="1a2b on tflite-runtime"),
        store=Part(ok=True, detail="penlatch.db"),
        outbox=Part(ok=True, detail="0 waiting"),
        broker=Part(ok=True),
        clock=Part(ok=True, detail="kept by a time server"),
        disk=Part(ok=True, detail="900 MiB free at /var/lib/penlatch"),
        users=2,
        decisions=3,
        outbox_depth=0,
        uptime_s=3720.0,
    )
    return msgspec.structs.replace(well, **changed)


def rate(errors: int, trials: int) -> Rate:
    """Return a rate with an interval that says nothing."""
    return Rate(errors=errors, trials=trials, rate=errors / trials, low=0.0, high=1.0)


def site_calibration(**changed: object) -> SiteCalibration:
    """Return a calibration on sixty people that supports a rate of 0.001, with some fields changed."""
    at = {"fmr": rate(1, 17_700), "pairs": rate(1, 3540), "fnmr": rate(12, 300)}
    found = SiteCalibration(
        time="2026-01-02T03:04:05.678Z",
        models="1a2b",
        people=60,
        references=300,
        target_fmr=0.001,
        smallest_fmr=0.00085,
        proposed=OperatingPoint(threshold=0.8125, **at),
        current=OperatingPoint(threshold=0.5, **at),
        curve=(CurvePoint(threshold=0.5, fmr=0.001, fnmr=0.04),),
        applied=True,
        notes=("no forger took part",),
    )
    return msgspec.structs.replace(found, **changed)
