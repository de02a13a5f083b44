r"""Foreign text: what others wrote, made fit for a log, a screen and a health message.

Others are everybody who is not penlatch: the maker of a device, a broker, whoever sends a request, whoever named a
file. Their words may hold escape sequences of a terminal, line breaks that forge a log entry, or marks that turn the
direction of writing. Here such words become

- printable: a character that shows nothing, or moves others, is written as its escape (`\u001b`, `\n`, `\u202e`);
- bounded: what is too long is cut;
- marked: escapes and cuts can be seen, and `quoted` puts the words between quotation marks.

`plain` and `quoted` are applied where foreign words enter a sentence. The last line of defence are the formatters of
the log (`cli.journal`) and the screen (`cli.screen`), which let no other character through.
"""

from __future__ import annotations

import unicodedata
from typing import Final

WORDS: Final = 120
"""Longest foreign text within a sentence [characters]."""
SENTENCE: Final = 1000
"""Longest sentence that may hold foreign text: a problem, or the detail of a part in health [characters]."""
LINE: Final = 4000
"""Longest line of the log or the screen [characters]."""
STACKED: Final = 3
"""Most combining marks on one letter; writing needs no more, and a tower of them covers other lines."""

_INVISIBLE: Final = frozenset(
    {
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
        *range(0x180B, 0x1810),
        *range(0xFE00, 0xFE10),
        *range(0xE0100, 0xE01F0),
    }
)
"""Code points that Python calls printable and that show nothing: fillers, joiners, variation selectors."""
_LAST_OF_PLANE: Final = 0xFFFF
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def plain(text: object, limit: int = SENTENCE) -> str:
    """Return `str(text)` on one line, printable, and cut to `limit` characters.

    A second call changes nothing, as long as its limit is not smaller.
    """
    words = str(text)
    if len(words) <= limit and words.isascii() and words.isprintable():
        return words
    shown: list[str] = []
    length = stacked = 0
    for index, character in enumerate(words):
        stacked = stacked + 1 if unicodedata.category(character) in {"Mn", "Me"} else 0
        piece = character if shows(character) and stacked <= STACKED else escaped(character)
        length += len(piece)
        if length > limit:
            return _cut(shown, words, index, limit)
        shown.append(piece)
    return "".join(shown)


def quoted(text: object, limit: int = WORDS) -> str:
    """Return foreign words for the middle of a sentence: as `plain` does, and between quotation marks."""
    inner = plain(text, limit).replace("“", '"').replace("”", '"')
    return f"“{inner}”"


def escaped(character: str) -> str:
    """Return a character as the escape that JSON has for it, so that JSON which passes here says what it said."""
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    if code <= _LAST_OF_PLANE:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def shows(character: str) -> bool:
    """Tell whether a character can be seen and moves no other."""
    return character.isprintable() and ord(character) not in _INVISIBLE


def _cut(shown: list[str], words: str, index: int, limit: int) -> str:
    """Return what fits into `limit` together with the mark of the cut, which says how many characters follow."""
    longest = len(f"… ({len(words)} more)")
    length = sum(map(len, shown))
    while shown and length + longest > limit:
        length -= len(shown.pop())
        index -= 1
    return "".join(shown) + f"… ({len(words) - index} more)"
