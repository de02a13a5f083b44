"""The shipped models: nothing that is missing, altered or of another kind is ever used."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from penlatch.errors import ModelError
from penlatch.verify.artefacts import CALIBRATION, MANIFEST, NETWORK, Artefacts, default_directory
from penlatch.verify.verifier import Verifier

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A copy of the shipped models that may be harmed."""
    for name in (MANIFEST, *Artefacts.load().files):
        shutil.copy(default_directory() / name, tmp_path)
    return tmp_path


def edit(models: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = models / MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")


def test_the_shipped_models_are_whole() -> None:
    artefacts = Artefacts.load()
    assert {NETWORK, CALIBRATION} <= artefacts.files.keys()
    assert artefacts.digest == hashlib.sha256((default_directory() / MANIFEST).read_bytes()).hexdigest()


def test_the_digest_changes_with_any_file(models: Path) -> None:
    before = Artefacts.load(models).digest
    content = (models / CALIBRATION).read_bytes() + b"\n"
    (models / CALIBRATION).write_bytes(content)
    edit(models, lambda m: m["sha256"].update({CALIBRATION: hashlib.sha256(content).hexdigest()}))
    assert Artefacts.load(models).digest != before


@pytest.mark.parametrize("name", [NETWORK, CALIBRATION])
def test_one_altered_bit_is_refused(models: Path, name: str) -> None:
    content = bytearray((models / name).read_bytes())
    content[len(content) // 2] ^= 1
    (models / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"{name}: it was altered"):
        Verifier.load(models)


@pytest.mark.parametrize("name", [NETWORK, CALIBRATION, MANIFEST])
def test_a_missing_file_is_refused(models: Path, name: str) -> None:
    (models / name).unlink()
    with pytest.raises(ModelError, match=f"{name}: No such file"):
        Verifier.load(models)


def test_a_damaged_manifest_is_refused(models: Path) -> None:
    (models / MANIFEST).write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match="damaged"):
        Artefacts.load(models)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda m: m.update(format=2), "format 2"),
        (lambda m: m.update(unknown=1), "damaged"),
        (lambda m: m["sha256"].pop(CALIBRATION), "does not name"),
        (lambda m: m["sha256"].update({"../secret": "0"}), "not a file of its folder"),
        (lambda m: m["sha256"].update({"/etc/passwd": "0"}), "not a file of its folder"),
        (lambda m: m["sha256"].update({"..": "0"}), r"not a file of its folder|directory"),
        (lambda m: m["sha256"].update({"": "0"}), "not a file of its folder"),
        (lambda m: m["sha256"].update({"a\0b": "0"}), "not a file of its folder"),
        (lambda m: m["sequence"].update(channels=["x", "smell"]), "unknown inputs: smell"),
        (lambda m: m["features"].update(features=["log_weight"]), "unknown inputs: log_weight"),
        (lambda m: m["sequence"].update(length=128), "could be the float32 sequence"),
        (lambda m: m.update(outputs={"other": [64]}), "outputs must be embedding and frames"),
        (lambda m: m["outputs"].pop("frames"), "outputs must be embedding and frames"),
        (lambda m: m["outputs"].update(frames=[64, 31]), "could be the float32 output"),
        (lambda m: m.update(golden=[[1.0] + 63 * [0.0]]), "golden input 0 gives another embedding"),
        (lambda m: m.update(golden=[]), "no golden"),
    ],
)
def test_a_manifest_that_describes_something_else_is_refused(
    models: Path, change: Callable[[dict[str, Any]], object], problem: str
) -> None:
    edit(models, change)
    with pytest.raises(ModelError, match=problem):
        Verifier.load(models)


def test_models_inside_the_installed_package_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "penlatch"
    (package / "verify").mkdir(parents=True)
    monkeypatch.setattr("penlatch.verify.artefacts.__file__", str(package / "verify" / "artefacts.py"))
    assert default_directory() == tmp_path / "models"
    (package / "models").mkdir()
    assert default_directory() == package / "models"
