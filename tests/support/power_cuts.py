"""Power cuts: what a program wrote to its files, call by call, and what a disk may hold of it if the power fails then.

strace records the calls. What was written before the last `fsync` of a file is on the disk. Of what came after it, each
write is there, or is not, or is torn; names that came or went since the folder was synced are as they were, or not.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping, Sequence

CALLS: Final = "openat,write,pwrite64,ftruncate,fsync,fdatasync,unlink,rename,link,unlinkat,renameat,renameat2,linkat"
SECTOR_BYTES: Final = 512
"""Of this much a disk writes all or nothing."""
REBUILT: Final = ("-shm", "-lock")
"""Files that mean nothing after a cut."""

_LINE: Final = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)")
_QUOTED: Final = re.compile(r'[<"]((?:\\x[0-9a-f]{2})*)[>"]')


class Kind(Enum):
    """What a call did."""

    CREATE = auto()
    WRITE = auto()
    CUT = auto()
    SYNC = auto()
    UNLINK = auto()
    RENAME = auto()
    LINK = auto()
    PROMISE = auto()


NAMING: Final = {Kind.CREATE, Kind.UNLINK, Kind.RENAME, Kind.LINK}


@dataclass(frozen=True)
class Op:
    """One call."""

    kind: Kind
    name: str
    """Of the file within its folder; of the folder itself, empty; of a promise, its text."""
    data: bytes = b""
    at: int | None = None
    """Where the data goes, None for the end; how long a file becomes that is cut."""
    other: str = ""
    """The second name."""


def record(command: Sequence[str], folder: Path, log: Path, environment: Mapping[str, str]) -> list[Op]:
    """Run a program that works on files in `folder` and writes promises to its output; return what it did."""
    strace = ["strace", "-f", "-y", "-xx", "-s", str(1 << 26), "-o", str(log), "-e", f"trace={CALLS}"]
    subprocess.run([*strace, *command], check=True, env=dict(environment), stdout=subprocess.DEVNULL)
    ops = [op for line in log.read_text(encoding="ascii").splitlines() for op in _ops(line, folder)]
    return [op for op in ops if not op.name.endswith(REBUILT)]


def _ops(line: str, folder: Path) -> list[Op]:  # noqa: C901, PLR0911 - one case for each call
    found = _LINE.match(line)
    if not found or int(found[3]) < 0:
        return []
    call, arguments, result = found[1], found[2], int(found[3])
    texts = [bytes.fromhex(text.replace("\\x", "")) for text in _QUOTED.findall(arguments)]

    def name(place: int) -> str | None:
        path = Path(texts[place].decode())
        return "" if path == folder else path.name if path.parent == folder else None

    def within(place: int) -> str | None:
        """Name of a file that is given by its folder and a path in it."""
        path = Path(texts[place].decode()) / texts[place + 1].decode()
        return path.name if path.parent == folder else None

    match call:
        case "write" if arguments.startswith("1<"):
            return [Op(Kind.PROMISE, text) for text in texts[-1].decode().splitlines()]
        case "openat" if "O_CREAT" in arguments and (file := within(0)):
            return [Op(Kind.CREATE, file), *([Op(Kind.CUT, file, at=0)] if "O_TRUNC" in arguments else [])]
        case "write" if (file := name(0)) and len(texts) > 1:
            return [Op(Kind.WRITE, file, texts[1][:result])]
        case "pwrite64" if file := name(0):
            return [Op(Kind.WRITE, file, texts[1][:result], at=int(arguments.rpartition(",")[2]))]
        case "ftruncate" if file := name(0):
            return [Op(Kind.CUT, file, at=int(arguments.rpartition(",")[2]))]
        case "fsync" | "fdatasync" if (file := name(0)) is not None:
            return [Op(Kind.SYNC, file)]
        case "unlink" if file := name(0):
            return [Op(Kind.UNLINK, file)]
        case "rename" | "link" if file := name(0):
            return [Op(Kind.RENAME if call == "rename" else Kind.LINK, file, other=name(1) or "")]
        case "unlinkat" if file := within(0):
            return [Op(Kind.UNLINK, file)]
        case "renameat" | "renameat2" | "linkat" if file := within(0):
            return [Op(Kind.LINK if call == "linkat" else Kind.RENAME, file, other=within(2) or "")]
    return []


class Disk:
    """What a disk may hold of the first `count` calls."""

    def __init__(self, ops: Sequence[Op], count: int) -> None:
        self._ops = ops[:count]
        self._inodes = self._resolve()
        self._settled = self._find_settled()

    @property
    def promises(self) -> list[str]:
        """What was promised by then."""
        return [op.name for op in self._ops if op.kind is Kind.PROMISE]

    def all(self) -> dict[str, bytes]:
        """Everything arrived: what a program that was killed leaves."""
        return self._image(lambda _: True)

    def settled(self) -> dict[str, bytes]:
        """Nothing arrived but what was synced."""
        return self._image(lambda _: False)

    def some(self, dice: random.Random) -> dict[str, bytes]:
        """Of what was not synced some arrived, in any order, and of a write perhaps a part."""
        return self._image(lambda _: dice.random() < 0.5, dice)

    def _resolve(self) -> list[int]:
        """Return which file each call was about: a name may mean another by and by."""
        names: dict[str, int] = {}
        inodes = []
        for number, op in enumerate(self._ops):
            if op.kind is Kind.CREATE:
                names.setdefault(op.name, number)
            inodes.append(names.get(op.name, -1))
            match op.kind:
                case Kind.UNLINK:
                    names.pop(op.name, None)
                case Kind.RENAME:
                    names[op.other] = names.pop(op.name)
                case Kind.LINK:
                    names[op.other] = names[op.name]
                case _:
                    pass
        return inodes

    def _find_settled(self) -> list[bool]:
        """Return of each call whether a later one made sure of it."""
        settled = [False] * len(self._ops)
        synced: set[int] = set()
        folder = False
        for number in range(len(self._ops) - 1, -1, -1):
            op = self._ops[number]
            if op.kind is Kind.SYNC:
                folder = folder or not op.name
                synced.add(self._inodes[number])
            elif op.kind in NAMING:
                settled[number] = folder
            else:
                settled[number] = self._inodes[number] in synced
        return settled

    def _image(self, arrives: Callable[[int], bool], dice: random.Random | None = None) -> dict[str, bytes]:
        contents: dict[int, bytearray] = {}
        names: dict[str, int] = {}
        for number, op in enumerate(self._ops):
            settled = self._settled[number]
            if not settled and op.kind not in {Kind.SYNC, Kind.PROMISE} and not arrives(number):
                continue
            inode = self._inodes[number]
            content = contents.setdefault(inode, bytearray())
            match op.kind:
                case Kind.CREATE:
                    names.setdefault(op.name, inode)
                case Kind.WRITE:
                    data = op.data
                    if dice and not settled and len(data) > SECTOR_BYTES:
                        data = data[: SECTOR_BYTES * dice.randint(1, len(data) // SECTOR_BYTES)]
                    at = len(content) if op.at is None else op.at
                    content.extend(bytes(max(0, at - len(content))))
                    content[at : at + len(data)] = data
                case Kind.CUT:
                    size = op.at or 0
                    content.extend(bytes(max(0, size - len(content))))
                    del content[size:]
                case Kind.UNLINK:
                    names.pop(op.name, None)
                case Kind.RENAME:
                    names.pop(op.name, None)
                    names[op.other] = inode
                case Kind.LINK:
                    names[op.other] = inode
                case _:
                    pass
        return {name: bytes(contents.get(inode, b"")) for name, inode in names.items()}
