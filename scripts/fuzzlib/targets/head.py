"""The head of the audit, which lies beside the database."""

from __future__ import annotations

import msgspec

from fuzzlib.target import FOLDER, Target
from penlatch.errors import StoreError
from penlatch.store import head

TARGET = Target(
    "the head of the audit",
    lambda data: head.read(FOLDER.file("penlatch.db-head", data)),
    lambda: [msgspec.json.encode(head.Kept(number=7, mac="00" * 32, seq=3))],
    (StoreError,),
    words=(b'"number":', b'"seq":', b'"mac":'),
)
