"""`penlatch replay`: recorded signatures are judged as the terminal would judge them, without a daemon."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner, Result

from penlatch.capture.replay.inkml import write_inkml
from penlatch.capture.replay.svc2004 import read_svc2004
from penlatch.cli import main
from penlatch.sim.writer import Writer
from penlatch.verify.verifier import Verifier
from support.svc2004 import as_svc2004

if TYPE_CHECKING:
    from pathlib import Path

    from penlatch.ink import Trace


DESCRIPTION = """\
N: a tablet
I: 0003 056a 0001 0100
P: 01
B: 00 0b
B: 01 00 00 00 00 00 00 00 00
B: 01 00 00 00 00 00 00 00 00
B: 01 00 00 00 00 00 00 00 00
B: 01 00 00 00 00 00 00 00 00
B: 01 00 00 00 00 00 00 00 00
B: 01 01 04
B: 03 03 00 00 01
A: 00 0 20000 0 0 100
A: 01 0 20000 0 0 100
A: 18 0 1023 0 0 0
"""
"""What evemu says of a pen tablet of 100 units per mm."""


def as_evemu(traces: list[Trace], *, pause_s: float = 3.0) -> str:
    """Write what a tablet sends while these are written one after another."""
    lines, start = [], 1000.0
    for trace in traces:
        left, top = trace.x.min(), trace.y.min()
        for i in range(len(trace)):
            values = {
                "0001 0140": 1,
                "0001 014a": int(trace.down[i]),
                "0003 0000": round(100 * (trace.x[i] - left)),
                "0003 0001": round(100 * (trace.y[i] - top)),
                "0003 0018": round(1023 * trace.p[i]),
                "0000 0000": 0,
            }
            lines += [f"E: {start + trace.t[i]:.6f} {code} {value}" for code, value in values.items()]
        start += trace.duration
        lines += [f"E: {start + 0.01:.6f} {code} 0" for code in ("0001 014a", "0003 0018", "0001 0140", "0000 0000")]
        start += pause_s
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with five references and two more signatures of one writer, and one of somebody else."""
    folder = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(5)
    writer, stranger = Writer(1), Writer(2)
    for number in range(1, 8):
        name = f"r{number}.txt" if number <= 5 else f"genuine{number - 5}.txt"
        (folder / name).write_text(as_svc2004(writer.genuine(rng)))
    (folder / "stranger.txt").write_text(as_svc2004(stranger.genuine(rng)))
    return folder


def replay(folder: Path, *names: str | Path, references: int = 5, more: tuple[str, ...] = ()) -> Result:
    given = [argument for number in range(1, references + 1) for argument in ("--reference", f"{folder}/r{number}.txt")]
    return CliRunner().invoke(main, ["replay", *(str(folder / name) for name in names), *given, *more])


def test_genuine_signatures_match_and_the_status_is_0(folder: Path) -> None:
    result = replay(folder, "genuine1.txt", "genuine2.txt")
    assert result.exit_code == 0, result.output
    assert [line.split(": ")[1].split(",")[0] for line in result.stdout.splitlines()] == ["match", "match"]


def test_one_signature_of_somebody_else_makes_it_1(folder: Path) -> None:
    result = replay(folder, "genuine1.txt", "stranger.txt")
    assert result.exit_code == 1, result.output
    assert "stranger.txt: no match, probability 0.0" in result.stdout


def test_what_is_told_is_what_the_verifier_says(folder: Path) -> None:
    (told,) = map(json.loads, replay(folder, "stranger.txt", more=("--json",)).stdout.splitlines())
    verifier = Verifier.load()
    template = verifier.template([verifier.analyse(read_svc2004(folder / f"r{n}.txt")) for n in range(1, 6)])
    judgement = verifier.verify(template, verifier.analyse(read_svc2004(folder / "stranger.txt")))
    assert told["probability"] == pytest.approx(judgement.probability, abs=1e-6)
    assert told["distances"] == pytest.approx(dict(judgement.distances), rel=1e-6)
    assert told["reason"] == judgement.reason
    assert told["verdict"] == "no_match"


