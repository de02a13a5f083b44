"""Time of each stage from frames to PUBACK, one after another in this process, and of a whole verification.

What is compared with a plain alternative is compared with the same time warping in plain Python loops.
"""

from __future__ import annotations

import statistics
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

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
from penlatch.verify import alignment, bilstm_se, calibrate, multichannel, replay
from penlatch.verify.artefacts import CALIBRATION, Artefacts
from penlatch.verify.bilstm_se import BilstmSe
from penlatch.verify.calibrate import Calibration, Evidence
from penlatch.verify.verifier import DISTANCES, Verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from benchlib.terminal import Bench
    from penlatch.ink import Trace
    from penlatch.verify.template import Template
    from penlatch.verify.verifier import Analysis

    Row = list[float]

TARGET_MS: Final = 8.0
"""Everything of one verification, on one core."""

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


REMEMBERED = 1000
"""Signatures of the person with which a probe is compared."""
STAGES = {
    "segment": "all frames of one signature through the segmenter, in the reads in which a tablet delivers them",
    "replay": "the course of the signature, compared with 1,000 remembered ones of the person",
    "clean": "contact frames, stroke starts, smoothing",
    "features": "the global features",
    "network": "sequence and one run of the network",
    "alignment": f"distances from the network's frames to those of {REFERENCES} references",
    "multichannel": f"prepare, and distances to {REFERENCES} references",
    "calibrate": "distances and features to P(genuine)",
    "seal": f"AES-256-GCM over a template of {REFERENCES} references; at enrolment only",
    "commit": "decision and outbox row in one transaction, on the disk (fsync)",
    "publish": "QoS 1 to Mosquitto on loopback, until its PUBACK",
}
"""What each stage comprises, in order."""
VERIFICATION: Final = "verification"
"""What the stopwatch calls all of it at once."""


def measure(bench: Bench) -> list[Figure]:
    """Take every signature through every stage and give the median of each, and of a whole verification."""
    n = 10 if bench.quick else 100
    references, queries = signatures(REFERENCES, n + 1)
    watch = _Stopwatch()
    with workplace() as folder:
        _judge(watch, references, queries)
        _keep(watch, folder, references, len(queries))
        _publish(watch, folder, len(queries))
    plain = _plain_ms(references, queries[: 3 if bench.quick else 10])
    loops = f"the same distances, within {TOLERANCE:g}, in plain Python loops; n = {plain.n}"
    figures = []
    for name, how in STAGES.items():
        times = watch.times[name][1:]  # the first one warms the caches
        figures.append(
            Figure(
                name=f"stage: {name}, median",
                value=statistics.median(times),
                unit="ms",
                n=len(times),
                how=how,
                plain=plain.warping.get(name),
                plain_how=loops if name in plain.warping else "",
            )
        )
    whole = watch.times[VERIFICATION][1:]
    figures.append(
        Figure(
            name=f"verification, everything, {REFERENCES} references, median",
            value=statistics.median(whole),
            unit="ms",
            n=len(whole),
            how="from the trace of one signature to the judgement: analyse and verify, with reasons",
            plain=plain.verification,
            plain_how=f"the same probability, with its time warping in plain Python loops; n = {plain.n}",
            target=TARGET_MS,
        )
    )
    return figures


def _judge(watch: _Stopwatch, references: Sequence[Trace], queries: Sequence[Trace]) -> None:
    artefacts = Artefacts.load()
    network = BilstmSe(artefacts)
    calibration = Calibration.from_bytes(artefacts.files[CALIBRATION], path=CALIBRATION)
    verifier = Verifier.load()
    template = verifier.template([verifier.analyse(trace) for trace in references])
    own = [replay.course(query) for query in queries[1:]]
    before = replay.Remembered([own[k % len(own)] for k in range(REMEMBERED)])
    for number, query in enumerate(queries):
        trace = _segment(watch, query)
        with watch.stage("replay"):
            replay.find(replay.course(trace), before)
        with watch.stage("clean"):
            ink = clean(trace)
        with watch.stage("features"):
            features = global_features(ink)
        with watch.stage("network"):
            view = network.prepare(ink, features)
        with watch.stage("alignment"):
            aligned = alignment.distances(view.frames, template.references["alignment"])
        with watch.stage("multichannel"):
            warped = multichannel.distances(multichannel.prepare(ink), template.references["multichannel"])
        with watch.stage("calibrate"):
            distances = {
                "alignment": aligned,
                "bilstm_se": bilstm_se.distances(view.embedding, template.references["bilstm_se"]),
                "multichannel": warped,
            }
            probability = _probability(calibration, template, distances, features)
        with watch.stage(VERIFICATION):
            told = verifier.verify(template, verifier.analyse(trace))
        if number == 0 and not np.isclose(told.probability, probability, atol=1e-6):
            raise SystemExit("bench: the stages do not add up to what the verifier says")


