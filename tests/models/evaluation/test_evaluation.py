"""The whole of it, on synthetic people and with the shipped models: what is counted, written and drawn."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from penlatch.errors import TraceError
from penlatch.verify.artefacts import default_directory
from penlatch.verify.calibrate import Evidence
from penlatch.verify.verifier import DISTANCES, Verifier
from support.crowd import crowd, write_index
from support.svc2004 import as_svc2004
from training.datasets import DataMissingError, read
from training.evaluation.__main__ import main
from training.evaluation.figures import Pairs
from training.evaluation.options import PROTOCOLS, Options
from training.evaluation.protocols import ProtocolError, first
from training.evaluation.registry import MODULES, runner
from training.evaluation.report import Matrix, Report, to_json
from training.evaluation.scoring import SCORERS, Degrading, alone, score
from training.evaluation.unseen import ModelsMissingError, choose
from training.evaluation.verification import run

if TYPE_CHECKING:
    from penlatch.ink import Trace
    from training.records import Loaded

ROOT = Path(__file__).parents[3]
PEOPLE, GENUINE, SKILLED, REFERENCES = 4, 5, 2, 3


@pytest.fixture(scope="module")
def people() -> Loaded:
    return crowd(PEOPLE, genuine=GENUINE, skilled=SKILLED, sittings=2, database="index")


@pytest.fixture(scope="module")
def table(people: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_index(tmp_path_factory.mktemp("people"), people)


@pytest.fixture(scope="module")
def report(table: Path) -> Report:
    return run(Options(dataset="index", data=table, references=REFERENCES, scorers=SCORERS)).report


def test_synthetic_people_are_told_from_each_other(report: Report) -> None:
    for scorer in ("fused", "dtw"):
        found = report.scorers[scorer].random
        assert found is not None
        assert found.eer < 10
        assert found.auc > 0.95


def test_everything_is_counted(report: Report) -> None:
    for found in report.scorers.values():
        assert found.skilled is not None
        assert found.random is not None
        assert (found.skilled.people, found.skilled.genuine) == (PEOPLE, PEOPLE * (GENUINE - REFERENCES))
        assert found.skilled.forgeries == PEOPLE * SKILLED
        assert found.random.forgeries == PEOPLE * (PEOPLE - 1)
        assert found.random_unmet is None, "the shipped models have met nobody of them"
    assert list(report.scorers) == list(SCORERS)
    assert report.data.people == PEOPLE
    assert [(m.folder, m.people) for m in report.models] == [("models", PEOPLE)]
    assert report.models[0].sha256 == Verifier.load().version


def test_only_scorers_with_a_threshold_have_errors_at_it(report: Report) -> None:
    stated = {
        s: f.skilled.at_threshold.threshold for s, f in report.scorers.items() if f.skilled and f.skilled.at_threshold
    }
    assert stated == {"fused": 0.5, "fusion": -1.0}


def test_the_report_can_be_read_again_and_repeats_itself_but_for_the_time(report: Report, table: Path) -> None:
    assert msgspec.json.decode(to_json(report), type=Report) == report
    again = run(Options(dataset="index", data=table, references=REFERENCES, scorers=SCORERS)).report
    assert msgspec.structs.replace(again, seconds=0) == msgspec.structs.replace(report, seconds=0)


def test_the_json_has_the_keys_that_the_page_explains(report: Report) -> None:
    explained = (ROOT / "docs" / "evaluate.md").read_text(encoding="utf-8")

    def keys(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set(value) | {key for inner in value.values() for key in keys(inner)}
        return {key for inner in value for key in keys(inner)} if isinstance(value, list) else set()

    data = json.loads(to_json(report))
    named = set(SCORERS) | set(data["versions"]) | set(data["data"]["left_out"])
    missing = {key for key in keys(data) - named if f"`{key}`" not in explained}
    assert missing == set()


def test_no_path_of_this_machine_is_reported(report: Report, table: Path) -> None:
    text = to_json(report).decode()
    assert str(table.parent) not in text
    assert str(ROOT) not in text
    assert "scripts/evaluate --dataset index" in report.command


def test_fused_scores_are_what_the_verifier_says(people: Loaded) -> None:
    trials = first(people, REFERENCES).trials
    choices = choose("index", [t.user for t in trials])
    (scored, *_) = score(trials[:1], choices, ["fused"]).trials
    verifier = Verifier.load()
    template = verifier.template([verifier.analyse(r.trace) for r in trials[0].references])
    said = [verifier.verify(template, verifier.analyse(r.trace)).probability for r in scored.attempts]
    assert scored.scores["fused"].tolist() == said


def test_a_scorer_alone_is_its_normalised_distance_negated() -> None:
    between = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    to = np.array([2.0, 4.0, 3.0])
    evidence = Evidence(
        to_references=dict.fromkeys(DISTANCES, to),
        between_references=dict.fromkeys(DISTANCES, between),
        features=np.zeros(1),
        reference_features=np.zeros((3, 1)),
    )
    assert alone("dtw", evidence) == pytest.approx(-(2 + 3))
    assert alone("fusion", evidence) == pytest.approx(-3 / (1 / 0.6))
    single = Evidence(
        to_references={"dtw": to[:1], "fusion": to[:1]},
        between_references={"dtw": np.zeros((1, 1)), "fusion": np.zeros((1, 1))},
        features=np.zeros(1),
        reference_features=np.zeros((1, 1)),
    )
    assert alone("dtw", single) == alone("fusion", single) == -2


def test_what_cannot_be_analysed_is_counted_and_does_not_stop_the_rest(
    people: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = first(people, REFERENCES).trials
    bad = {id(trials[0].references[1].trace), id(trials[1].skilled[0].trace), id(trials[2].genuine[0].trace)}
    analyse = Verifier.analyse

    def failing(self: Verifier, trace: Trace) -> Any:
        if id(trace) in bad:
            raise TraceError(problem="it is spoilt")
        return analyse(self, trace)

    monkeypatch.setattr(Verifier, "analyse", failing)
    scores = score(trials, choose("index", [t.user for t in trials]), ["dtw"])
    assert scores.not_enrolled == {"U01": "it is spoilt"}
    assert scores.not_acquired == {"genuine": 1, "skilled": 1, "random": 0}
    assert [t.user for t in scores.trials] == ["U02", "U03", "U04"]


def test_each_signature_is_analysed_once(people: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = first(people, REFERENCES).trials
    seen: list[int] = []
    analyse = Verifier.analyse

    def counting(self: Verifier, trace: Trace) -> Any:
        seen.append(id(trace))
        return analyse(self, trace)

    monkeypatch.setattr(Verifier, "analyse", counting)
    score(trials, choose("index", [t.user for t in trials]), ["dtw"])
    assert len(seen) == len(set(seen)) == PEOPLE * (GENUINE + SKILLED)


def test_degraded_queries_leave_the_references_as_they_were(people: Loaded) -> None:
    trials = first(people, REFERENCES).trials[:1]
    choices = choose("index", [t.user for t in trials])
    plain, queries, everything = (
        score(trials, choices, ["dtw"], degrading=degrading).trials[0].scores["dtw"]
        for degrading in (
            None,
            Degrading("no-pressure", queries_only=True),
            Degrading("no-pressure", queries_only=False),
        )
    )
    assert (plain != queries).all()
    assert (queries != everything).all()


# --- People of a development database ---------------------------------------------------------------------


@pytest.fixture
def folds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Models for every fold, and without SVC2004: copies of the shipped ones, each with a digest of its own."""
    shipped = tmp_path / "models"
    for name in ("fold-0", "fold-1", "fold-2", "fold-3", "without-svc2004"):
        folder = shipped / "folds" / name
        shutil.copytree(default_directory(), folder, ignore=shutil.ignore_patterns("training", "folds", "*.md"))
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        (folder / "manifest.json").write_text(json.dumps(manifest | {"command": name}), encoding="utf-8")
    monkeypatch.setattr("training.evaluation.unseen.default_directory", lambda: shipped)
    return shipped


