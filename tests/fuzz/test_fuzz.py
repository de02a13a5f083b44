"""Fuzzing: a short run finds nothing in any parser, and a fault that is planted is found, whatever it does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

sys.path.append(str(Path(__file__).parents[2] / "scripts"))

from fuzzlib import __main__ as program
from fuzzlib import targets
from fuzzlib.coverage import Coverage
from fuzzlib.engine import Finding, Inputs
from fuzzlib.mutation import LARGEST
from fuzzlib.tape import Tape
from fuzzlib.target import FOLDER, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
INPUTS: Final = 1000
SLOW_INPUTS: Final = 50
PLANTED: Final = ROOT / "tests" / "support" / "programs" / "planted_fault.py"


@pytest.fixture(scope="module")
def told() -> dict[str, str]:
    """What a short run says, by target."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts"), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "fuzzlib", "--inputs", str(INPUTS), "--slow", str(SLOW_INPUTS)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    parts = re.split(r"^(\w+): (?=[\d,]+ inputs)", done.stdout, flags=re.MULTILINE)
    assert not done.stderr
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.fixture(autouse=True)
def _tidy() -> Iterator[None]:
    yield
    FOLDER.remove()


@pytest.mark.parametrize("name", targets.names())
def test_nothing_but_a_refusal_comes_of_bytes_that_nobody_meant(name: str, told: dict[str, str]) -> None:
    assert "FINDING" not in told[name]
    fed = int(told[name].partition(" ")[0].replace(",", ""))
    target = targets.load(name)
    assert fed == (SLOW_INPUTS if target.slow else INPUTS) + len(target.seeds())


@pytest.mark.parametrize("name", targets.names())
def test_what_a_target_is_meant_to_read_it_takes(name: str) -> None:
    target = targets.load(name)
    assert any(target.run(seed) for seed in target.seeds())


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("crash", "IndexError"),
        ("exit", "ended the process (status 3)"),
        ("hang", "TooLongError: more than 0.2 s"),
        ("hang that catches everything", "TooLongError"),
        ("hang in C", "does not come back to Python"),
        ("memory", "MemoryError"),
        ("segfault", "ended the process (SIGSEGV)"),
    ],
)
def test_a_planted_fault_is_found_with_its_input(kind: str, problem: str) -> None:
    done = subprocess.run([sys.executable, PLANTED, kind], capture_output=True, text=True, check=True)
    fed, data, *found = done.stdout.splitlines()
    assert problem in "\n".join(found)
    assert int(fed) > 1
    assert data.endswith(("!'", '!"'))


GUARDED: Final = """
def feed(data):
    if data[:1] == b"p":
        if data[1:2] == b"e":
            if data[2:3] == b"n":
                raise ZeroDivisionError
"""


@pytest.mark.parametrize("guided", [True, False])
def test_guidance_leads_to_what_chance_does_not_find(
    *, guided: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / f"guarded_{guided}"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "parser.py").write_text(GUARDED, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", sys.meta_path.copy())
    coverage = Coverage()
    if guided:
        coverage.watch(package.name)
    parser = __import__(f"{package.name}.parser").parser
    target = Target("a fault behind three bytes", parser.feed, lambda: [b"seed"])
    found = False
    for data in Inputs(target, 1, coverage).make(30_000):
        try:
            target.run(data)
        except ZeroDivisionError:
            found = True
            assert data.startswith(b"pen")
            break
    assert found is guided
    assert coverage.reached == (7 if guided else 0)  # the function, and of each condition both ways


def test_probes_change_nothing_that_a_program_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "probed_package").mkdir()
    (tmp_path / "probed_package" / "__init__.py").write_text(
        '''"""Head."""
from __future__ import annotations
def count(things: list[int]) -> dict[str, int]:
    """Doc."""
    found = {"even": 0, "odd": 0, "none": 0}
    for thing in things:
        if thing % 2:
            found["odd"] += 1
        elif thing:
            found["even"] += 1
    else:
        found["none"] = 1
    try:
        match things:
            case []:
                raise ValueError
            case _:
                pass
    except ValueError:
        found["none"] = 2
    return found
''',
        encoding="utf-8",
    )
    (tmp_path / "probed_package" / "inner.py").write_text(
        (tmp_path / "probed_package" / "__init__.py").read_text(encoding="utf-8"), encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", sys.meta_path.copy())
    coverage = Coverage()
    coverage.watch("probed_package")
    plain = __import__("probed_package")
    probed = __import__("probed_package.inner").inner
    for things in ([], [0], [1, 2, 4]):
        assert probed.count(things) == plain.count(things)
    assert probed.count.__doc__ == plain.count.__doc__
    assert probed.count.__code__.co_firstlineno == plain.count.__code__.co_firstlineno
    assert coverage.reached == len(coverage.seen) > 0


def test_the_same_seed_makes_the_same_inputs() -> None:
    target = Target("anything", len, lambda: [b"one", b"two" * 100])
    first, second, other = (list(Inputs(target, seed, Coverage()).make(2000)) for seed in (3, 3, 4))
    assert first == second != other
    assert first[:2] == target.seeds()
    assert len(set(first)) > 1500
    assert max(map(len, first)) <= LARGEST


def test_the_tape_keeps_the_last_input() -> None:
    tape = Tape()
    assert tape.read() == (0, b"")
    for data in (b"long" * 1000, b"", b"last", bytes(LARGEST), b"last"):
        tape.write(data)
    assert tape.read() == (5, b"last")


def test_what_was_found_can_be_fed_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planted = Target("a fault", lambda data: data[3], lambda: [b"seed"], (TypeError,))
    monkeypatch.setattr(targets, "load", lambda _: planted)
    monkeypatch.setattr(program, "bound_memory", lambda: None)  # it would hold for the tests that follow
    monkeypatch.setattr(program, "FINDINGS", tmp_path)
    path = program.keep("planted", Finding(b"ab", "a fault"))
    assert path.parent == tmp_path
    assert program.replay("planted", path) == 1
    assert "IndexError" in capsys.readouterr().err
    path.write_bytes(b"abcd")
    assert program.replay("planted", path) == 0
    assert capsys.readouterr().out == "taken\n"
