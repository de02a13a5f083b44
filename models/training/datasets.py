"""The signature databases as one list of records, read from a user's own copy: zip archives or unpacked folders.

Nothing of them is part of penlatch. They are looked for in `$PENLATCH_DATA`, else in `shared/data` beside the checkout.
The layouts, and what is odd about each of them, are described where they are read.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from penlatch.capture.replay.svc2004 import read_svc2004
from penlatch.ink import PenInfo, Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

Kind = Literal["genuine", "skilled"]

Database = Literal[
    "svc2004-task1",
    "svc2004-task2",
    "susig-visual",
    "susig-blind",
    "sigcomp2009-training",
    "sigcomp2009-nfi",
    "sigcomp2011-dutch",
]

MIN_POINTS = 25
"""Shorter recordings are broken files; the daemon would ask for a retry as well (`segment.min_points`)."""


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One signature of a database."""

    database: Database
    user: str
    """Whose signature it is, or pretends to be. Unique within the people of a database."""
    kind: Kind
    """`skilled`: a forger who had seen the signature wrote it."""
    session: int
    """Which sitting, from 1; 0 where the database does not say."""
    index: int
    """Number within user, kind and session as the database counts; with them it is unique."""
    trace: Trace


class DataMissingError(FileNotFoundError):
    """A database is not where it was looked for."""


def data_folder() -> Path:
    """Return the folder that holds the databases, whether or not it exists."""
    configured = os.environ.get("PENLATCH_DATA")
    if configured:
        return Path(configured)
    return Path(__file__).resolve().parents[3] / "shared" / "data"


def load(database: Database, data: Path | None = None) -> list[Record]:
    """Read a whole database, ordered by user, kind, session and index.

    Args:
        database: Which one.
        data: Folder of the archives; None for `data_folder()`.

    Raises:
        DataMissingError: if neither the archive nor an unpacked folder is there.
        TraceError: if a file of it is damaged.
    """
    layout = _LAYOUTS[database]
    records = [
        record
        for name, text in _files(data or data_folder(), layout.archive, layout.pattern)
        if (record := layout.parse(name, text)) is not None
    ]
    return sorted(records, key=lambda r: (r.user, r.kind, r.session, r.index))


def by_user(records: Iterable[Record]) -> dict[str, dict[Kind, list[Trace]]]:
    """Group records: user -> kind -> traces, in the order of the records; both kinds are always there."""
    grouped: dict[str, dict[Kind, list[Trace]]] = defaultdict(lambda: {"genuine": [], "skilled": []})
    for record in records:
        grouped[record.user][record.kind].append(record.trace)
    return dict(grouped)


def _files(data: Path, archive: str, pattern: re.Pattern[str]) -> Iterator[tuple[re.Match[str], str]]:
    """Yield the matching files of `data/archive.zip`, or of the folder `data/archive`, as text."""
    packed, folder = data / f"{archive}.zip", data / archive
    if packed.is_file():
        with zipfile.ZipFile(packed) as opened:
            for name in opened.namelist():
                if match := pattern.search(name):
                    yield match, opened.read(name).decode("latin-1")
    elif folder.is_dir():
        for path in sorted(folder.rglob("*")):
            if path.is_file() and (match := pattern.search(path.as_posix())):
                yield match, path.read_text(encoding="latin-1")
    else:
        raise DataMissingError(f"neither {packed} nor {folder} exists; set PENLATCH_DATA to where the databases are")


@dataclass(frozen=True)
class _Layout:
    archive: str
    pattern: re.Pattern[str]
    parse: Callable[[re.Match[str], str], Record | None]
    """Turns one file into a record; None for a file that is too short to be a signature."""


# --- SVC2004: U<user>S<index>.TXT, S1-S20 genuine (S1-S10 first sitting, S11-S20 second), S21-S40 skilled. ---

_SVC2004_GENUINE = 20
_SVC2004_PER_SITTING = 10