@pytest.fixture
def competition(tmp_path: Path) -> Path:
    """Five people of SVC2004 Task2, who are none: U1 and U5 are in one fold."""
    for record in crowd(5, genuine=4, skilled=1).records:
        name = f"U{int(record.user[1:])}S{record.index if record.kind == 'genuine' else 21}.TXT"
        (tmp_path / name).write_text(as_svc2004(record.trace), encoding="ascii")
    return tmp_path


@pytest.mark.usefixtures("folds")
def test_every_fold_is_judged_by_its_own_models_and_forgers_they_have_met_are_told_apart(competition: Path) -> None:
    report = run(Options(dataset="svc2004-task2", data=competition, references=3)).report
    judged = {m.folder: m.people for m in report.models}
    assert judged == {
        "models/folds/fold-0": 1,
        "models/folds/fold-1": 2,
        "models/folds/fold-2": 1,
        "models/folds/fold-3": 1,
    }
    assert len({m.sha256 for m in report.models}) == 4
    found = report.scorers["fused"]
    assert found.random is not None
    assert found.random_unmet is not None
    assert (found.random.forgeries, found.random_unmet.forgeries) == (20, 2), "U01 and U05, for each other"


@pytest.mark.usefixtures("folds")
def test_the_matrix_judges_each_database_by_models_made_without_it(
    competition: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("training.evaluation.matrix.ROWS", ("svc2004-task2",))
    written = tmp_path / "matrix.json"
    main(["--matrix", "--refs", "3", "--data", str(competition), "--json", str(written)])
    found = msgspec.json.decode(written.read_bytes(), type=Matrix)
    assert [(r.data.dataset, [m.folder for m in r.models]) for r in found.reports] == [
        ("svc2004-task2", ["models/folds/without-svc2004"])
    ]
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("svc2004-task2"))
    assert line.split()[-1] == "models/folds/without-svc2004"


