"""The locks: every package is named with its version and its hashes, for each Python that is promised."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "scripts" / "requirements"
PYTHONS = ("3.11", "3.12", "3.13")
PURPOSES = {
    "runtime": (),
    "extras": ("image", "gpio"),
    "demo": ("demo",),
    "test": ("dev", "demo"),
    "evaluate": ("dev", "demo", "evaluate"),
    "train": ("train", "dev"),
}
"""Purpose to the extras of pyproject.toml that it installs."""
ENTRY = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+) \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", re.MULTILINE
)


def locked(purpose: str, python: str) -> dict[str, str]:
    """Return name to version of a lock, every entry of which has hashes."""
    text = (LOCKS / f"{purpose}-{python}.txt").read_text()
    entries: dict[str, str] = {canonicalize_name(match["name"]): match["version"] for match in ENTRY.finditer(text)}
    rest = [line for line in ENTRY.sub("", text).splitlines() if line and not line.startswith("#")]
    assert not rest, "an entry has no hash, or a line is no entry"
    return entries


def pythons_of(purpose: str) -> tuple[str, ...]:
    """Return the Pythons that a purpose is for: TensorFlow 2.15 ends with 3.11."""
    return PYTHONS[:1] if purpose == "train" else PYTHONS


@pytest.mark.parametrize(
    ("purpose", "python"), [(purpose, python) for purpose in PURPOSES for python in pythons_of(purpose)]
)
def test_a_lock_holds_all_that_the_project_asks_for(purpose: str, python: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for extra in PURPOSES[purpose]:
        wanted += project["optional-dependencies"][extra]
    entries = locked(purpose, python)
    for requirement in map(Requirement, wanted):
        if requirement.marker is None or requirement.marker.evaluate({"python_version": python}):
            version = entries.get(canonicalize_name(requirement.name))
            assert version is not None, f"{requirement.name} is missing: run scripts/lock --keep"
            assert requirement.specifier.contains(version, prereleases=True), f"{requirement}, locked is {version}"


@pytest.mark.parametrize("python", PYTHONS)
def test_build_backends_are_locked_too(python: str) -> None:
    assert {"hatchling", "editables", "setuptools", "wheel"} <= locked("build", python).keys()
    assert {"ai-edge-litert", "numpy", "msgspec"} <= locked("litert", python).keys()


@pytest.mark.parametrize("python", PYTHONS)
def test_what_is_tested_is_what_is_installed(python: str) -> None:
    tested = locked("test", python)
    for purpose in ("runtime", "extras", "demo", "evaluate"):
        differing = {name for name, version in locked(purpose, python).items() if tested.get(name, version) != version}
        assert not differing, f"{purpose} and test differ: run scripts/lock"


def test_scripts_install_purposes_that_are_locked() -> None:
    called = set()
    for script in (ROOT / "scripts").iterdir():
        if script.is_file():
            pattern = r"^ *make_venv .* ([a-z]+)$|install_locked \S+ ([a-z]+)"
            called |= set(re.findall(pattern, script.read_text(), re.MULTILINE))
    purposes = {purpose for pair in called for purpose in pair if purpose}
    assert purposes >= {"demo", "test", "runtime"}
    for purpose in purposes:
        assert list(LOCKS.glob(f"{purpose}-*.txt"))


def test_no_lock_names_an_index() -> None:
    for file in LOCKS.iterdir():
        assert not re.search(r"--(extra-)?index-url|--find-links|simple/", file.read_text())


def test_the_bill_of_materials_lists_what_a_terminal_runs() -> None:
    bill = json.loads((LOCKS / "sbom.cdx.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "penlatch"
    listed = {canonicalize_name(component["name"]): component["version"] for component in bill["components"]}
    assert listed == locked("runtime", "3.13")
    for component in bill["components"]:
        assert component["purl"] == f"pkg:pypi/{canonicalize_name(component['name'])}@{component['version']}"
        assert component["externalReferences"][0]["hashes"]