def _probability(
    calibration: Calibration,
    template: Template,
    distances: Mapping[str, NDArray[np.float64]],
    features: NDArray[np.float64],
) -> float:
    evidence = Evidence(
        to_references=distances,
        between_references=template.between,
        features=features,
        reference_features=template.features,
    )
    return float(1 / (1 + np.exp(-calibration.genuine(calibrate.terms(evidence, calibration.population)))))


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


class _Plain(NamedTuple):
    """Median times in plain Python [ms]."""

    warping: dict[str, float]
    """By scorer: distances to the references."""
    verification: float
    n: int


def _plain_ms(references: Sequence[Trace], queries: Sequence[Trace]) -> _Plain:
    """Time the same distances and the same judgement in plain Python, having made sure that they are the same."""
    artefacts = Artefacts.load()
    calibration = Calibration.from_bytes(artefacts.files[CALIBRATION], path=CALIBRATION)
    verifier = Verifier.load()
    template = verifier.template([verifier.analyse(trace) for trace in references])
    watch = _Stopwatch()
    for query in queries:
        with watch.stage(VERIFICATION):
            analysis = verifier.analyse(query)
            distances = _plain_distances(watch, template, analysis)
            embedding = analysis.prepared["bilstm_se"]
            angles = {"bilstm_se": bilstm_se.distances(embedding, template.references["bilstm_se"])}
            probability = _probability(calibration, template, angles | distances, analysis.features)
        for scorer, found in distances.items():
            ours = DISTANCES[scorer](analysis.prepared[scorer], template.references[scorer])
            if not np.allclose(found, ours, rtol=TOLERANCE):
                raise SystemExit(f"bench: the plain time warping finds other distances ({scorer})")
        if not np.isclose(verifier.verify(template, analysis).probability, probability, atol=1e-3):
            raise SystemExit("bench: the plain time warping comes to another judgement")
    return _Plain(
        warping={scorer: statistics.median(watch.times[scorer]) for scorer in _PLAIN_COSTS},
        verification=statistics.median(watch.times[VERIFICATION]),
        n=len(queries),
    )


def _plain_distances(watch: _Stopwatch, template: Template, analysis: Analysis) -> dict[str, NDArray[np.float64]]:
    distances = {}
    for scorer, (band, cost) in _PLAIN_COSTS.items():
        rows = analysis.prepared[scorer].tolist()
        others = [reference.tolist() for reference in template.references[scorer]]
        with watch.stage(scorer):
            distances[scorer] = np.array([plain_warping(rows, other, band=band, cost=cost) for other in others])
    return distances


def plain_warping(a: list[Row], b: list[Row], *, band: float, cost: Callable[[Row, Row], float]) -> float:
    """Return what `penlatch.verify.warping.distances` defines, written down as its definition reads."""
    n, m = len(a), len(b)
    width = max(band, 2 / min(n, m))
    far = float("inf")
    before = [0.0] + [far] * m
    for i in range(1, n + 1):
        now = [far] * (m + 1)
        row = a[i - 1]
        for j in range(1, m + 1):
            if abs(i / n - j / m) <= width + 1e-9:
                now[j] = cost(row, b[j - 1]) + min(before[j], now[j - 1], before[j - 1])
        before = now
    return before[m] / (n + m)


def _city_block(a: Row, b: Row) -> float:
    return sum(abs(p - q) for p, q in zip(a, b, strict=True))


def _squared(a: Row, b: Row) -> float:
    return sum((p - q) * (p - q) for p, q in zip(a, b, strict=True))


_PLAIN_COSTS: Final[dict[str, tuple[float, Callable[[Row, Row], float]]]] = {
    "alignment": (alignment.BAND, _squared),
    "multichannel": (multichannel.BAND, _city_block),
}
"""Band and cost of each scorer that warps time."""
