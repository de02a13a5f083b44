"""Prometheus: health in the text format that its exporters read (exposition format 0.0.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penlatch.messages import Part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penlatch.messages import Health


def metrics(health: Health, *, terminal: str) -> str:
    """Return the health of a terminal as metrics, each with what it means."""
    label = f'{{terminal="{terminal}"}}'
    lines: list[str] = []
    for name, kind, meaning, samples in _families(health):
        lines += [f"# HELP penlatch_{name} {meaning}", f"# TYPE penlatch_{name} {kind}"]
        for extra, value in samples:
            labels = label if not extra else f"{label[:-1]},{extra}}}"
            lines.append(f"penlatch_{name}{labels} {value:.12g}")
    return "\n".join([*lines, ""])


def _families(health: Health) -> Iterator[tuple[str, str, str, list[tuple[str, float]]]]:
    """Yield name, type, meaning and samples (further labels, value)."""
    parts = [(name, part) for name in health.__struct_fields__ if isinstance(part := getattr(health, name), Part)]
    yield "ok", "gauge", "Whether the terminal can do all its work.", [("", health.ok)]
    yield "part_ok", "gauge", "Whether a part works.", [(f'part="{name}"', part.ok) for name, part in parts]
    yield "users", "gauge", "People who are enrolled.", [("", health.users)]
    yield "decisions_total", "counter", "Decisions ever made.", [("", health.decisions)]
    yield "outbox_depth", "gauge", "Decisions that wait for the broker.", [("", health.outbox_depth)]
    yield "outbox_age_seconds", "gauge", "How long the first of them has waited.", [("", health.outbox_age_s or 0.0)]
    yield "unstored_decisions", "gauge", "Errors and retries of the day that were not stored.", [("", health.unstored)]
    yield "outbox_dropped_total", "counter", "Decisions that were never told.", [("", health.outbox_dropped)]
    yield "outbox_unheard_total", "counter", "Decisions that nobody was subscribed to.", [("", health.outbox_unheard)]
    yield "lockouts", "gauge", "People, or the terminal, who are not judged now.", [("", len(health.lockouts))]
    yield "audit_entries_total", "counter", "Entries of the audit.", [("", health.audit.number if health.audit else 0)]
    yield "uptime_seconds", "gauge", "Time since the daemon was started.", [("", health.uptime_s)]
