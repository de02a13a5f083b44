"""Resident memory of the daemon after a hundred verifications, beside a bare Python with numpy and the runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchlib.figures import Figure
from benchlib.processes import python_until
from benchlib.startup import RUNTIME

if TYPE_CHECKING:
    from benchlib.terminal import Bench

TARGET_MB = 64.0
KB_PER_MB = 1024.0
"""As /proc counts: kB are KiB, and so MB here are MiB."""


def measure(bench: Bench) -> list[Figure]:
    """Read VmRSS and VmHWM at the end of the session."""
    session = bench.session
    n = len(session.acknowledged)
    _, bare = python_until(RUNTIME)
    plain = bare["VmRSS"] / KB_PER_MB
    plain_how = "VmRSS of a bare Python that imported numpy and the inference runtime"
    return [
        Figure(
            name=f"resident memory after {n} verifications",
            value=session.memory_kb["VmRSS"] / KB_PER_MB,
            unit="MB",
            n=n,
            how="VmRSS of the daemon, not in its very first start, which makes the database",
            plain=plain,
            plain_how=plain_how,
            target=TARGET_MB,
        ),
        Figure(
            name="  at its peak",
            value=session.memory_kb["VmHWM"] / KB_PER_MB,
            unit="MB",
            n=n,
            how="VmHWM of the daemon, start and enrolment included",
            plain=bare["VmHWM"] / KB_PER_MB,
            plain_how="VmHWM of the same bare Python",
            target=TARGET_MB,
        ),
        Figure(
            name="  at READY=1",
            value=session.memory_at_ready_kb["VmRSS"] / KB_PER_MB,
            unit="MB",
            n=1,
            how="VmRSS of the daemon before the first signature",
            plain=plain,
            plain_how=plain_how,
        ),
    ]
