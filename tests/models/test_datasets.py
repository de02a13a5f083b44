"""The loaders, on tiny archives made here in the layout of each database; nothing in them is by a person."""

from __future__ import annotations

import hashlib
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from training.datasets import DataMissingError, DatasetError, by_user, data_folder, load, read
from training.splits import fold_of

if TYPE_CHECKING:
    from pathlib import Path

POINTS = 40


def svc2004(*, pressure: bool) -> str:
    rows = [f"{100 + i} {200 + 2 * i} {1000 + 10 * i} 1" + (" 1550 710 512" if pressure else "") for i in range(POINTS)]
    return "\r\n".join([str(POINTS), *rows]) + "\r\n"


def susig(*, points: int = POINTS, back: bool = False) -> str:
    t = [10 * i for i in range(points)]
    if back:
        t[5] = 0
    rows = [f"{i} {2 * i} {t[i]} 51 {int(i == points - 1)}" for i in range(points)]
    return "\n".join(["X, Y, TStamp, Pres., EndPts", f"DataSize: {points}", *rows]) + "\n"


def sigcomp(*, points: int = POINTS) -> str:
    pressure = [-4, 0] + [511] * (points - 4) + [0, -4]
    rows = [f"\t {10 * i}  {20 * i}   {p}  1410   490" for i, p in enumerate(pressure)]
    return "\n".join([f"NLDCC-001_001_001 {points}", *rows]) + "\n"


def archive(folder: Path, name: str, files: dict[str, str]) -> None:
    with zipfile.ZipFile(folder / f"{name}.zip", "w") as packed:
        for path, text in files.items():
            packed.writestr(path, text)


def test_svc2004_knows_genuine_and_skilled_by_number(tmp_path: Path) -> None:
    numbers = (1, 10, 11, 20, 21, 40)
    archive(tmp_path, "svc2004-task2", {f"Task2/U7S{n}.TXT": svc2004(pressure=True) for n in numbers})
    records = load("svc2004-task2", tmp_path)
    assert [(r.user, r.kind, r.session, r.index) for r in records] == [
        ("U07", "genuine", 1, 1),
        ("U07", "genuine", 1, 10),
        ("U07", "genuine", 2, 11),
        ("U07", "genuine", 2, 20),
        ("U07", "skilled", 0, 21),
        ("U07", "skilled", 0, 40),
    ]
    trace = records[0].trace
    assert np.diff(trace.t) == pytest.approx(0.01)
    assert (np.diff(trace.y) < 0).all(), "y grows upwards in SVC2004, downwards in a trace"
    assert trace.p == pytest.approx(512 / 1023)


def test_svc2004_task1_has_no_pressure(tmp_path: Path) -> None:
    archive(tmp_path, "svc2004-task1", {"Task1/U1S1.TXT": svc2004(pressure=False)})
    (record,) = load("svc2004-task1", tmp_path)
    assert record.trace.p == pytest.approx(1.0)
    assert not record.trace.pen.has_pressure


def test_susig_is_two_databases_with_their_own_pressure(tmp_path: Path) -> None:
    archive(
        tmp_path,
        "susig",
        {
            "VisualSubCorpus/GENUINE/SESSION1/016_1_2.sig": susig(),
            "VisualSubCorpus/GENUINE/SESSION2/016_2_1.sig": susig(back=True),
            "VisualSubCorpus/FORGERY/016_f_1.sig": susig(),
            "BlindSubCorpus/GENUINE/016_g_3.sig": susig(),
            "BlindSubCorpus/FORGERY/016_f_4.sig": susig(),
            "BlindSubCorpus/GENUINE/017_g_1.sig": susig(points=10),
            "readme.txt": "",
        },
    )
    visual, blind = load("susig-visual", tmp_path), load("susig-blind", tmp_path)
    assert [(r.user, r.kind, r.session, r.index) for r in visual] == [
        ("016", "genuine", 1, 2),
        ("016", "genuine", 2, 1),
        ("016", "skilled", 0, 1),
    ]
    assert [(r.user, r.kind, r.index) for r in blind] == [("016", "genuine", 3), ("016", "skilled", 4)]
    assert visual[0].trace.p == pytest.approx(51 / 255)
    assert blind[0].trace.p == pytest.approx(51 / 1023)
    assert (np.diff(visual[0].trace.y) > 0).all(), "y grows downwards in SUSIG"
    assert (np.diff(visual[1].trace.t) >= 0).all(), "a clock that runs backwards is held"


