"""Provenance: figures name the bytes, the command and the versions that made them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

from training.seeds import provenance

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_an_archive_is_named_by_its_digest_once(tmp_path: Path) -> None:
    (tmp_path / "susig.zip").write_bytes(b"archive")
    found = provenance.digests(["susig-visual", "susig-blind"], tmp_path)
    assert found == {"susig": hashlib.sha256(b"archive").hexdigest()}
    assert provenance.digests(["susig-visual"], tmp_path / "susig.zip") == found


def test_an_unpacked_folder_has_a_digest_too(tmp_path: Path) -> None:
    folder = tmp_path / "susig"
    folder.mkdir()
    (folder / "a").write_bytes(b"1")
    before = provenance.digests(["susig-blind"], tmp_path)
    assert provenance.digests(["susig-blind"], folder) == before
    (folder / "a").write_bytes(b"2")
    assert provenance.digests(["susig-blind"], tmp_path) != before


def test_figures_are_written_with_where_they_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "RESULTS", tmp_path / "results")
    path = provenance.write("seed-x", "scripts/reproduce x", {"eer": 1.5}, data={"susig": "ab"}, packages=["numpy"])
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["command"] == "scripts/reproduce x"
    assert found["data"] == {"susig": "ab"}
    assert found["versions"]["numpy"] == np.__version__
    assert found["eer"] == 1.5