def test_the_threshold_is_that_of_the_configuration(folder: Path, tmp_path: Path) -> None:
    config = tmp_path / "penlatch.toml"
    config.write_text("[verify]\nthreshold = 1.0\n")
    result = replay(folder, "genuine1.txt", more=("--config", str(config), "--json"))
    told = json.loads(result.stdout)
    assert told["threshold"] == 1.0
    assert (told["verdict"], result.exit_code) == ("no_match", 1)


def test_one_reference_is_enough(folder: Path) -> None:
    result = replay(folder, "stranger.txt", references=1)
    assert result.exit_code == 1, result.output


def test_too_many_references_are_wrong_usage(folder: Path) -> None:
    result = replay(folder, "genuine1.txt", more=("--reference", str(folder / "r1.txt")) * 8)
    assert result.exit_code == 2
    assert "1 to 12" in result.stderr


def test_a_reference_unlike_the_others_is_named(folder: Path) -> None:
    more = ("--reference", str(folder / "stranger.txt"))
    result = replay(folder, "genuine1.txt", more=more)
    assert "stranger.txt: it is unlike the signatures before it" in result.stderr


def test_a_damaged_file_is_one_sentence_and_status_3(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "damaged.txt").write_text("2\n1 2 3\n")
    result = replay(folder, tmp_path / "damaged.txt")
    assert result.exit_code == 3
    assert "damaged.txt" in result.stderr
    assert "Traceback" not in result.output


def test_a_file_of_an_unknown_kind_says_which_are_known(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "signature.doc").write_text("")
    result = replay(folder, tmp_path / "signature.doc")
    assert result.exit_code == 3
    assert ".inkml" in result.stderr


def test_inkml_is_judged_likewise(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "query.inkml").write_text(write_inkml(Writer(1).genuine(np.random.default_rng(9))))
    result = replay(folder, tmp_path / "query.inkml")
    assert result.exit_code == 0, result.output


def test_every_signature_of_a_recorded_device_is_judged_and_a_scribble_is_none(folder: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    writer, stranger = Writer(1), Writer(2)
    (tmp_path / "pen.events").write_text(as_evemu([writer.genuine(rng), stranger.genuine(rng), writer.scribble(rng)]))
    (tmp_path / "pen.desc").write_text(DESCRIPTION)
    result = replay(folder, tmp_path / "pen.events", more=("--json",))
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(found["signature"], found["verdict"]) for found in told] == [(1, "match"), (2, "no_match"), (3, "retry")]
    assert told[2]["probability"] is None
    assert result.exit_code == 3
    text = replay(folder, tmp_path / "pen.events").stdout
    assert "pen.events, signature 3: cannot be used: " in text


def test_a_recorded_device_has_the_pressure_curve_of_the_configuration(folder: Path, tmp_path: Path) -> None:
    genuine = Writer(1).genuine(np.random.default_rng(9))
    (tmp_path / "pen.events").write_text(as_evemu([genuine]))
    (tmp_path / "pen.desc").write_text(DESCRIPTION)
    config = tmp_path / "penlatch.toml"
    config.write_text("[pen]\npressure_curve = [0.0, 0.9, 0.1, 1.0]\n")
    more = ("--config", str(config), "--json")
    bent, plain = (
        json.loads(replay(folder, tmp_path / "pen.events", more=options).stdout)["probability"]
        for options in (more, ("--json",))
    )
    assert bent < plain


def test_no_coordinate_is_ever_shown(folder: Path) -> None:
    first = (folder / "genuine1.txt").read_text().splitlines()[1].split()
    shown = replay(folder, "genuine1.txt", "stranger.txt").output
    assert not any(len(value) > 3 and value in shown for value in first[:3])
