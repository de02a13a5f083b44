"""Prometheus: health as metrics that its own parser would take."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from penlatch.messages import AuditHead, Locked, Part
from penlatch.report.prometheus import metrics
from support.examples import health

LINE = re.compile(r'penlatch_[a-z_]+\{terminal="door-1"(,part="[a-z]+")?\} -?[0-9.e+]+')


def samples(text: str) -> dict[str, float]:
    """Metric and part to value."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            assert LINE.fullmatch(line), line
            name, value = line.rsplit(" ", 1)
            found[name.replace('terminal="door-1",', "").replace('{terminal="door-1"}', "")] = float(value)
    return found


def test_every_sample_has_a_type_and_a_meaning_before_it() -> None:
    text = metrics(health(), terminal="door-1")
    named = set()
    for line in text.splitlines():
        if line.startswith("#"):
            named.add(line.split()[2])
        else:
            assert line.partition("{")[0] in named
    assert text.endswith("\n")


def test_the_parser_of_prometheus_reads_every_family() -> None:
    text = metrics(health(outbox_unheard=2, outbox_age_s=1.25), terminal="door-1")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert sum(len(family.samples) for family in families.values()) == len(samples(text))
    for family in families.values():
        assert family.type in {"gauge", "counter"}
        assert family.documentation
        assert all(sample.labels["terminal"] == "door-1" for sample in family.samples)
    assert families["penlatch_outbox_unheard"].samples[0].value == 2
    assert families["penlatch_outbox_age_seconds"].samples[0].value == 1.25
    parts = {sample.labels["part"] for sample in families["penlatch_part_ok"].samples}
    assert {"pen", "models", "store", "outbox", "broker", "clock", "disk"} <= parts


def test_what_is_wrong_shows() -> None:
    sick = health(
        ok=False,
        pen=Part(ok=False, detail="away"),
        outbox_depth=12,
        outbox_age_s=90.5,
        outbox_dropped=3,
        lockouts=(Locked(user=None, failures=5, left_s=9.0),),
        audit=AuditHead(number=2417, mac="00"),
    )
    told = samples(metrics(sick, terminal="door-1"))
    assert told["penlatch_ok"] == 0
    assert (told['penlatch_part_ok{part="pen"}'], told['penlatch_part_ok{part="models"}']) == (0, 1)
    assert (told["penlatch_outbox_depth"], told["penlatch_outbox_age_seconds"]) == (12, 90.5)
    assert (told["penlatch_outbox_dropped_total"], told["penlatch_lockouts"]) == (3, 1)
    assert told["penlatch_audit_entries_total"] == 2417
    assert 'penlatch_part_ok{part="certificate"}' not in told