def test_sigcomp2009_names_say_who_wrote_what(tmp_path: Path) -> None:
    archive(
        tmp_path,
        "sigcomp2009",
        {
            "SigComp2009/Training/training/NISDCC-004_004_005.hwr": sigcomp(),
            "SigComp2009/Training/training/NISDCC-047_004_005.hwr": sigcomp(),
            "SigComp2009/Training/training/NISDCC-048_004_005.hwr": sigcomp(),
            "SigComp2009/NFI_/genuines/NFI-00612006.hwr": sigcomp(),
            "SigComp2009/NFI_/forgeries/NFI-03303006.hwr": sigcomp(),
            "SigComp2009/NFI_/genuines/NFI-00713007.hwr": sigcomp(points=20),
        },
    )
    training, nfi = load("sigcomp2009-training", tmp_path), load("sigcomp2009-nfi", tmp_path)
    assert [(r.user, r.kind, r.index) for r in training] == [
        ("004", "genuine", 5),
        ("004", "skilled", 47005),
        ("004", "skilled", 48005),
    ]
    assert [(r.user, r.kind, r.index) for r in nfi] == [("006", "genuine", 12), ("006", "skilled", 33003)]
    trace = training[0].trace
    assert len(trace) == POINTS - 4, "it begins and ends in contact"
    assert trace.down.all()
    assert np.diff(trace.t) == pytest.approx(0.005)
    assert (np.diff(trace.y) < 0).all(), "y grows upwards in SigComp"


def test_sigcomp2011_dutch(tmp_path: Path) -> None:
    archive(tmp_path, "sigcomp2011-dutch", {"001/001_13.hwr": sigcomp(), "001/001_196_04.hwr": sigcomp()})
    records = load("sigcomp2011-dutch", tmp_path)
    assert [(r.user, r.kind, r.index) for r in records] == [("001", "genuine", 13), ("001", "skilled", 196004)]


def test_an_unpacked_folder_is_as_good_as_an_archive(tmp_path: Path) -> None:
    folder = tmp_path / "svc2004-task2" / "Task2"
    folder.mkdir(parents=True)
    (folder / "U1S1.TXT").write_text(svc2004(pressure=True), encoding="latin-1")
    assert [r.user for r in load("svc2004-task2", tmp_path)] == ["U01"]


def test_a_missing_database_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match=r"svc2004-task2\.zip.*PENLATCH_DATA"):
        load("svc2004-task2", tmp_path)


def test_the_environment_says_where_the_data_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENLATCH_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    monkeypatch.delenv("PENLATCH_DATA")
    assert data_folder().parts[-2:] == ("shared", "data")


def test_grouping_by_user_keeps_the_order(tmp_path: Path) -> None:
    files = {f"Task2/U{u}S{n}.TXT": svc2004(pressure=True) for u in (2, 1) for n in (21, 2, 1)}
    archive(tmp_path, "svc2004-task2", files)
    records = load("svc2004-task2", tmp_path)
    grouped = by_user(records)
    assert list(grouped) == ["U01", "U02"]
    assert grouped["U01"]["genuine"] == [records[0].trace, records[1].trace]
    assert grouped["U01"]["skilled"] == [records[2].trace]


def test_an_archive_a_folder_and_what_holds_either_are_the_same_database(tmp_path: Path) -> None:
    archive(tmp_path, "svc2004-task2", {f"Task2/U1S{n}.TXT": svc2004(pressure=True) for n in (1, 2)})
    with zipfile.ZipFile(tmp_path / "svc2004-task2.zip") as packed:
        packed.extractall(tmp_path / "elsewhere")
    places = (tmp_path, tmp_path / "svc2004-task2.zip", tmp_path / "elsewhere", tmp_path / "elsewhere" / "Task2")
    found = [read("svc2004-task2", place) for place in places]
    assert [[r.index for r in loaded.records] for loaded in found] == [[1, 2]] * 4
    assert found[0].sha256 == found[1].sha256 == hashlib.sha256((places[1]).read_bytes()).hexdigest()
    assert found[2].sha256 not in {found[0].sha256, found[3].sha256}, "paths are part of an unpacked database"


