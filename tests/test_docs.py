"""The pages name tests and scripts as their proof: each of them exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
NAMED = re.compile(r"`((?:tests|scripts)/[\w./-]+|test_\w+\.py)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_and_script_that_a_page_names_exists(page: Path) -> None:
    folder, missing = Path("tests"), []
    for name in NAMED.findall(page.read_text(encoding="utf-8")):
        # A bare file name lies in the folder of the one before it.
        path = folder / name if name.startswith("test_") else Path(name.rstrip("."))
        if path.suffix == ".py":
            folder = path.parent
        if not (ROOT / path).exists():
            missing.append(str(path))
    assert not missing
