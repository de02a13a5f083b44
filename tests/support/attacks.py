"""Foreign text as somebody would write it who means no good, and what is left of it on a log or a screen."""

from __future__ import annotations

from penlatch.foreign import shows

FORGED = "FORGED"
"""Begin of a line that an attacker wants to see as one of ours."""

ATTACKS = {
    "escape sequence": "\x1b[2J\x1b[31m",
    "title of the window": "\x1b]0;pwned\x07",
    "line feed": "\n",
    "carriage return": "\r",
    "both": "\r\n",
    "form feed": "\x0c",
    "next line": "\x85",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "right-to-left override": "\u202e",
    "isolate": "\u2066",
    "mark": "\u200f",
    "NUL": "\0",
    "backspace": "\x08",
    "delete": "\x7f",
    "C1 control": "\x9b31m",
    "C1 string": "\x90",
    "lone surrogate": "\udc9b",
    "zero width": "\u200b\u200d\ufeff",
    "filler": "\u3164\u2800",
    "tag": "\U000e0041",
    "tower": "e" + "\u0301" * 50,
    "private use": "\ue000",
    "long": "A" * 100_000,
}
"""By name; each stands before `FORGED`."""


def hostile(attack: str) -> str:
    """Return text with an attack, behind which a forged line stands."""
    return f"x{ATTACKS[attack]}{FORGED} line"


def assert_plain(text: str, *, lines: int | None = 1, longest: int = 4200) -> None:
    """Hold a text to what a log or a screen may show.

    Args:
        text: as written, with or without a line break at its end.
        lines: how many lines it has; None for any number.
        longest: of its lines [characters].
    """
    assert all(character == "\n" or shows(character) for character in text), ascii(text)
    found = text.removesuffix("\n").split("\n")
    assert lines is None or len(found) == lines, ascii(text)
    assert max(map(len, found)) <= longest
    assert not any(line.startswith(FORGED) for line in found), ascii(text)
