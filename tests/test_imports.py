"""The direction of imports: who in the package may know whom, and that nothing beyond the named libraries is needed."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "daemon" / "penlatch"

LEAVES = {
    *("asker", "bounded", "clock", "config", "decoding", "errors", "foreign", "ink", "messages", "moment", "names"),
    "rounding",
}

MAY_KNOW: dict[str, set[str]] = {
    "asker": set(),
    "bounded": set(),
    "clock": set(),
    "decoding": set(),
    "foreign": set(),
    "errors": {"foreign"},
    "names": set(),
    "messages": {"foreign", "names"},
    "moment": {"messages"},
    "rounding": {"messages"},
    "ink": {"decoding", "errors", "foreign"},
    "config": {"errors", "messages"},
    # from the pen to a probability
    "capture": LEAVES,
    "signal": LEAVES,
    "verify": LEAVES | {"signal"},
    # what knows messages, not pens
    "store": {"names", "clock", "decoding", "errors", "foreign", "messages", "moment", "config"},
    "report": {"asker", "bounded", "decoding", "errors", "foreign", "messages", "moment", "rounding", "config"},
    "control": {"asker", "bounded", "decoding", "errors", "foreign", "messages", "rounding", "config"},
    "bolt": {"bounded", "errors", "messages", "config"},
    # synthetic people and tablets, and the demonstration with them: used by nobody here
    "sim": LEAVES | {"capture"},
    "sim.demo": LEAVES | {"sim", "report", "control", "cli"},
    # the daemon, which wires them
    "service": LEAVES | {"capture", "signal", "verify", "store", "report", "control", "bolt"},
    # on top
    "cli": LEAVES | {"capture", "signal", "verify", "store", "report", "control", "service"},
    "__main__": {"cli"},
    "__init__": set(),
}
"""What each part of the package may import of the others. Every part may import itself and `penlatch.__version__`."""

RUNTIMES = {"tflite_runtime", "ai_edge_litert"}
"""The inference runtime under its two names, which only `verify/runtime.py` may import, by name."""

NOT_AT_RUN_TIME = {"scipy", "tensorflow", "keras", "sklearn", "matplotlib", "PIL", "training", "pytest", "amqtt"}

OPTIONAL = {("cli/scan.py", "PIL"), ("bolt/line.py", "gpiod")}
"""What a file imports only if it is there: an extra of the package."""

IMPORT_NAMES = {
    "tflite-runtime": "tflite_runtime",
    "ai-edge-litert": "ai_edge_litert",
    "pyserial": "serial",
    "paho-mqtt": "paho",
    "sqlite-utils": "sqlite_utils",
}
"""Where a library is imported under another name than it is installed by."""


class Import(NamedTuple):
    """One import of one module."""

    path: Path
    line: int
    module: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.module}"


def imports_of(path: Path) -> list[Import]:
    """Return every import in a file, also those inside functions, for type checkers alone, or of a runtime by name."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and str(node.value).partition(".")[0] in RUNTIMES:
            found.append(Import(path, node.lineno, str(node.value)))
        elif isinstance(node, ast.Import):
            found += [Import(path, node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            assert node.module is not None
            if node.module == "penlatch":
                found += [Import(path, node.lineno, f"penlatch.{alias.name}") for alias in node.names]
            else:
                found.append(Import(path, node.lineno, node.module))
    return found


def part_of(path: Path) -> str:
    """Return the part of the package a file belongs to, as named in `MAY_KNOW`."""
    return part_named(".".join(path.relative_to(PACKAGE).with_suffix("").parts))


def part_named(module: str) -> str:
    """Return the part a module belongs to, by its dotted name below `penlatch`."""
    if module.startswith("sim.demo"):
        return "sim.demo"
    return module.partition(".")[0]


def top(found: Import) -> str:
    """Return the name of the package that is imported."""
    return found.module.partition(".")[0]


def optional(found: Import) -> bool:
    """Tell whether an import is one of `OPTIONAL`."""
    return (found.path.relative_to(PACKAGE).as_posix(), top(found)) in OPTIONAL


IMPORTS = [found for path in sorted(PACKAGE.rglob("*.py")) for found in imports_of(path)]
OWN = [found for found in IMPORTS if top(found) == "penlatch"]
FOREIGN = [
    found for found in IMPORTS if top(found) not in {"penlatch", *sys.stdlib_module_names} and not optional(found)
]
RUNNING = [found for found in IMPORTS if part_of(found.path) not in {"sim", "sim.demo"} and not optional(found)]
"""What the daemon and its command import."""


def test_there_is_something_to_look_at() -> None:
    assert len(OWN) > 50
    assert {top(found) for found in FOREIGN} >= {"numpy", "msgspec", "sqlite_utils"}


@pytest.mark.parametrize("part", sorted({part_of(path) for path in PACKAGE.rglob("*.py")}))
def test_imports_point_one_way(part: str) -> None:
    assert part in MAY_KNOW, "a new part of the package says here whom it may know"
    allowed = MAY_KNOW[part] | {part, "__version__"}
    own = [found for found in OWN if part_of(found.path) == part]
    assert [str(found) for found in own if part_named(found.module.removeprefix("penlatch.")) not in allowed] == []


def test_nothing_needed_for_training_or_tests_is_needed_at_run_time() -> None:
    assert [str(found) for found in RUNNING if top(found) in NOT_AT_RUN_TIME] == []


def test_no_part_that_runs_knows_synthetic_people() -> None:
    assert [str(found) for found in RUNNING if found.module.startswith("penlatch.sim")] == []


def test_every_library_is_a_dependency_and_every_dependency_is_used() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed, demo = (
        {IMPORT_NAMES.get(name, name) for r in requirements if (name := re.split(r"[^\w-]", r)[0])}
        for requirements in (project["dependencies"], project["optional-dependencies"]["demo"])
    )
    assert [str(f) for f in FOREIGN if top(f) not in needed | (demo if part_of(f.path) == "sim.demo" else set())] == []
    assert needed - {top(found) for found in RUNNING} == set(), "a dependency that nothing imports"


def test_modules_are_imported_by_name_where_that_is_meant_to_be() -> None:
    dynamic = re.compile(r"\b(import_module|__import__)\b")
    by_name = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if dynamic.search(path.read_text("utf-8"))}
    assert by_name == {
        Path("verify/runtime.py"),  # the runtime under either name
        Path("cli/__init__.py"),  # a command's module, when that command is called
    }
    assert {found.path.relative_to(PACKAGE) for found in FOREIGN if top(found) in RUNTIMES} == {
        Path("verify/runtime.py")
    }
