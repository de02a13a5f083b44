"""Names of people: their one spelling, and which of them people would take for each other.

A name has one spelling, NFC. Two names collide where a person who reads both may not see a difference: they differ in
case alone, in letters that look alike (Cyrillic and Latin `a`, `1` and `l`, `rn` and `m`), or in what is not seen at
all. The look of letters comes from the table of Unicode Technical Standard 39, `confusables.txt` beside this file;
`scripts/confusables` makes it anew.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PATTERN: Final = r"^[\w][\w.@-]{0,63}\Z"
"""Regular expression that a name in NFC matches."""
RULE: Final = "1 to 64 letters, digits and . _ @ -, and begins with a letter, a digit or _"
"""The same for people; it follows "a name has"."""
LONGEST_GIVEN: Final = 256
"""Code points of a name as it is given: NFC makes 64 of at most so many."""

TABLE: Final = "confusables.txt"
"""File of the package with the confusable characters."""

_ROUNDS: Final = 8
"""Most rounds until a skeleton is stable; three are enough for every character of Unicode 16."""
_FILLERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
"""Letters and marks that show nothing (Default_Ignorable_Code_Point); variation selectors are told by their range."""
_SOFT_DOTTED: Final = re.compile("(?<=[ij\u03f3\u0456\u0458])\u0307")
"""A dot over a letter that has one shows nothing new."""


def normal(name: str) -> str:
    """Return the one spelling of a name, NFC."""
    return unicodedata.normalize("NFC", name)


def problem_of(name: str) -> str | None:
    """Return a clause about why this cannot be the name of a person, None where it can be one.

    A spelling other than NFC is judged as its NFC.
    """
    if len(name) > LONGEST_GIVEN or not re.match(PATTERN, spelling := normal(name)):
        return f"a name has {RULE}"
    if any(_is_invisible(character) for character in spelling):
        return "a name has no invisible characters"
    return None


def skeleton(name: str) -> str:
    """Return what a name looks like: equal for names that differ in case, or in letters that look alike, alone.

    The compatibility form (NFKC) with case folded, each character replaced by its prototype of UTS 39, until nothing
    changes any more. It is no name and is shown to nobody.
    """
    return _settled(_folded(name))


@lru_cache(maxsize=4096)
def looks(name: str) -> frozenset[str]:
    """Return the skeletons of a name, one or two: as it is read in its own case, and in any.

    In its own case, a capital `I` looks like a small `l`; without case, it is an `i`.
    """
    return frozenset({skeleton(name), _settled(_replaced(unicodedata.normalize("NFKC", name)))})


def colliding(name: str, others: Iterable[str]) -> str | None:
    """Return the first of `others` that people may take for `name`, None where there is none. Itself is none."""
    own = looks(name)
    return next((other for other in others if other != name and not own.isdisjoint(looks(other))), None)


def resolved(name: str, known: Iterable[str]) -> str:
    """Return which of the `known` names is meant: this very spelling, or else its NFC, or one with the same NFC.

    People of earlier releases may have another spelling. A name that is not known comes back in NFC.
    """
    there, spelling = set(known), normal(name)
    if name in there or spelling in there:
        return name if name in there else spelling
    return next((other for other in sorted(there) if normal(other) == spelling), spelling)


def _settled(text: str) -> str:
    for _ in range(_ROUNDS):
        before, text = text, _folded(_replaced(text))
        if text == before:
            break
    return text


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _replaced(text: str) -> str:
    """Replace each character by its prototype, and leave out what is not seen (UTS 39, internalSkeleton).

    Beyond the standard, letters with marks are looked up as one character, too: the table lists some of them.
    """
    table = _prototypes()
    for form in ("NFC", "NFD"):
        text = unicodedata.normalize(form, "".join(c for c in text if not _is_invisible(c)))
        text = "".join(table.get(c, c) for c in text)
    return _SOFT_DOTTED.sub("", unicodedata.normalize("NFD", text))


def _is_invisible(character: str) -> bool:
    return (
        character in _FILLERS
        or unicodedata.category(character) in {"Cc", "Cf"}
        or "\u180b" <= character <= "\u180f"
        or "\ufe00" <= character <= "\ufe0f"
        or "\U000e0000" <= character <= "\U000e0fff"
    )


@cache
def _prototypes() -> Mapping[str, str]:
    """Read the table: in each line a prototype, a tab, and all characters that look like it."""
    text = resources.files(__package__).joinpath(TABLE).read_text(encoding="utf-8")
    table = {}
    for line in text.split("\n"):
        if line and not line.startswith("#"):
            prototype, _, sources = line.rpartition("\t")
            table.update(dict.fromkeys(sources, prototype))
    return table