def _svc2004(database: Database) -> Callable[[re.Match[str], str], Record]:
    def parse(name: re.Match[str], text: str) -> Record:
        number = int(name["index"])
        genuine = number <= _SVC2004_GENUINE
        return Record(
            database=database,
            user=f"U{int(name['user']):02d}",
            kind="genuine" if genuine else "skilled",
            session=1 + (number - 1) // _SVC2004_PER_SITTING if genuine else 0,
            index=number,
            trace=read_svc2004(text),
        )

    return parse


# --- SUSIG: <user>_<1|2|g|f>_<index>.sig; columns x y t[ms] pressure endpoint; y downwards. -----------------
# `1` and `2` are the sittings of the Visual part, `g` the genuine of the Blind part, `f` forgeries of either.
# An endpoint is the last frame before a lift, which leaves nothing but a gap in time. Some clocks run backwards.


def _susig(database: Database, full_scale: float) -> Callable[[re.Match[str], str], Record | None]:
    def parse(name: re.Match[str], text: str) -> Record | None:
        rows = _rows(text, header=2, columns=5)
        if len(rows) < MIN_POINTS:
            return None
        part = name["part"]
        return Record(
            database=database,
            user=name["user"],
            kind="skilled" if part == "f" else "genuine",
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


def _sigcomp2009(database: Database) -> Callable[[re.Match[str], str], Record | None]:
    """`NISDCC-AAA_BBB_NNN` and `NFI-AAANNBBB`: AAA wrote, BBB is whose signature it is, N counts."""

    def parse(name: re.Match[str], text: str) -> Record | None:
        trace = _sigcomp_trace(database, text)
        if trace is None:
            return None
        genuine = name["writer"] == name["user"]
        return Record(
            database=database,
            user=name["user"],
            kind="genuine" if genuine else "skilled",
            session=0,
            # Several forgers may count alike.
            index=int(name["index"]) if genuine else int(name["writer"]) * 1000 + int(name["index"]),
            trace=trace,
        )

    return parse


def _sigcomp2011(name: re.Match[str], text: str) -> Record | None:
    """`<user>/<user>_<index>.hwr` is genuine, `<user>/<user>_<forger>_<index>.hwr` is not."""
    trace = _sigcomp_trace("sigcomp2011-dutch", text)
    if trace is None:
        return None
    forger = name["writer"]
    return Record(
        database="sigcomp2011-dutch",
        user=name["user"],
        kind="skilled" if forger else "genuine",
        session=0,
        index=int(name["index"]) + 1000 * int(forger or 0),
        trace=trace,
    )


_LAYOUTS: dict[Database, _Layout] = {
    "svc2004-task1": _Layout(
        "svc2004-task1", re.compile(r"U(?P<user>\d+)S(?P<index>\d+)\.TXT$", re.IGNORECASE), _svc2004("svc2004-task1")
    ),
    "svc2004-task2": _Layout(
        "svc2004-task2", re.compile(r"U(?P<user>\d+)S(?P<index>\d+)\.TXT$", re.IGNORECASE), _svc2004("svc2004-task2")
    ),
    "susig-visual": _Layout(
        "susig",
        re.compile(r"VisualSubCorpus/.*/(?P<user>\d+)_(?P<part>[12f])_(?P<index>\d+)\.sig$"),
        _susig("susig-visual", 255.0),
    ),
    "susig-blind": _Layout(
        "susig",
        re.compile(r"BlindSubCorpus/.*/(?P<user>\d+)_(?P<part>[gf])_(?P<index>\d+)\.sig$"),
        _susig("susig-blind", 1023.0),
    ),
    "sigcomp2009-training": _Layout(
        "sigcomp2009",
        re.compile(r"NISDCC-(?P<writer>\d+)_(?P<user>\d+)_(?P<index>\d+)\.hwr$"),
        _sigcomp2009("sigcomp2009-training"),
    ),
    "sigcomp2009-nfi": _Layout(
        "sigcomp2009",
        re.compile(r"NFI-(?P<writer>\d{3})(?P<index>\d{2})(?P<user>\d{3})\.hwr$"),
        _sigcomp2009("sigcomp2009-nfi"),
    ),
    "sigcomp2011-dutch": _Layout(
        "sigcomp2011-dutch",
        re.compile(r"(?P<user>\d{3})_(?:(?P<writer>\d{3})_)?(?P<index>\d{2})\.hwr$"),
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
