"""The head of the image pair network, as shipped."""

from __future__ import annotations

from pathlib import Path

from fuzzlib.target import Target
from penlatch.errors import ModelError
from penlatch.verify.artefacts import default_directory
from penlatch.verify.pair import read_head

_NAME = "pair.json"

TARGET = Target(
    "the head of the image pair network",
    lambda data: read_head(data, path=Path(_NAME)),
    lambda: [(default_directory() / _NAME).read_bytes()],
    (ModelError,),
    slow=True,
)
