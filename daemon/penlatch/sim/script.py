"""Action plans: the shape of a signature as the targets its writer aims at, before any hand has written it.

An action plan is a sequence of virtual targets joined by circular arcs, which an actual hand cuts short because it
sets out for the next target before it reaches this one. The plans here are made of letter forms of a cursive hand,
of characters written stroke by stroke, and of flourishes; lengths are in x-heights, y grows upwards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MIN_STROKES, MAX_STROKES = 10, 40
"""Strokes of a signature, those in the air included."""


@dataclass(frozen=True, slots=True)
class Move:
    """One stroke of a plan: where it aims, how it bends, and whether it leaves ink."""

    x: float
    y: float
    turn: float = 0.0
    """Angle through which the stroke bends, anticlockwise [degrees]."""
    down: bool = True


@dataclass(frozen=True, slots=True)
class Glyph:
    """A letter form, drawn from (0, 0) on the baseline."""

    width: float
    """How far the next letter is to the right."""
    moves: tuple[Move, ...]


def _glyph(width: float, *moves: tuple[float, float, float] | tuple[float, float]) -> Glyph:
    """Read a letter form: (x, y, turn) leaves ink, (x, y) moves through the air."""
    return Glyph(
        width=width,
        moves=tuple(Move(m[0], m[1], m[2]) if len(m) == 3 else Move(m[0], m[1], 0.0, down=False) for m in moves),
    )


VOWELS = {
    "a": _glyph(1.15, (0.85, 0.95, 25), (0.1, 0.45, 110), (0.45, -0.05, 95), (0.9, 1.0, 45), (1.15, 0.0, 60)),
    "e": _glyph(0.9, (0.65, 0.75, 55), (0.15, 0.7, 170), (0.9, 0.05, 120)),
    "i": _glyph(0.7, (0.45, 1.05, 15), (0.7, 0.0, 45)),
    "o": _glyph(1.2, (0.7, 1.0, 30), (0.1, 0.45, 105), (0.55, -0.05, 100), (0.85, 0.9, 130), (1.2, 0.7, -30)),
    "u": _glyph(1.3, (0.4, 1.05, 15), (0.65, 0.0, 60), (1.05, 1.05, 50), (1.3, 0.0, 45)),
}
CONSONANTS = {
    "d": _glyph(1.25, (0.8, 0.95, 25), (0.1, 0.4, 115), (0.5, -0.05, 95), (1.05, 2.3, 40), (1.25, 0.0, 35)),
    "f": _glyph(0.9, (0.75, 2.2, 40), (0.4, 2.3, 150), (0.3, -1.2, 20), (0.55, -0.9, 140), (0.9, 0.1, -60)),
    "g": _glyph(
        1.1, (0.8, 0.95, 25), (0.1, 0.4, 115), (0.85, 0.9, 130), (0.6, -1.35, -25), (0.1, -1.1, -120), (1.1, 0.1, -70)
    ),
    "h": _glyph(1.3, (0.65, 2.3, 45), (0.3, 2.1, 150), (0.3, 0.0, 15), (0.8, 1.0, -95), (1.3, 0.0, -20)),
    "k": _glyph(
        1.2, (0.6, 2.3, 45), (0.25, 2.0, 150), (0.25, 0.0, 15), (0.85, 0.95, -60), (0.45, 0.5, -120), (1.2, 0.0, 40)
    ),
    "l": _glyph(0.8, (0.65, 2.2, 50), (0.25, 2.1, 160), (0.8, 0.0, 70)),
    "m": _glyph(
        1.9, (0.35, 1.0, -50), (0.5, 0.0, -70), (0.95, 1.0, -60), (1.1, 0.0, -70), (1.55, 1.0, -60), (1.9, 0.0, 10)
    ),
    "n": _glyph(1.35, (0.35, 1.0, -50), (0.5, 0.0, -70), (1.0, 1.0, -60), (1.35, 0.0, 10)),
    "r": _glyph(0.9, (0.35, 1.1, 10), (0.65, 0.85, 60), (0.9, 0.0, 30)),
    "s": _glyph(0.85, (0.5, 1.1, 20), (0.6, 0.3, -90), (0.15, 0.05, -110), (0.85, 0.05, 60)),
    "t": _glyph(0.8, (0.55, 1.75, 10), (0.8, 0.0, 40)),
    "v": _glyph(1.1, (0.35, 1.0, -30), (0.55, 0.0, 20), (0.9, 1.0, 60), (1.1, 0.9, -60)),
    "y": _glyph(
        1.2, (0.35, 1.0, -30), (0.6, 0.1, 70), (1.0, 1.0, 40), (0.55, -1.4, -20), (0.1, -1.1, -120), (1.2, 0.15, -60)
    ),
    "z": _glyph(1.0, (0.6, 1.0, -70), (0.15, 0.0, 10), (0.6, -0.7, -110), (0.2, -1.1, -130), (1.0, 0.1, -60)),
}
CAPITALS = {
    "A": _glyph(2.0, (1.25, 2.6, -25), (1.7, 0.0, 10), (0.6, 0.9), (2.0, 0.9, 30)),
    "B": _glyph(2.0, (0.25, 2.4), (0.2, 0.0, 5), (0.3, 2.5, -20), (0.5, 1.4, -170), (0.5, 0.0, -190), (2.0, 0.3, 90)),
    "C": _glyph(1.9, (1.7, 2.3), (0.9, 2.6, 80), (0.1, 1.2, 90), (0.9, -0.05, 90), (1.9, 0.6, 60)),
    "D": _glyph(2.3, (0.4, 2.4), (0.3, 0.0, 5), (0.1, 2.4), (1.8, 1.4, -100), (0.9, 0.0, -80), (-0.1, 0.2, -40)),
    "E": _glyph(1.8, (1.5, 2.3), (0.5, 2.2, 120), (0.8, 1.3, 160), (0.2, 0.6, 90), (0.9, -0.05, 110), (1.8, 0.5, 50)),
    "G": _glyph(
        2.0,
        (1.6, 2.3),
        (0.8, 2.6, 80),
        (0.1, 1.1, 90),
        (1.4, 1.1, 160),
        (1.2, -1.2, -25),
        (0.2, -0.9, -130),
        (2.0, 0.2, -60),
    ),
    "J": _glyph(1.6, (0.4, 2.1), (1.4, 2.5, -30), (0.9, -0.9, -20), (0.0, -0.6, -140), (1.6, 0.5, -50)),
    "K": _glyph(2.0, (0.4, 2.5), (0.3, 0.0, 5), (1.7, 2.5), (0.5, 1.2, -20), (2.0, 0.0, 30)),
    "L": _glyph(1.8, (0.9, 2.0, 50), (0.5, 2.5, 170), (0.5, 0.3, 20), (0.1, 0.2, -170), (1.8, 0.1, 20)),
    "M": _glyph(2.8, (0.6, 2.5, -15), (0.9, 0.2, -20), (1.6, 2.5, -15), (1.9, 0.0, -20), (2.8, 0.3, 60)),
    "P": _glyph(1.6, (0.4, 2.4), (0.2, 0.0, 5), (0.2, 2.5, -20), (1.5, 1.9, -110), (0.3, 1.1, -100)),
    "R": _glyph(2.0, (0.4, 2.4), (0.2, 0.0, 5), (0.2, 2.5, -20), (1.4, 1.9, -110), (0.4, 1.2, -90), (2.0, 0.0, 30)),
    "S": _glyph(1.8, (1.3, 2.5, 40), (0.5, 1.9, 190), (1.2, 0.7, -40), (0.2, 0.2, -170), (1.8, 0.4, 60)),
    "T": _glyph(1.7, (0.0, 2.2), (1.9, 2.5, -20), (1.0, 2.4), (0.6, 0.0, -10), (0.0, 0.3, -120)),
    "V": _glyph(1.9, (0.0, 2.4), (0.8, 0.0, 10), (1.9, 2.5, 30)),
    "W": _glyph(2.6, (0.1, 2.4), (0.6, 0.0, 20), (1.2, 1.8, 20), (1.6, 0.0, 20), (2.6, 2.5, 40)),
}
_DELAYED = {"i": Move(0.5, 1.75), "t": Move(0.0, 1.3)}
"""Where the dot or the cross bar of a letter begins, written once the word is complete."""


@dataclass(frozen=True, slots=True, eq=False)
class ActionPlan:
    """The targets of n strokes. The pen starts at (0, 0)."""

    x: Array
    """Targets to the right [x-heights]."""
    y: Array
    """Targets upwards from the baseline [x-heights]."""
    turn: Array
    """How far each stroke bends, anticlockwise [rad]."""
    down: NDArray[np.bool_]
    """Whether each stroke leaves ink; the first and the last do."""

    def __len__(self) -> int:
        return len(self.x)

    @classmethod
    def of(cls, moves: Sequence[Move]) -> ActionPlan:
        """Return the plan of `moves`, without what is drawn in the air before the first ink and after the last."""
        inked = [i for i, move in enumerate(moves) if move.down]
        lead, body = moves[: inked[0]], moves[inked[0] : inked[-1] + 1]
        x0, y0 = (lead[-1].x, lead[-1].y) if lead else (0.0, 0.0)
        return cls(
            x=np.array([move.x - x0 for move in body]),
            y=np.array([move.y - y0 for move in body]),
            turn=np.radians([move.turn for move in body]),
            down=np.array([move.down for move in body], dtype=np.bool_),
        )

    def styled(
        self, *, slant: float, stretch: float, roundness: float, rise: float, quirk: float, rng: np.random.Generator
    ) -> Self:
        """Return the plan in somebody's style.

        Args:
            slant: By how much a letter leans to the right per x-height, as a share.
            stretch: Width over height, as a factor.
            roundness: How much strokes bend, as a factor.
            rise: By how much the line climbs per x-height to the right.
            quirk: Standard deviation of a target's place, which makes letter forms the writer's own [x-heights].
            rng: Draws the quirks.
        """
        x, y = (c + rng.normal(0.0, quirk, len(self)) for c in (self.x, self.y))
        x = stretch * x + slant * y
        return replace(self, x=x, y=y + rise * x, turn=roundness * self.turn)

    def scaled(self, factor: float) -> Self:
        """Return the plan with its lengths multiplied."""
        return replace(self, x=factor * self.x, y=factor * self.y)

    def with_corrections(self, rng: np.random.Generator, *, chance: float, longer_than: float) -> Self:
        """Return the same shape with some of its longer inked strokes done in two, as one who traces it does."""
        step_x, step_y = np.diff(self.x, prepend=0.0), np.diff(self.y, prepend=0.0)
        long = self.down & (np.hypot(step_x, step_y) > longer_than)
        cut = np.flatnonzero(long & (rng.random(len(self)) < chance))
        # The middle of an arc lies beside the middle of its chord, to the right of one that turns left.
        bulge = 0.5 * np.tan(self.turn[cut] / 4)
        middle_x = self.x[cut] - 0.5 * step_x[cut] + bulge * step_y[cut]
        middle_y = self.y[cut] - 0.5 * step_y[cut] - bulge * step_x[cut]
        turn = self.turn.copy()
        turn[cut] /= 2
        return replace(
            self,
            x=np.insert(self.x, cut, middle_x),
            y=np.insert(self.y, cut, middle_y),
            turn=np.insert(turn, cut, turn[cut]),
            down=np.insert(self.down, cut, self.down[cut]),
        )


def invent(rng: np.random.Generator) -> ActionPlan:
    """Make up a signature: a name in cursive, initials and a name, a fast paraph, or characters in single strokes."""
    kind = rng.choice(("name", "initials", "paraph", "characters"), p=(0.45, 0.2, 0.15, 0.2))
    compose = {"name": _name, "initials": _initials, "paraph": _paraph, "characters": _characters}[str(kind)]
    return ActionPlan.of(_within_limits(compose(rng), rng))


def _within_limits(moves: list[Move], rng: np.random.Generator) -> list[Move]:
    """Shorten a signature that has too many strokes, lengthen by a flourish one that has too few."""
    moves = moves[:MAX_STROKES]
    while sum(move.down for move in moves) < MIN_STROKES:
        moves = moves + _flourish(moves, rng)
    return moves[:MAX_STROKES]


def _shifted(moves: Iterable[Move], x: float, y: float = 0.0, scale: float = 1.0) -> list[Move]:
    return [replace(move, x=x + scale * move.x, y=y + scale * move.y) for move in moves]


def _letters(text: str, x: float, rng: np.random.Generator, *, joined: float, decay: float) -> list[Move]:
    """Write a word of small letters from `x` on: `joined` is the chance of no lift, `decay` the loss of height."""
    moves: list[Move] = []
    delayed: list[Move] = []
    scale = 1.0
    for i, letter in enumerate(text):
        glyph = VOWELS.get(letter) or CONSONANTS[letter]
        if i and rng.random() > joined:
            x += 0.25
            moves.append(Move(x, 0.1, down=False))
        moves += _shifted(glyph.moves, x, scale=scale)
        if letter in _DELAYED and rng.random() < 0.6:
            mark = _shifted([_DELAYED[letter]], x, scale=scale)[0]
            bar = 0.3 if letter == "i" else 1.2
            delayed += [replace(mark, down=False), Move(mark.x + bar, mark.y + 0.1 * float(rng.normal()), 0.0)]
        x += glyph.width * scale
        scale *= 1.0 - decay
    return moves + delayed


def _invented_word(rng: np.random.Generator, syllables: int) -> str:
    return "".join(str(rng.choice(sorted(CONSONANTS))) + str(rng.choice(sorted(VOWELS))) for _ in range(syllables)) + (
        str(rng.choice(sorted(CONSONANTS))) if rng.random() < 0.5 else ""
    )


def _capital(x: float, rng: np.random.Generator) -> tuple[list[Move], float]:
    glyph = CAPITALS[str(rng.choice(sorted(CAPITALS)))]
    size = float(rng.uniform(0.9, 1.5))
    return _shifted(glyph.moves, x, scale=size), x + size * glyph.width


def _name(rng: np.random.Generator) -> list[Move]:
    moves, x = _capital(0.0, rng)
    if rng.random() < 0.5:
        moves.append(Move(x + 0.1, 0.1, down=False))
    joined, decay = float(rng.uniform(0.75, 1.0)), float(rng.uniform(0.0, 0.1))
    moves += _letters(_invented_word(rng, int(rng.integers(1, 4))), x, rng, joined=joined, decay=decay)
    return moves + _flourish(moves, rng) if rng.random() < 0.45 else moves


def _initials(rng: np.random.Generator) -> list[Move]:
    first, x = _capital(0.0, rng)
    x += 0.4
    second, x_end = _capital(x, rng)
    moves = [*first, Move(x, 0.1, down=False), *second, Move(x_end + 0.2, 0.1, down=False)]
    moves += _letters(_invented_word(rng, int(rng.integers(1, 3))), x_end + 0.2, rng, joined=0.95, decay=0.06)
    return moves + _flourish(moves, rng) if rng.random() < 0.3 else moves


def _paraph(rng: np.random.Generator) -> list[Move]:
    """A capital, then a wave that runs out, then a sweep: what is left of a name that was written too often."""
    moves, x = _capital(0.0, rng)
    height, step = float(rng.uniform(1.0, 2.0)), float(rng.uniform(0.35, 0.6))
    for _ in range(int(rng.integers(3, 7))):
        looped = rng.random() < 0.4
        moves.append(Move(x + 1.1 * step, height, 40.0 if looped else -25.0))
        if looped:
            moves.append(Move(x + 0.6 * step, 0.9 * height, 160.0))
        moves.append(Move(x + 1.7 * step, float(rng.normal(0.0, 0.15)), float(rng.uniform(-30, 50))))
        x, height = x + 1.7 * step, height * float(rng.uniform(0.7, 0.95))
    return moves + _flourish(moves, rng)


def _characters(rng: np.random.Generator) -> list[Move]:
    """Two or three characters of single strokes: bars, stems, sweeps and hooks in a square."""
    moves: list[Move] = []
    for i in range(int(rng.integers(2, 4))):
        side = float(rng.uniform(2.4, 3.4))
        for _ in range(int(rng.integers(3, 6))):
            x, y = float(rng.uniform(0.0, 0.5)), float(rng.uniform(0.3, 1.0))
            form = rng.choice(("bar", "stem", "sweep", "hook"))
            strokes = {
                "bar": [Move(0.0, y, down=False), Move(0.9, y + 0.08, -10.0)],
                "stem": [Move(1.8 * x, y + 0.2, down=False), Move(1.8 * x, 0.0, 0.0)],
                "sweep": [Move(x + 0.2, y, down=False), Move(x - 0.3, y - 0.6, -30.0)],
                "hook": [Move(x - 0.1, y, down=False), Move(x + 0.45, y + 0.05, -5.0), Move(x + 0.3, y - 0.7, -30.0)],
            }[str(form)]
            moves += _shifted(strokes, i * 3.4, scale=side)
    return moves


def _flourish(moves: Sequence[Move], rng: np.random.Generator) -> list[Move]:
    """End a signature: a line under it, a loop through it, or a tail."""
    left, right, last = min(m.x for m in moves), max(m.x for m in moves), moves[-1]
    width = right - left
    form = rng.choice(("underline", "double", "loop", "tail"), p=(0.35, 0.2, 0.15, 0.3))
    if form == "underline":
        return [
            Move(left + float(rng.uniform(-0.1, 0.4)) * width, float(rng.uniform(-1.3, -0.6)), down=False),
            Move(right + float(rng.uniform(-0.2, 0.2)) * width, float(rng.uniform(-1.1, -0.4)), _bend(rng, 0.0)),
        ]
    if form == "double":
        return [
            Move(right + 0.6, float(rng.uniform(0.2, 0.8)), _bend(rng, 60.0)),
            Move(left + float(rng.uniform(0.0, 0.5)) * width, float(rng.uniform(-1.4, -0.8)), _bend(rng, 100.0)),
            Move(right - float(rng.uniform(0.0, 0.3)) * width, float(rng.uniform(-1.9, -1.0)), _bend(rng, 120.0)),
        ]
    if form == "loop":
        return [
            Move(last.x + 0.9, last.y + float(rng.uniform(0.8, 2.0)), _bend(rng, 60.0)),
            Move(left + float(rng.uniform(0.2, 0.6)) * width, float(rng.uniform(-0.5, 0.9)), _bend(rng, 40.0)),
            Move(right + float(rng.uniform(0.0, 0.2)) * width, float(rng.uniform(-0.8, 0.0)), _bend(rng, 60.0)),
        ]
    return [Move(last.x + float(rng.uniform(0.2, 0.5)) * width, float(rng.uniform(-1.0, 1.2)), _bend(rng, 0.0))]


def _bend(rng: np.random.Generator, turn: float) -> float:
    return turn + float(rng.uniform(-30.0, 30.0))
