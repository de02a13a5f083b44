"""Index: people of one's own as a table, so that anybody can measure penlatch on them.

A CSV file with the columns `user,kind,session,path`, one signature a line:

* `user`: whose signature it is, or pretends to be; any name.
* `kind`: `genuine`, or `skilled` for what somebody wrote who had seen the signature and practised.
* `session`: the sitting, a whole number from 1; may be empty for `skilled`.
* `path`: a file in the layout of SVC2004 Task2 (`penlatch.capture.replay.svc2004`), relative to the table.

Within a sitting, signatures count in the order of the table.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple, get_args

from penlatch.capture.replay.svc2004 import read_svc2004
from penlatch.errors import TraceError
from training.records import MIN_POINTS, Kind, Loaded, Record, Unusable
from training.sources import DataMissingError, DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COLUMNS: Final = ("user", "kind", "session", "path")


class _Row(NamedTuple):
    line: int
    user: str
    kind: Kind
    session: int
    path: Path
    named: str
    """The path as the table has it."""


def load_index(table: Path | None) -> Loaded:
    """Read the signatures that a table names.

    Args:
        table: The CSV file; None is refused: nobody's own people have a usual place.

    Raises:
        DataMissingError: if the table is not there.
        DatasetError: naming the line, if a row cannot be used, or the file that it names.
    """
    records: list[Record] = []
    unusable: list[Unusable] = []
    counts: Counter[tuple[str, Kind, int]] = Counter()
    digest = hashlib.sha256()
    for row in _rows(table):
        key = (row.user, row.kind, row.session)
        counts[key] += 1
        try:
            content = row.path.read_bytes()
            trace = read_svc2004(row.path)
        except (OSError, TraceError) as error:
            problem = error.problem if isinstance(error, TraceError) else error.strerror or str(error)
            if isinstance(error, TraceError) and error.line:
                problem = f"line {error.line}: {problem}"
            raise DatasetError(
                path=table or row.path,
                line=row.line,
                problem=f"{row.named} cannot be read: {problem}",
                remedy="paths count from the table's folder, files have the layout of SVC2004 Task2",
            ) from error
        digest.update(f"{row.user}\0{row.kind}\0{row.session}\0{len(content)}\0".encode())
        digest.update(content)
        if len(trace) < MIN_POINTS:
            unusable.append(Unusable(user=row.user, kind=row.kind))
            continue
        records.append(
            Record(database="index", user=row.user, kind=row.kind, session=row.session, index=counts[key], trace=trace)
        )
    return Loaded.of(records, unusable, sha256=digest.hexdigest())


def _rows(table: Path | None) -> Iterator[_Row]:
    if table is None or not table.is_file():
        where = "no table was named" if table is None else f"there is no table {table}"
        raise DataMissingError(f"{where}: --data must name a CSV file with the columns {','.join(COLUMNS)}")
    seen: dict[Path, int] = {}
    with table.open(encoding="utf-8-sig", newline="") as opened:
        lines = csv.reader(opened)
        header = [name.strip() for name in next(lines, [])]
        if tuple(header) != COLUMNS:
            raise DatasetError(
                path=table,
                line=1,
                problem=f"the columns are {','.join(header) or 'missing'}",
                remedy=f"the first line must be {','.join(COLUMNS)}",
            )
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            row = _row(table, lines.line_num, [cell.strip() for cell in cells])
            if first := seen.get(row.path):
                raise DatasetError(
                    path=table,
                    line=row.line,
                    problem=f"{row.named} was already in line {first}",
                    remedy="a signature that counts twice may be its own reference: name each file once",
                )
            seen[row.path] = row.line
            yield row
    if not seen:
        raise DatasetError(path=table, problem="it names no signatures", remedy="add a line for each")


def _row(table: Path, line: int, cells: list[str]) -> _Row:
    def refused(problem: str, remedy: str) -> DatasetError:
        return DatasetError(path=table, line=line, problem=problem, remedy=remedy)

    if len(cells) != len(COLUMNS):
        raise refused(f"it has {len(cells)} columns, not {len(COLUMNS)}", f"write {','.join(COLUMNS)}")
    user, named_kind, session, path = cells
    if not user:
        raise refused("the user is empty", "name whose signature it is, or pretends to be")
    kind = next((known for known in get_args(Kind) if known == named_kind), None)
    if kind is None:
        raise refused(f"the kind is {named_kind!r}", "it must be genuine or skilled")
    if kind == "skilled" and not session:
        session = "0"
    if not session.isascii() or not session.isdigit() or (kind == "genuine" and int(session) < 1):
        raise refused(f"the session is {session!r}", "it must be the number of the sitting, from 1")
    if not path:
        raise refused("the path is empty", "name the file of the signature")
    return _Row(line=line, user=user, kind=kind, session=int(session), path=table.parent / path, named=path)
