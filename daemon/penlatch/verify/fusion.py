"""The fusion cost: what it takes to turn one signature's 3-D models of pressure, speed and time into another's.

After the timing feature fusion paper, sections 2 to 5.2. A character's time in contact is cut into m = 5 segments of
n = 6 samples. At node i = 1..5 its model has

* x = v'_i, the median speed of segment i over the greatest of the five,
* y = i/5, time,
* z = F'_i, the pressure level of segment i over the greatest of the five.

Its contours are the three projections of these nodes: (v', t, 0), (0, t, F'), (v', 0, F').

Print has damaged the paper's formulas, and it leaves some things open. What is chosen here, and why:

* Contact time only is the time axis: the paper's runs from pen-down to pen-up, and databases leave pen-ups out.
* Stroke width is d = 3 p [mm], as the paper's tablet draws 0..3 mm over its range of pressure. Four levels are stated,
  so d = 3 mm, which the formula alone would put into a fifth, is level 4.
* The paper takes a random one of the six columns of samples for pressure. Here it is the third: sample 3 of segment i
  is at time (6 (i-1) + 3) / 30 of the whole, the very middle of the segment.
* Skeleton pixels per interval are the length of line drawn in it. The median of six is the mean of the middle two.
* The triangle at node i joins its points on the three contours; the tetrahedron stands on it with its apex at the
  origin of the three planes. (An apex at (v', t, F') instead would halve every volume.)
* Directions n1, n2 lead from a node to the nodes before and after it on its contour. Node 1 has none before it: n1 = n2
  there, so that its base vector is its only direction. A neighbour in the same place gives no direction either: the
  other neighbour's serves for both, and where both are in the same place the node is neither rotated nor deformed.
* Where n1 = -n2, their sum has no direction, and the base vector is n2 turned by 90 degrees, a perpendicular to the
  contour, as the bisector of every other node nearly is where the contour is nearly straight.
* The rotation cost, printed with one model's vectors only, is the angle between the base vectors of both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from penlatch.signal.preprocess import Ink, clean
from penlatch.verify.characters import character_starts, common_cuts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from penlatch.ink import Trace

SEGMENTS: Final = 5
"""m: segments of a character, and nodes of its model."""
SAMPLES: Final = 6
"""n: samples of a segment."""
WEIGHT: Final = 3.0
"""w: what brings angles [rad] and distances into one sum."""
GENUINE_SHARE: Final = 0.6
"""a: the mean cost between genuine signatures as a share of the threshold."""

_STROKE_WIDTH_MM: Final = 3.0
"""Width of the line at full pressure."""
_LEVEL_MM: Final = 0.75
_LEVELS: Final = 4
_SAME_PLACE: Final = 1e-9
"""Vectors shorter than this have no direction."""


def prepare(signature: Trace | Ink) -> NDArray[np.float32]:
    """Compute once what `distances` needs of a signature.

    Returns:
        float32 [n, 3], one row per 10 ms of contact: pressure [0..1], length of line drawn so far as a share of the
        whole [0..1], and 1 where a character of this signature begins, else 0.

    Raises:
        TraceError: if the pen never touched.
    """
    ink = signature if isinstance(signature, Ink) else clean(signature)
    steps = np.hypot(np.diff(ink.x, prepend=ink.x[0]), np.diff(ink.y, prepend=ink.y[0]))
    steps[ink.start] = 0.0
    path = np.cumsum(steps)
    path /= path[-1] or 1.0
    columns: list[NDArray[np.float64]] = [ink.p, path, character_starts(ink).astype(np.float64)]
    return np.stack(columns, axis=1).astype(np.float32)


def distances(query: NDArray[np.float32], references: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Compute the fusion cost from a query to each reference, the mean of its characters' costs.

    The references fix how every signature, the query too, is cut into characters: pass all of a user's.

    Args:
        query: as `prepare` gave it.
        references: likewise.

    Returns:
        float64 [len(references)], 0 for the same signature.
    """
    if not references:
        return np.empty(0)
    bounds = common_cuts([reference[:, 2] > 0 for reference in references])
    models = Model.of(*sample([query, *references], bounds))
    costs = cost(models.take(slice(0, 1)), models.take(slice(1, None)))
    return np.asarray(costs.mean(axis=-1))


