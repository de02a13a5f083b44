"""Model folders: what is written is what a terminal loads, and says of itself what it is; needs JAX."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("jax", reason="JAX is not installed: scripts/train makes .venv-train, which has it")

from penlatch.verify import pair
from penlatch.verify.artefacts import CALIBRATION, MANIFEST, NETWORK, Artefacts, default_directory
from penlatch.verify.bilstm_se import BilstmSe
from penlatch.verify.calibrate import Calibration
from penlatch.verify.verifier import Verifier
from training import folder
from training.evidence import scorer
from training.golden import golden_numbers
from training.plan import FOLDERS, SHIPPED, Left

if TYPE_CHECKING:
    from pathlib import Path

PEOPLE = {"susig-visual": 40}
METRICS = {"svc2004-task2, first 5": {"penlatch": {"eer_skilled": 2.0}}}


@pytest.fixture(scope="module")
def shipped() -> Artefacts:
    return Artefacts.load()


@pytest.fixture(scope="module")
def calibration(shipped: Artefacts) -> Calibration:
    return Calibration.from_bytes(shipped.files[CALIBRATION], path=CALIBRATION)


@pytest.fixture
def written(tmp_path: Path, shipped: Artefacts, calibration: Calibration) -> Path:
    path = tmp_path / "folds" / "fold-2"
    network = shipped.files[NETWORK]
    described = folder.manifest(network, FOLDERS["fold-2"], "a test on paper")
    folder.write(path, network, described, calibration, people=PEOPLE, metrics=METRICS)
    return path


def test_a_terminal_loads_it(written: Path, calibration: Calibration) -> None:
    assert Verifier.load(written).scorers == calibration.scorers
    files = Artefacts.load(written).files
    assert Calibration.from_bytes(files[CALIBRATION], path=CALIBRATION) == calibration


def test_the_manifest_says_what_the_files_are(written: Path) -> None:
    found = Artefacts.load(written).manifest
    assert found.sha256 == {
        name: hashlib.sha256((written / name).read_bytes()).hexdigest() for name in (NETWORK, CALIBRATION)
    }
    assert sorted(path.name for path in written.iterdir()) == sorted([NETWORK, CALIBRATION, MANIFEST])


def test_the_manifest_says_who_was_left_out_who_taught_it_and_what_was_measured(written: Path) -> None:
    found = Artefacts.load(written).manifest
    assert found.training_data == {"left_out": {"folds": [2], "databases": None}, "people": PEOPLE}
    assert found.metrics == METRICS
    assert found.versions["network"] == "a test on paper"
    assert found.command == folder.COMMAND


def test_the_image_pair_network_is_named_where_it_lies_in_the_folder(
    written: Path, shipped: Artefacts, calibration: Calibration
) -> None:
    for name in (pair.NETWORK, pair.HEAD):
        shutil.copy(default_directory() / name, written)
    network = shipped.files[NETWORK]
    described = folder.manifest(network, FOLDERS["fold-2"], "a test on paper")
    folder.write(written, network, described, calibration, people=PEOPLE, metrics=METRICS)
    assert Artefacts.load(written).files.keys() == {NETWORK, CALIBRATION, pair.NETWORK, pair.HEAD}


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (FOLDERS[SHIPPED], {"folds": [], "databases": None}),
        (FOLDERS["without-susig"], {"folds": [], "databases": "susig"}),
        (Left(frozenset({3, 1}), "svc2004"), {"folds": [1, 3], "databases": "svc2004"}),
    ],
)
def test_a_network_in_no_folder_yet_can_be_loaded_and_says_whom_it_has_not_met(
    shipped: Artefacts, left: Left, said: dict[str, Any]
) -> None:
    described = folder.manifest(shipped.files[NETWORK], left, "a test")
    assert described.training_data["left_out"] == said
    scorer(described, shipped.files[NETWORK]).check()


def test_golden_numbers_are_those_of_the_network(tmp_path: Path, shipped: Artefacts) -> None:
    network = shipped.files[NETWORK]
    converted = folder.embeddings(network)
    original = [embedding + 0.01 for embedding in converted]
    folder.write_golden(tmp_path, original, network, BilstmSe(shipped))
    kept = json.loads((tmp_path / folder.GOLDEN_FILE).read_text(encoding="utf-8"))
    assert kept["traces"] == golden_numbers(BilstmSe(shipped))
    assert [vector["input"] for vector in kept["vectors"]] == list(range(len(converted)))
    for vector, before, after in zip(kept["vectors"], original, converted, strict=True):
        for name, embedding in (("original", before), ("converted", after)):
            np.testing.assert_allclose(vector[name], embedding / np.linalg.norm(embedding), atol=1e-6)