def test_the_matrix_needs_all_its_models_before_it_begins(folds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (folds / "folds").is_dir()
    assert "without-susig" in fails(capsys, "--matrix")


def test_the_fold_models_beat_plain_time_warping_on_people_whom_they_have_not_met() -> None:
    """Of all folds together: ten people of one fold are too few for any order of two rates."""
    try:
        plan = first(read("svc2004-task2"), 5)
        choices = choose("svc2004-task2", [trial.user for trial in plan.trials])
    except (DataMissingError, ModelsMissingError) as missing:
        pytest.skip(str(missing))
    found = score([dataclasses.replace(trial, random=()) for trial in plan.trials], choices, ["fused", "dtw"]).trials
    assert not any(scored.choice.has_met(scored.user) for scored in found)
    assert Pairs(found, "fused", "skilled").eer() < 0.7 * Pairs(found, "dtw", "skilled").eer()


# --- The command ------------------------------------------------------------------------------------------


def fails(capsys: pytest.CaptureFixture[str], *arguments: str, usage: bool = False) -> str:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    if usage:
        assert caught.value.code == 2
        return capsys.readouterr().err
    assert isinstance(caught.value.code, str), "Python prints it and exits with 1"
    return caught.value.code


def test_the_command_prints_and_writes(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "new" / "figures.json"
    own = ["--dataset", "index", "--data", str(table), "--refs", "3"]
    main([*own, "--protocol", "sittings", "--json", str(written), "--scores", str(written.with_suffix(".tsv"))])
    shown = capsys.readouterr().out
    found = msgspec.json.decode(written.read_bytes(), type=Report)
    assert found.protocol.name == "sittings"
    assert list(found.scorers) == ["fused", "dtw"]
    assert "skilled forgeries: 8 genuine against 8, 4 people" in shown
    assert "FTE 0.00 %" in shown
    assert found.command in shown
    head, *attempts = written.with_suffix(".tsv").read_text(encoding="utf-8").splitlines()
    assert head.split("\t") == ["user", "draw", "kind", "signature", "models", "fused", "dtw"]
    assert len(attempts) == PEOPLE * (GENUINE - REFERENCES + SKILLED + PEOPLE - 1)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--refs", "13"], "--refs"),
        (["--refs", "0"], "--refs"),
        (["--scorer", "telepathy"], "--scorer"),
        (["--dataset", "mcyt"], "--dataset"),
        (["--degrade-queries"], "wants --degrade"),
        (["--models", "m", "--unseen-database"], "one of them"),
        (["--matrix", "--report", "r"], "--matrix takes"),
        (["--report", str(ROOT / "docs")], "outside of the checkout"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert problem in fails(capsys, *arguments, usage=True)


def test_what_cannot_be_measured_is_said_in_one_line(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = ("--dataset", "index", "--data", str(table))
    assert "no table was named" in fails(capsys, "--dataset", "index")
    assert "svc2004-task2.zip" in fails(capsys, "--data", str(tmp_path))
    assert "5 references and one to test" in fails(capsys, *own)
    assert "that of SVC2004" in fails(capsys, *own, "--protocol", "official")
    assert "--refs 1" in fails(capsys, *own, "--protocol", "fusion", "--refs", "3")
    assert "holds no models" in fails(capsys, *own, "--refs", "3", "--models", str(tmp_path))
    table.with_name("bad.csv").write_text("user,kind,session,path\nada,genuine,1,gone.txt\n", encoding="utf-8")
    assert "bad.csv:2: gone.txt cannot be read" in fails(
        capsys, "--dataset", "index", "--data", str(table.with_name("bad.csv"))
    )


def test_a_protocol_that_is_not_there_is_an_error_and_every_protocol_has_a_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert set(MODULES) == set(PROTOCOLS)
    monkeypatch.setattr("training.evaluation.registry.MODULES", {"dependent": "training.nowhere.dependent"})
    with pytest.raises(ProtocolError, match=re.escape("there is no training.nowhere.dependent")):
        runner("dependent")


# --- The pictures -----------------------------------------------------------------------------------------


class Images(HTMLParser):
    """Collects the sources of images and checks that tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.sources.append(str(dict(attrs)["src"]))
        elif tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def python_that_draws() -> str:
    """Return a Python with matplotlib: this one, or that of `scripts/evaluate` or `scripts/train`."""
    if importlib.util.find_spec("matplotlib"):
        return sys.executable
    for venv in (".venv-evaluate", ".venv-train"):
        python = ROOT / venv / "bin" / "python"
        if (
            python.exists()
            and not subprocess.run([python, "-c", "import matplotlib"], capture_output=True, check=False).returncode
        ):
            return str(python)
    pytest.skip("matplotlib is not installed: scripts/evaluate makes .venv-evaluate, which has it")


def test_a_report_is_a_page_with_all_its_pictures(table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    command = [python_that_draws(), "-m", "training.evaluation", "--dataset", "index", "--data", str(table)]
    path = f"{ROOT / 'daemon'}:{ROOT / 'models'}"
    subprocess.run(
        [*command, "--refs", "3", "--report", str(folder)],
        check=True,
        env={"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"},
        capture_output=True,
    )
    page = Images()
    page.feed((folder / "index.html").read_text(encoding="utf-8"))
    assert page.open == []
    drawn = {path.name for path in folder.iterdir()} - {"index.html"}
    assert set(page.sources) == drawn
    assert {"det.png", "roc.png", "scores-fused.png", "scores-dtw.png", "genuine-1.png", "skilled-1.png"} <= drawn
    for name in drawn:
        content = (folder / name).read_bytes()
        assert content.startswith(b"\x89PNG\r\n\x1a\n")
        assert len(content) > 10_000, "something is on it"
