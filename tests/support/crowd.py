"""Crowds: synthetic people as a database would have them, with skilled forgeries by each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from penlatch.sim.writer import Writer
from support.svc2004 import as_svc2004
from training.records import Loaded, Record

if TYPE_CHECKING:
    from pathlib import Path

    from training.records import Database


def crowd(
    people: int, *, genuine: int, skilled: int, sittings: int = 1, database: Database = "svc2004-task2"
) -> Loaded:
    """Let people sign `genuine` times in all, in as many sittings, and be forged `skilled` times each."""
    writers = [Writer(seed) for seed in range(people)]
    records = []
    for number, writer in enumerate(writers):
        rng = np.random.default_rng(number)
        user = f"U{number + 1:02d}"
        for index in range(1, genuine + 1):
            session = 1 + (index - 1) * sittings // genuine
            trace = writer.genuine(rng)
            records.append(
                Record(database=database, user=user, kind="genuine", session=session, index=index, trace=trace)
            )
        for index in range(genuine + 1, genuine + skilled + 1):
            trace = writer.forgery(rng, writers[(number + 1) % people])
            records.append(Record(database=database, user=user, kind="skilled", session=0, index=index, trace=trace))
    return Loaded.of(records, [], sha256="0" * 64)


def write_index(folder: Path, loaded: Loaded) -> Path:
    """Write a database as an index, with a file for each signature, and return the table."""
    rows = ["user,kind,session,path"]
    for record in loaded.records:
        path = f"{record.user}/{record.kind}-{record.index}.txt"
        (folder / record.user).mkdir(exist_ok=True)
        (folder / path).write_text(as_svc2004(record.trace), encoding="ascii")
        rows.append(f"{record.user},{record.kind},{record.session or ''},{path}")
    table = folder / "people.csv"
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return table