def test_the_digest_of_a_folder_is_that_of_its_contents(tmp_path: Path) -> None:
    for name, last in (("a", "1"), ("b", "1"), ("c", "2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "U1S1.TXT").write_text(svc2004(pressure=True), encoding="latin-1")
        text = svc2004(pressure=True).replace("512", f"51{last}")
        (tmp_path / name / "U1S2.TXT").write_text(text, encoding="latin-1")
        (tmp_path / name / "readme.md").write_text(name, encoding="utf-8")
    a, b, c = (read("svc2004-task2", tmp_path / name).sha256 for name in "abc")
    assert a == b != c


def test_what_is_not_the_database_is_refused(tmp_path: Path) -> None:
    archive(tmp_path, "svc2004-task2", {"readme.txt": ""})
    with pytest.raises(DatasetError, match=r"holds no file like U1S1\.TXT"):
        load("svc2004-task2", tmp_path)
    (tmp_path / "notes.txt").write_text("", encoding="utf-8")
    with pytest.raises(DatasetError, match="no zip archive"):
        load("svc2004-task2", tmp_path / "notes.txt")
    archive(tmp_path, "svc2004-task1", {"Task1/U1S1.TXT": svc2004(pressure=True)})
    with pytest.raises(DatasetError, match="other task"):
        load("svc2004-task1", tmp_path)


def test_two_databases_in_one_folder_are_not_mixed(tmp_path: Path) -> None:
    for task in ("Task1", "Task2"):
        (tmp_path / task).mkdir()
        (tmp_path / task / "U1S1.TXT").write_text(svc2004(pressure=True), encoding="latin-1")
    with pytest.raises(DatasetError, match="twice"):
        load("svc2004-task2", tmp_path)


def test_sigcomp2009_is_both_parts_whose_people_keep_apart(tmp_path: Path) -> None:
    archive(
        tmp_path,
        "sigcomp2009",
        {
            "SigComp2009/Training/training/NISDCC-004_004_005.hwr": sigcomp(),
            "SigComp2009/NFI_/genuines/NFI-00401004.hwr": sigcomp(),
            "SigComp2009/NFI_/forgeries/NFI-00501004.hwr": sigcomp(points=20),
        },
    )
    loaded = read("sigcomp2009", tmp_path)
    assert [r.user for r in loaded.records] == ["nfi-004", "nisdcc-004"]
    assert [(found.user, found.kind) for found in loaded.unusable] == [("nfi-004", "skilled")]
    assert loaded.sha256 == read("sigcomp2009-nfi", tmp_path).sha256


def test_whoever_is_in_several_parts_of_a_database_is_in_one_fold(tmp_path: Path) -> None:
    users = ("006", "007", "012")
    files = {f"VisualSubCorpus/GENUINE/{user}_1_1.sig": susig() for user in users}
    files |= {f"BlindSubCorpus/GENUINE/{user}_g_1.sig": susig() for user in users}
    archive(tmp_path, "susig", files)
    archive(tmp_path, "svc2004-task1", {"U7S1.TXT": svc2004(pressure=False)})
    archive(tmp_path, "svc2004-task2", {"U7S1.TXT": svc2004(pressure=True)})
    parts = [[fold_of(r.user) for r in load(d, tmp_path)] for d in ("susig-visual", "susig-blind")]
    assert parts == [[2, 3, 0]] * 2
    assert [fold_of(r.user) for d in ("svc2004-task1", "svc2004-task2") for r in load(d, tmp_path)] == [3, 3]


def test_a_user_without_a_number_belongs_to_no_fold() -> None:
    with pytest.raises(ValueError, match="ada"):
        fold_of("ada")
