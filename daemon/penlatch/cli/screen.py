"""The screen: nothing is written to it that a terminal takes for a command.

Within `guarded`, standard output and standard error escape every character that shows nothing or moves others, as
`penlatch.foreign` does. This is the last line of defence: it cannot know a line break of ours from one within foreign
text, so foreign text is made plain where it enters a sentence.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from penlatch.foreign import escaped, shows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO


class Guarded:
    """A text stream that writes plain text; all else is that of the stream below.

    It has no `buffer`, so that nobody writes past it.
    """

    def __init__(self, below: TextIO) -> None:
        self.below = below

    def write(self, text: str) -> int:
        """Write text, with an escape for each character that is not plain or that the encoding lacks."""
        if not (text.isascii() and text.replace("\n", "").isprintable()):
            text = "".join(c if c == "\n" or shows(c) else escaped(c) for c in text)
            encoding = self.below.encoding or "utf-8"
            text = text.encode(encoding, "backslashreplace").decode(encoding)
        return self.below.write(text)

    def writelines(self, lines: list[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the stream below."""
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self.below, name)


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Guard standard output and standard error until the end; after an unforeseen error for good.

    Its traceback, which may hold foreign text, is printed when all this is over.
    """
    before = sys.stdout, sys.stderr
    if isinstance(sys.stdout, Guarded):
        yield
        return
    sys.stdout, sys.stderr = Guarded(sys.stdout), Guarded(sys.stderr)
    try:
        yield
    except Exception:
        raise  # guarded still
    except BaseException:
        sys.stdout, sys.stderr = before
        raise
    sys.stdout, sys.stderr = before


def control(text: str, *, err: bool = False) -> None:
    """Write text of our own that commands the terminal: a colour, a return to the begin of the line."""
    stream = sys.stderr if err else sys.stdout
    below = stream.below if isinstance(stream, Guarded) else stream
    below.write(text)
    below.flush()