def threshold(between_references: NDArray[np.float64]) -> float:
    """Return the greatest cost that counts as genuine, T = mean genuine cost / a with a = 0.6.

    Args:
        between_references: float64 [r, r], from each reference to each; its diagonal is not looked at. r >= 2.

    Raises:
        ValueError: if there are fewer than two references.
    """
    count = len(between_references)
    if count < 2:
        raise ValueError("the threshold needs the costs between two references or more")
    return float(between_references[~np.eye(count, dtype=np.bool_)].mean()) / GENUINE_SHARE


def sample(
    signatures: Sequence[NDArray[np.float32]],
    bounds: NDArray[np.float64],
    *,
    segments: int = SEGMENTS,
    samples: int = SAMPLES,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read the normalised segment speeds v' and pressure levels F' of every character of every signature.

    With sample times t_ij = (n (i-1) + j) / (m n) of the character's time, i = 1..m, j = 1..n::

        v_ij = length drawn from the sample before t_ij until t_ij / time between them
        v_i  = median of v_i1 .. v_in,        v'_i = v_i / max(v_1 .. v_m), 0 throughout where nothing was drawn
        F_i  = min(floor(d_i / 0.75) + 1, 4), F'_i = F_i / max(F_1 .. F_m), with d_i the width at t_i,n/2

    Args:
        signatures: s of them, each as `prepare` gave it.
        bounds: float64 [k + 1], as `common_cuts` gave them.
        segments: m, the paper's 5 unless finer sampling is being studied.
        samples: n, likewise 6; even.

    Returns:
        v' and F', float64 [s, k, m] each.
    """
    begin, share = bounds[:-1, np.newaxis], np.diff(bounds)[:, np.newaxis]
    times = begin + share * np.linspace(0.0, 1.0, segments * samples + 1)
    path, pressure = np.empty((2, len(signatures), *times.shape))
    for k, signature in enumerate(signatures):
        rows = np.linspace(0.0, 1.0, len(signature))
        path[k] = np.interp(times, rows, signature[:, 1])
        pressure[k] = np.interp(times, rows, signature[:, 0])

    v = np.diff(path, axis=-1) / np.diff(times, axis=-1)
    speed = _median(v.reshape(*v.shape[:-1], segments, samples))
    return normalise(speed), normalise(pressure_level(pressure[..., samples // 2 :: samples]))


def _median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of the middle two on the last axis (of even length); numpy's own is slow on small arrays."""
    ordered = np.sort(values, axis=-1)
    middle = values.shape[-1] // 2
    return np.asarray((ordered[..., middle - 1] + ordered[..., middle]) / 2.0)


def pressure_level(pressure: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return F = floor(d / 0.75 mm) + 1 of the stroke width d = 3 mm * pressure: one of the levels 1 to 4."""
    width = _STROKE_WIDTH_MM * pressure
    return np.asarray(np.minimum(np.floor(width / _LEVEL_MM) + 1.0, _LEVELS))


def normalise(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide by the greatest value along the last axis; zeros stay zeros."""
    greatest: NDArray[np.float64] = values.max(axis=-1, keepdims=True)
    return np.divide(values, greatest, out=np.zeros_like(values), where=greatest > 0)


class Model(NamedTuple):
    """Models of characters: arrays whose leading axes are signatures and characters; m = 5 nodes in all that runs."""

    speed: NDArray[np.float64]
    """v' [..., m]."""
    level: NDArray[np.float64]
    """F' [..., m]."""
    area: NDArray[np.float64]
    """Of the triangle at each node [..., m]."""
    volume: NDArray[np.float64]
    """Of the tetrahedron at each node [..., m]."""
    base: NDArray[np.complex128]
    """Base vector n of all nodes but the last on each contour [..., 3, m - 1], a complex number in the contour's plane:
    of length 1, or 0 where a node has no direction."""
    opening: NDArray[np.float64]
    """Angle between n1 and n2 [rad, 0..pi; ..., 3, m - 1]."""

    @classmethod
    def of(cls, speed: NDArray[np.float64], level: NDArray[np.float64]) -> Model:
        """Build models from v' and F', [..., m] each.

        Area and volume at (v, t, F) follow from the triangle (v, t, 0), (0, t, F), (v, 0, F): half the length of the
        cross product of two sides, sqrt((tF)^2 + (vF)^2 + (vt)^2) / 2; and a sixth of the determinant of its corners,
        2 v t F / 6.
        """
        nodes = speed.shape[-1]
        time = np.broadcast_to(np.arange(1, nodes + 1) / nodes, speed.shape)
        area = np.sqrt((time * level) ** 2 + (speed * level) ** 2 + (speed * time) ** 2) / 2.0
        volume = speed * time * level / 3.0
        contours = np.stack([speed + 1j * time, time + 1j * level, speed + 1j * level], axis=-2)
        return cls(speed, level, area, volume, *directions(contours))

    def take(self, signatures: slice) -> Model:
        """Return the models of some of the signatures (the first axis)."""
        return Model(
            self.speed[signatures],
            self.level[signatures],
            self.area[signatures],
            self.volume[signatures],
            self.base[signatures],
            self.opening[signatures],
        )


def _unit(vectors: NDArray[np.complex128]) -> NDArray[np.complex128]:
    length: NDArray[np.float64] = np.abs(vectors)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > _SAME_PLACE)


def directions(contours: NDArray[np.complex128]) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
    """Return base vectors and opening angles of all nodes but the last of contours [..., m], [..., m - 1] each."""
    after = _unit(np.diff(contours, axis=-1))
    before = np.concatenate([np.zeros_like(after[..., :1]), -after[..., :-1]], axis=-1)
    n1 = np.where(before == 0, after, before)
    n2 = np.where(after == 0, before, after)
    straight = np.abs(n1 + n2) <= _SAME_PLACE
    base = np.where(straight, 1j * n2, _unit(n1 + n2))
    return base, np.where(base == 0, 0.0, np.abs(np.angle(n2 * n1.conj())))


def shape_cost(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return S or V: the mean over the nodes of sqrt(|a_i - b_i|), of areas or of volumes [..., m]."""
    return np.asarray(np.sqrt(np.abs(a - b)).mean(axis=-1))


def translation_cost(a: Model, b: Model) -> NDArray[np.float64]:
    """Return C[T], the mean over m - 1 nodes x 3 contours of |dx| + |dy| + |dz|.

    Times are equal, and each of v' and F' is a coordinate of two contours out of three.
    """
    moved = np.abs(a.speed - b.speed) + np.abs(a.level - b.level)
    compared = moved[..., :-1]
    return np.asarray(2.0 * compared.sum(axis=-1) / (3 * compared.shape[-1]))


def rotation_cost(a: Model, b: Model) -> NDArray[np.float64]:
    """Return C[Sp], the mean over m - 1 nodes x 3 contours of the angle between the base vectors [rad]."""
    return np.asarray(np.abs(np.angle(b.base * a.base.conj())).mean(axis=(-1, -2)))


def deformation_cost(a: Model, b: Model) -> NDArray[np.float64]:
    """Return C[D], the mean over m - 1 nodes x 3 contours of |angle(n1_B, n2_B) - angle(n1_A, n2_A)| [rad]."""
    compared = (a.base != 0) & (b.base != 0)
    return np.asarray(np.where(compared, np.abs(b.opening - a.opening), 0.0).mean(axis=(-1, -2)))


def combine(
    rotation: NDArray[np.float64], deformation: NDArray[np.float64], *, weight: float = WEIGHT
) -> NDArray[np.float64]:
    """Return f(x, y) = (x^2 + y^2) / w."""
    return (rotation**2 + deformation**2) / weight


def cost(a: Model, b: Model) -> NDArray[np.float64]:
    """Return C(A -> B) = S + V + C[T] + f(C[Sp], C[D]) of every pair of characters, broadcasting the leading axes."""
    return (
        shape_cost(a.area, b.area)
        + shape_cost(a.volume, b.volume)
        + translation_cost(a, b)
        + combine(rotation_cost(a, b), deformation_cost(a, b))
    )
