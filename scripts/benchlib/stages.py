"""Time of each stage from frames to PUBACK, one after another in this process, beside a plain Python time warping."""

from __future__ import annotations

import statistics
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from benchlib.figures import Figure
from benchlib.people import REFERENCES, frames_of, signatures
from benchlib.processes import mosquitto, workplace
from benchlib.terminal import IDLE_S, NAME
from penlatch.capture.segmenter import Segmenter, Signature
from penlatch.config import Segment
from penlatch.messages import Action, DecisionDraft, Reason, Verdict
from penlatch.signal.features import global_features
from penlatch.signal.preprocess import clean
from penlatch.store.store import Store
from penlatch.store.vault import Vault
from penlatch.verify import bilstm_se, calibrate, dtw, fusion
from penlatch.verify.artefacts import CALIBRATION, Artefacts
from penlatch.verify.bilstm_se import BilstmSe
from penlatch.verify.calibrate import Calibration, Evidence
from penlatch.verify.verifier import Verifier

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchlib.terminal import Bench
    from penlatch.ink import Trace

TOLERANCE = 1e-4
"""How far the plain time warping may be from ours, relatively: it shows that both compute the same."""


class _Stopwatch:
    """Collects the times of each stage."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.times.setdefault(name, []).append(1e3 * (time.perf_counter() - started))


STAGES = {
    "segment": "all frames of one signature through the segmenter, in the reads in which a tablet delivers them",
    "clean": "contact frames, stroke starts, smoothing",
    "features": "the global features",
    "network": "sequence and one run of the network",
    "DTW": f"prepare, and distances to {REFERENCES} references",
    "fusion": f"prepare, and costs to {REFERENCES} references",
    "calibrate": "distances and features to P(genuine)",
    "seal": f"AES-256-GCM over a template of {REFERENCES} references; at enrolment only",
    "commit": "decision and outbox row in one transaction, on the disk (fsync)",
    "publish": "QoS 1 to Mosquitto on loopback, until its PUBACK",
}
"""What each stage comprises, in order."""


def measure(bench: Bench) -> list[Figure]:
    """Take every signature through every stage and give the median of each stage."""
    n = 10 if bench.quick else 100
    references, queries = signatures(REFERENCES, n + 1)
    watch = _Stopwatch()
    with workplace() as folder:
        _judge(watch, references, queries)
        _keep(watch, folder, references, len(queries))
        _publish(watch, folder, len(queries))
    plain, plain_n = _plain_dtw_ms(references, queries[: 3 if bench.quick else 10])
    figures = []
    for name, how in STAGES.items():
        times = watch.times[name][1:]  # the first one warms the caches
        is_dtw = name == "DTW"
        figures.append(
            Figure(
                name=f"stage: {name}, median",
                value=statistics.median(times),
                unit="ms",
                n=len(times),
                how=how,
                plain=plain if is_dtw else None,
                plain_how=f"the same distances, within {TOLERANCE:g}, in plain Python loops; n = {plain_n}"
                if is_dtw
                else "",
            )
        )
    return figures


def _judge(watch: _Stopwatch, references: Sequence[Trace], queries: Sequence[Trace]) -> None:
    artefacts = Artefacts.load()
    network = BilstmSe(artefacts)
    calibration = Calibration.from_bytes(artefacts.files[CALIBRATION], path=CALIBRATION)
    verifier = Verifier.load()
    template = verifier.template([verifier.analyse(trace) for trace in references])
    for number, query in enumerate(queries):
        trace = _segment(watch, query)
        with watch.stage("clean"):
            ink = clean(trace)
        with watch.stage("features"):
            features = global_features(ink)
        with watch.stage("network"):
            embedding = network.prepare(ink, features)
        with watch.stage("DTW"):
            warped = dtw.distances(dtw.prepare(ink), template.references["dtw"])
        with watch.stage("fusion"):
            fused = fusion.distances(fusion.prepare(ink), template.references["fusion"])
        with watch.stage("calibrate"):
            evidence = Evidence(
                to_references={
                    "bilstm_se": bilstm_se.distances(embedding, template.references["bilstm_se"]),
                    "fusion": fused,
                    "dtw": warped,
                },
                between_references=template.between,
                features=features,
                reference_features=template.features,
            )
            logit = calibration.genuine.logit(calibrate.terms(evidence, calibration.population))
        if number == 0:
            told = verifier.verify(template, verifier.analyse(trace)).probability
            if not np.isclose(told, 1 / (1 + np.exp(-logit)), atol=1e-6):
                raise SystemExit("bench: the stages do not add up to what the verifier says")


def _segment(watch: _Stopwatch, query: Trace) -> Trace:
    batches = list(frames_of(query))
    segmenter = Segmenter(Segment(idle_s=IDLE_S), query.pen)
    with watch.stage("segment"):
        for frames in batches:
            segmenter.feed(frames)
        capture = segmenter.expire(query.duration + IDLE_S)
    if not isinstance(capture, Signature):
        raise SystemExit(f"bench: a signature was not recognised: {capture}")
    return capture.trace


def _keep(watch: _Stopwatch, folder: Path, references: Sequence[Trace], n: int) -> None:
    verifier = Verifier.load()
    template = verifier.template([verifier.analyse(trace) for trace in references]).to_bytes()
    path = folder / "penlatch.db"
    vault = Vault.load(database=path)
    draft = DecisionDraft(
        terminal=NAME,
        time="2026-01-01T00:00:00.000Z",
        action=Action.VERIFY,
        user="writer",
        verdict=Verdict.NO_MATCH,
        done=True,
        reason=Reason.SPEED,
        probability=0.25,
        threshold=0.5,
    )
    with closing(Store.open(path, vault)) as store:
        for _ in range(n):
            with watch.stage("seal"):
                vault.seal(template, context="bench")
            with watch.stage("commit"):
                store.record(draft)


def _publish(watch: _Stopwatch, folder: Path, n: int) -> None:
    acknowledged = threading.Event()

    def on_publish(*_: Any) -> None:
        acknowledged.set()

    with mosquitto(folder) as port:
        client = Client(CallbackAPIVersion.VERSION2)
        client.on_publish = on_publish
        client.connect("127.0.0.1", port)
        client.loop_start()
        for _ in range(n):
            acknowledged.clear()
            with watch.stage("publish"):
                client.publish("bench/decision", b"x" * 400, qos=1)
                acknowledged.wait(10)
        client.disconnect()
        client.loop_stop()


def _plain_dtw_ms(references: Sequence[Trace], queries: Sequence[Trace]) -> tuple[float, int]:
    """Return the median time of the same distances in plain Python [ms], having made sure that they are the same."""
    prepared = [dtw.prepare(trace) for trace in references]
    times = []
    for query in (dtw.prepare(trace) for trace in queries):
        rows, others = query.tolist(), [reference.tolist() for reference in prepared]
        started = time.perf_counter()
        found = [plain_dtw(rows, other, band=dtw.BAND) for other in others]
        times.append(1e3 * (time.perf_counter() - started))
        if not np.allclose(found, dtw.distances(query, prepared), rtol=TOLERANCE):
            raise SystemExit("bench: the plain time warping finds other distances")
    return statistics.median(times), len(times)


def plain_dtw(a: list[list[float]], b: list[list[float]], *, band: float) -> float:
    """Return what `penlatch.verify.dtw.distances` defines, written down as its definition reads."""
    n, m = len(a), len(b)
    width = max(band, 2 / min(n, m))
    far = float("inf")
    before = [0.0] + [far] * m
    for i in range(1, n + 1):
        now = [far] * (m + 1)
        row = a[i - 1]
        for j in range(1, m + 1):
            if abs(i / n - j / m) <= width + 1e-9:
                cost = sum(abs(p - q) for p, q in zip(row, b[j - 1], strict=True))
                now[j] = cost + min(before[j], now[j - 1], before[j - 1])
        before = now
    return before[m] / (n + m)
