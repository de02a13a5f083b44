"""The signature databases as one list of records, read from a user's own copy: zip archives or unpacked folders.

Nothing of them is part of penlatch. They are looked for in `$PENLATCH_DATA`, else in `shared/data` beside the checkout.
The layouts, and what is odd about each of them, are described where they are read. One's own people come as a table:
see `training.index`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from penlatch.capture.replay.svc2004 import read_svc2004
from penlatch.ink import PenInfo, Trace
from training.index import load_index
from training.records import MIN_POINTS, Database, Kind, Loaded, Record, Unusable
from training.sources import DataMissingError, DatasetError, data_folder, locate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

__all__ = [
    "MIN_POINTS",
    "DataMissingError",
    "Database",
    "DatasetError",
    "Kind",
    "Record",
    "by_user",
    "data_folder",
    "load",
    "read",
]

SIGCOMP2009_PARTS: Final[dict[Database, str]] = {"sigcomp2009-training": "nisdcc", "sigcomp2009-nfi": "nfi"}
"""The parts of `sigcomp2009`, and what their people are called in the whole: the two count from 1 on their own."""


def load(database: Database, data: Path | None = None) -> list[Record]:
    """Read the signatures of a whole database, ordered by user, kind, session and index; see `read`."""
    return list(read(database, data).records)


def read(database: Database, data: Path | None = None) -> Loaded:
    """Read a whole database: its signatures, what of it is none, and its digest.

    Args:
        database: Which one.
        data: The archive, the unpacked folder, or the folder that holds either; None for `data_folder()`.
            The table itself for `index`.

    Raises:
        DataMissingError: if neither the archive nor an unpacked folder is there.
        DatasetError: if what is there is another database, or a table has a line that cannot be used.
        TraceError: if a file of it is damaged.
    """
    if database == "index":
        return load_index(data)
    if database == "sigcomp2009":
        return _sigcomp2009_whole(data)
    layout = _LAYOUTS[database]
    source = locate(data, layout.archive, layout.pattern, example=layout.example)
    records: list[Record] = []
    unusable: list[Unusable] = []
    seen: set[tuple[str, Kind, int, int]] = set()
    for name, text in source.files(layout.pattern):
        found = layout.parse(name, text)
        if isinstance(found, Unusable):
            unusable.append(found)
            continue
        key = (found.user, found.kind, found.session, found.index)
        if key in seen:
            raise DatasetError(
                path=source.path,
                problem=f"it holds {found.name} twice",
                remedy="name the folder of one database, not of several",
            )
        seen.add(key)
        records.append(found)
    return Loaded.of(records, unusable, sha256=source.sha256(layout.pattern))


def by_user(records: Iterable[Record]) -> dict[str, dict[Kind, list[Trace]]]:
    """Group records: user -> kind -> traces, in the order of the records; both kinds are always there."""
    grouped: dict[str, dict[Kind, list[Trace]]] = defaultdict(lambda: {"genuine": [], "skilled": []})
    for record in records:
        grouped[record.user][record.kind].append(record.trace)
    return dict(grouped)


@dataclass(frozen=True)
class _Layout:
    archive: str
    pattern: re.Pattern[str]
    example: str
    """A path that matches, for messages."""
    parse: Callable[[re.Match[str], str], Record | Unusable]
    """Turns one file into a record, unless it is too short to be a signature."""


# --- SVC2004: U<user>S<index>.TXT, S1-S20 genuine (S1-S10 first sitting, S11-S20 second), S21-S40 skilled. ---

_SVC2004_GENUINE = 20
_SVC2004_PER_SITTING = 10


def _svc2004(database: Database) -> Callable[[re.Match[str], str], Record]:
    def parse(name: re.Match[str], text: str) -> Record:
        number = int(name["index"])
        genuine = number <= _SVC2004_GENUINE
        trace = read_svc2004(text)
        if trace.pen.has_pressure != (database == "svc2004-task2"):
            raise DatasetError(
                path=Path(name.string),
                problem=f"it has {'a' if trace.pen.has_pressure else 'no'} column of pressure",
                remedy=f"it is a file of the other task, not of {database}",
            )
        return Record(
            database=database,
            user=f"U{int(name['user']):02d}",
            kind="genuine" if genuine else "skilled",
            session=1 + (number - 1) // _SVC2004_PER_SITTING if genuine else 0,
            index=number,
            trace=trace,
        )

    return parse


# --- SUSIG: <user>_<1|2|g|f>_<index>.sig; columns x y t[ms] pressure endpoint; y downwards. -----------------
# `1` and `2` are the sittings of the Visual part, `g` the genuine of the Blind part, `f` forgeries of either.
# An endpoint is the last frame before a lift, which leaves nothing but a gap in time. Some clocks run backwards.


def _susig(database: Database, full_scale: float) -> Callable[[re.Match[str], str], Record | Unusable]:
    def parse(name: re.Match[str], text: str) -> Record | Unusable:
        rows = _rows(text, header=2, columns=5)
        part = name["part"]
        kind: Kind = "skilled" if part == "f" else "genuine"
        if len(rows) < MIN_POINTS:
            return Unusable(user=name["user"], kind=kind)
        return Record(
            database=database,
            user=name["user"],
            kind=kind,
            session=int(part) if part in "12" else 0,
            index=int(name["index"]),
            trace=_trace(
                name=database,
                t=np.maximum.accumulate(rows[:, 2]) / 1000,
                x=rows[:, 0],
                y=rows[:, 1],
                p=rows[:, 3] / full_scale,
            ),
        )

    return parse


# --- SigComp: .hwr, one header line, columns x y pressure …; y upwards, 200 Hz, no clock, hover frames kept. -

_SIGCOMP_RATE_HZ = 200.0
_SIGCOMP_FULL_SCALE = 1023.0


def _sigcomp_trace(database: Database, text: str) -> Trace | None:
    rows = _rows(text, header=1, columns=3)
    if len(rows) < MIN_POINTS or np.count_nonzero(rows[:, 2] > 0) < MIN_POINTS:
        return None
    # Pressure may read -4 while the pen hovers.
    return _trace(
        name=database,
        t=np.arange(len(rows)) / _SIGCOMP_RATE_HZ,
        x=rows[:, 0],
        y=-rows[:, 1],
        p=rows[:, 2] / _SIGCOMP_FULL_SCALE,
    )


def _sigcomp2009(database: Database) -> Callable[[re.Match[str], str], Record | Unusable]:
    """`NISDCC-AAA_BBB_NNN` and `NFI-AAANNBBB`: AAA wrote, BBB is whose signature it is, N counts."""

    def parse(name: re.Match[str], text: str) -> Record | Unusable:
        trace = _sigcomp_trace(database, text)
        genuine = name["writer"] == name["user"]
        kind: Kind = "genuine" if genuine else "skilled"
        if trace is None:
            return Unusable(user=name["user"], kind=kind)
        return Record(
            database=database,
            user=name["user"],
            kind=kind,
            session=0,
            # Several forgers may count alike.
            index=int(name["index"]) if genuine else int(name["writer"]) * 1000 + int(name["index"]),
            trace=trace,
        )

    return parse


def _sigcomp2009_whole(data: Path | None) -> Loaded:
    parts = {part: read(part, data) for part in SIGCOMP2009_PARTS}
    return Loaded.of(
        (
            replace(record, user=f"{SIGCOMP2009_PARTS[part]}-{record.user}")
            for part, loaded in parts.items()
            for record in loaded.records
        ),
        (
            Unusable(user=f"{SIGCOMP2009_PARTS[part]}-{found.user}", kind=found.kind)
            for part, loaded in parts.items()
            for found in loaded.unusable
        ),
        sha256="+".join(dict.fromkeys(loaded.sha256 for loaded in parts.values())),
    )


def _sigcomp2011(name: re.Match[str], text: str) -> Record | Unusable:
    """`<user>/<user>_<index>.hwr` is genuine, `<user>/<user>_<forger>_<index>.hwr` is not."""
    trace = _sigcomp_trace("sigcomp2011-dutch", text)
    forger = name["writer"]
    kind: Kind = "skilled" if forger else "genuine"
    if trace is None:
        return Unusable(user=name["user"], kind=kind)
    return Record(
        database="sigcomp2011-dutch",
        user=name["user"],
        kind=kind,
        session=0,
        index=int(name["index"]) + 1000 * int(forger or 0),
        trace=trace,
    )


_SVC2004_NAME: Final = re.compile(r"U(?P<user>\d+)S(?P<index>\d+)\.TXT$", re.IGNORECASE)

_LAYOUTS: dict[Database, _Layout] = {
    "svc2004-task1": _Layout("svc2004-task1", _SVC2004_NAME, "U1S1.TXT", _svc2004("svc2004-task1")),
    "svc2004-task2": _Layout("svc2004-task2", _SVC2004_NAME, "U1S1.TXT", _svc2004("svc2004-task2")),
    "susig-visual": _Layout(
        "susig",
        re.compile(r"VisualSubCorpus/.*/(?P<user>\d+)_(?P<part>[12f])_(?P<index>\d+)\.sig$"),
        "VisualSubCorpus/GENUINE/SESSION1/001_1_1.sig",
        _susig("susig-visual", 255.0),
    ),
    "susig-blind": _Layout(
        "susig",
        re.compile(r"BlindSubCorpus/.*/(?P<user>\d+)_(?P<part>[gf])_(?P<index>\d+)\.sig$"),
        "BlindSubCorpus/GENUINE/001_g_1.sig",
        _susig("susig-blind", 1023.0),
    ),
    "sigcomp2009-training": _Layout(
        "sigcomp2009",
        re.compile(r"NISDCC-(?P<writer>\d+)_(?P<user>\d+)_(?P<index>\d+)\.hwr$"),
        "NISDCC-001_001_001.hwr",
        _sigcomp2009("sigcomp2009-training"),
    ),
    "sigcomp2009-nfi": _Layout(
        "sigcomp2009",
        re.compile(r"NFI-(?P<writer>\d{3})(?P<index>\d{2})(?P<user>\d{3})\.hwr$"),
        "NFI-00101001.hwr",
        _sigcomp2009("sigcomp2009-nfi"),
    ),
    "sigcomp2011-dutch": _Layout(
        "sigcomp2011-dutch",
        re.compile(r"(?P<user>\d{3})_(?:(?P<writer>\d{3})_)?(?P<index>\d{2})\.hwr$"),
        "001_01.hwr",
        _sigcomp2011,
    ),
}


def _rows(text: str, *, header: int, columns: int) -> NDArray[np.float64]:
    """Read the numbers below `header` lines; lines with fewer than `columns` numbers are cut off and left out."""
    split = (line.split()[:columns] for line in text.splitlines()[header:])
    rows = [row for row in split if len(row) == columns]
    return np.array(rows, dtype=np.float64).reshape(-1, columns)


def _trace(
    *, name: str, t: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64], p: NDArray[np.float64]
) -> Trace:
    """Make a trace that begins and ends in contact; contact is pressure above zero."""
    down = p > 0
    first, last = np.flatnonzero(down)[[0, -1]]
    keep = slice(int(first), int(last) + 1)
    return Trace(
        t=t[keep] - t[first],
        x=x[keep],
        y=y[keep],
        p=np.clip(p[keep], 0, 1),
        down=down[keep],
        pen=PenInfo(name=name, unit="tablet"),
    )
