"""The gallery: whoever is known by a picture is verified by it, until they give references with the pen."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from penlatch.config import parse
from penlatch.errors import RequestError
from penlatch.messages import Action, Grade, Reason, Verdict
from penlatch.service.judge import Asked, Judge
from penlatch.service.references import Reference, References
from penlatch.signal.preprocess import clean
from penlatch.signal.raster import HEIGHT, LINE, WIDTH, coverage, draw, placed
from penlatch.sim.writer import Writer
from penlatch.verify.artefacts import MANIFEST, default_directory
from penlatch.verify.pair import HEAD, NETWORK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penlatch.ink import Trace
    from penlatch.messages import Decision

ADA, EVE = Writer(11), Writer(31)


def traces(writer: Writer, count: int, seed: int = 0) -> list[Trace]:
    rng = np.random.default_rng(seed)
    return [writer.genuine(rng) for _ in range(count)]


def picture(writer: Writer, seed: int = 0) -> bytes:
    return draw(clean(traces(writer, 1, seed)[0])).tobytes()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped models, with a manifest that names the image pair network."""
    folder = tmp_path_factory.mktemp("models")
    for path in default_directory().glob("*.*"):
        if path.is_file():
            shutil.copy(path, folder)
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    for name in (NETWORK, HEAD):
        manifest["sha256"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return folder


@pytest.fixture
def judge(tmp_path: Path, models: Path) -> Iterator[Judge]:
    judge = opened(tmp_path, models)
    yield judge
    judge.close()


def opened(folder: Path, models: Path, **sections: object) -> Judge:
    places = {"store": {"path": str(folder / "penlatch.db")}, "verify": {"models": str(models)}}
    judge = Judge(parse({**places, "lockout": {"enabled": False}, **sections}))
    judge.open()
    assert judge.models.ok
    return judge


def verified(judge: Judge, name: str, trace: Trace) -> Decision:
    return judge.verify(Asked(Action.VERIFY, name), trace, ended=0.0, attempt=1)


def test_the_own_signature_matches_and_another_does_not(judge: Judge) -> None:
    assert judge.add_picture("ada", picture(ADA)) == 1
    own = [verified(judge, "ada", trace) for trace in traces(ADA, 5, seed=3)]
    others = [verified(judge, "ada", trace) for seed in range(40, 60) for trace in traces(Writer(seed), 1)]
    assert sum(decision.verdict is Verdict.MATCH for decision in own) >= 4
    assert sum(decision.verdict is Verdict.NO_MATCH for decision in others) >= 17
    assert {decision.reason for decision in own + others} == {Reason.AGREES, Reason.SHAPE}
    assert all(decision.probability is not None for decision in own + others)


def test_the_configured_threshold_decides(judge: Judge) -> None:
    judge.add_picture("ada", picture(ADA))
    assert judge._verifier
    judge._verifier.threshold = 1.0
    decision = verified(judge, "ada", traces(ADA, 1, seed=3)[0])
    assert (decision.verdict, decision.threshold) == (Verdict.NO_MATCH, 1.0)


def test_a_decision_says_that_a_picture_was_compared_and_not_a_pen(judge: Judge) -> None:
    judge.add_picture("ada", picture(ADA))
    own, other = verified(judge, "ada", traces(ADA, 1, seed=3)[0]), verified(judge, "ada", traces(EVE, 1)[0])
    assert (own.verdict, own.grade) == (Verdict.MATCH, Grade.PICTURE)
    assert (other.verdict, other.grade) == (Verdict.NO_MATCH, Grade.PICTURE)
    nobody = verified(judge, "bob", traces(EVE, 1)[0])
    assert (nobody.verdict, nobody.grade) == (Verdict.ERROR, None)
    replayed = verified(judge, "ada", traces(ADA, 1, seed=3)[0])
    assert (replayed.reason, replayed.grade) == (Reason.REPLAY, None)


def test_a_restart_changes_nothing(tmp_path: Path, models: Path) -> None:
    trace = traces(ADA, 1, seed=3)[0]
    first = opened(tmp_path, models, replay={"enabled": False})
    first.add_picture("ada", picture(ADA))
    before = verified(first, "ada", trace).probability
    first.close()
    second = opened(tmp_path, models, replay={"enabled": False})
    assert verified(second, "ada", trace).probability == before
    second.close()


def test_another_picture_must_agree(judge: Judge) -> None:
    judge.add_picture("ada", picture(ADA))
    assert judge.add_picture("ada", picture(ADA, seed=1)) == 2
    with pytest.raises(RequestError, match="unlike those that ada has"):
        judge.add_picture("ada", picture(EVE))
    assert judge.users()[0].pictures == 2


def test_no_row_of_pictures_leads_from_one_signature_to_another(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each picture agrees with those before it on average; the first one does not agree with the last."""
    judge.add_picture("ada", picture(ADA))
    judge.add_picture("ada", picture(ADA, seed=1))
    gallery = judge._gallery
    assert gallery
    assert gallery._pair
    monkeypatch.setattr(gallery._pair, "logits", lambda *_: np.array([-1.0, 9.0]))
    with pytest.raises(RequestError, match="penlatch user delete ada"):
        judge.add_picture("ada", picture(EVE))
    assert judge.users()[0].pictures == 2


def test_a_picture_that_does_not_match_counts_for_the_lockout(tmp_path: Path, models: Path) -> None:
    judge = opened(tmp_path, models, lockout={"failures": 2})
    judge.add_picture("ada", picture(ADA))
    for seed in range(2):
        with pytest.raises(RequestError, match="unlike those that ada has"):
            judge.add_picture("ada", picture(EVE, seed))
    with pytest.raises(RequestError, match="wait") as refused:
        judge.add_picture("ada", picture(ADA, seed=1))
    assert refused.value.code == "not_allowed"
    recorded = judge.decisions(limit=9, user="ada")
    assert [(d.verdict, d.reason, d.grade, d.done) for d in recorded] == [
        (Verdict.NO_MATCH, Reason.UNLIKE_PICTURES, Grade.PICTURE, False)
    ] * 2
    assert judge.locked_s(Asked(Action.VERIFY, "ada")) > 0
    judge.close()


def test_references_of_another_hand_do_not_take_the_name_of_a_person_known_by_pictures(judge: Judge) -> None:
    judge.add_picture("ada", picture(ADA))
    references = judge.references_of("ada", extend=False)
    taken = [judge.add_reference(references, trace) for trace in traces(EVE, 5)]
    assert set(taken) == {Reason.UNLIKE_PICTURES}
    verifier = judge.verifier
    straight = References(accepted=[Reference(trace, verifier.analyse(trace)) for trace in traces(EVE, 5, seed=1)])
    assert judge.enroll("ada", straight) is Reason.UNLIKE_PICTURES
    (ada,) = judge.users()
    assert (ada.references, ada.pictures) == (0, 1)


def test_a_strict_threshold_is_that_of_the_references_too(tmp_path: Path, models: Path) -> None:
    judge = opened(tmp_path, models)
    judge.add_picture("ada", picture(ADA))
    judge.verifier.threshold = 1.0
    references = judge.references_of("ada", extend=False)
    assert judge.add_reference(references, traces(ADA, 1, seed=2)[0]) is Reason.UNLIKE_PICTURES
    with pytest.raises(RequestError, match="unlike"):
        judge.add_picture("ada", picture(ADA, seed=1))
    judge.close()


@pytest.mark.parametrize("turns", [0, 1])
def test_a_picture_that_anybody_could_draw_is_no_reference(judge: Judge, turns: int) -> None:
    t = np.linspace(0, 2 * np.pi * turns or 0.01, 400)
    x, y = placed(np.cos(t), np.sin(t))
    ink = coverage(x, y, np.arange(400) == 0, height=HEIGHT, width=WIDTH, line=LINE)
    with pytest.raises(RequestError, match="so simple") as refused:
        judge.add_picture("ada", np.rint(255 * (1 - ink)).astype(np.uint8).tobytes())
    assert refused.value.code == "bad_request"
    with pytest.raises(RequestError):
        judge.add_picture("ada", bytes(HEIGHT * WIDTH))
    assert judge.users() == []


def test_after_deletion_the_name_is_free(judge: Judge) -> None:
    judge.add_picture("ada", picture(ADA))
    judge.delete_user("ada")
    references = judge.references_of("ada", extend=False)
    assert [judge.add_reference(references, trace) for trace in traces(EVE, 3)] == [None] * 3


def test_references_of_the_pen_replace_pictures(judge: Judge) -> None:
    judge.add_picture("ada", picture(ADA))
    references: References = judge.references_of("ada", extend=False)
    for trace in traces(ADA, 5, seed=2):
        assert judge.add_reference(references, trace) is None
    assert judge.enroll("ada", references) is None
    (ada,) = judge.users()
    assert (ada.references, ada.pictures) == (5, 0)
    with pytest.raises(RequestError) as refused:
        judge.add_picture("ada", picture(ADA))
    assert refused.value.code == "already_enrolled"


def test_there_is_nothing_to_continue_before_the_first_references(judge: Judge) -> None:
    judge.add_picture("ada", picture(ADA))
    with pytest.raises(RequestError) as refused:
        judge.references_of("ada", extend=True)
    assert refused.value.code == "bad_request"


def test_a_match_by_picture_makes_no_reference(judge: Judge) -> None:
    judge.add_picture("ada", picture(ADA))
    trace = traces(ADA, 1, seed=3)[0]
    judge.adapt(verified(judge, "ada", trace), trace)
    assert judge.users()[0].references == 0


def test_whoever_was_deleted_is_known_no_more(judge: Judge) -> None:
    judge.add_picture("ada", picture(ADA))
    judge.delete_user("ada")
    decision = verified(judge, "ada", traces(ADA, 1, seed=3)[0])
    assert (decision.verdict, decision.reason) == (Verdict.ERROR, Reason.NOT_ENROLLED)


def test_pictures_are_counted_among_the_people(judge: Judge) -> None:
    judge.add_picture("ada", picture(ADA))
    assert judge.enrolled_as("ada") == "ada"
    assert judge.counts().users == 1


@pytest.mark.parametrize("raster", [b"", bytes(HEIGHT * WIDTH - 1), b"\xff" * (HEIGHT * WIDTH)])
def test_what_is_no_picture_is_refused(judge: Judge, raster: bytes) -> None:
    with pytest.raises(RequestError) as refused:
        judge.add_picture("ada", raster)
    assert refused.value.code == "bad_request"
    assert judge.users() == []


def test_a_broken_network_is_an_error_and_no_match(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    judge.add_picture("ada", picture(ADA))
    assert judge._gallery
    assert judge._gallery._pair
    monkeypatch.setattr(judge._gallery._pair._model, "_interpreter", None)
    decision = verified(judge, "ada", traces(ADA, 1, seed=3)[0])
    assert decision.verdict is Verdict.ERROR
