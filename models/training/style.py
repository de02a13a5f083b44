"""Styles: the same for all that claims to be one writer's, so that a few hundred writers become many more (JAX).

Applied to the channels of a batch while it is on the training processor. A writer who is turned, mirrored or writes
backwards is another writer to the network: what tells a forgery from a genuine signature must not depend on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import jax
import jax.numpy as jnp

from training.samples import CHANNELS

if TYPE_CHECKING:
    from jax import Array

_TURN: Final = 0.25
"""Deviation of the rotation [rad]."""
_MIRRORED: Final = 0.3
_BLUNT: Final = 0.2
"""Share of styled writers whose pen knows contact only."""
_TEMPO: Final = 0.2
"""Deviation of the logarithm of the tempo."""
_BACKWARDS: Final = 0.4
"""Share of the wild writers that write from the end to the beginning."""


class Style(NamedTuple):
    """Of each writer of a batch, [writers] each."""

    styled: Array
    angle: Array
    """Rotation [rad]."""
    side: Array
    """-1 for a mirrored writer, else 1."""
    blunt: Array
    """Pressure is contact only."""
    tempo: Array
    """Logarithm."""
    backwards: Array

    @classmethod
    def draw(cls, key: Array, writers: int, *, share: Array | float, wild: Array | float) -> Style:
        """Draw styles for a share of the writers, wild ones for a share of these."""
        keys = jax.random.split(key, 8)
        chance = [jax.random.uniform(k, (writers,)) for k in keys[:6]]
        styled = chance[0] < share
        is_wild = styled & (chance[1] < wild)
        turn = jnp.where(is_wild, 2 * jnp.pi * chance[5], _TURN * jax.random.normal(keys[6], (writers,)))
        return cls(
            styled=styled,
            angle=jnp.where(styled, turn, 0.0),
            side=jnp.where(styled & (chance[2] < _MIRRORED), -1.0, 1.0),
            blunt=styled & (chance[3] < _BLUNT),
            tempo=jnp.where(styled, _TEMPO * jax.random.normal(keys[7], (writers,)), 0.0),
            backwards=is_wild & (chance[4] < _BACKWARDS),
        )


def restyle(sequences: Array, style: Style) -> tuple[Array, Array]:
    """Let writers write in a style.

    Args:
        sequences: float32 [writers, signatures, rows, channels].
        style: of each writer.

    Returns:
        The sequences, and which writers are styled, bool [writers]: their global features no longer fit.
    """
    angle, side, blunt, tempo, backwards = (value[:, None, None] for value in style[1:])
    column = {name: sequences[..., place] for place, name in enumerate(CHANNELS)}
    for name, values in column.items():
        column[name] = jnp.where(backwards, values[..., ::-1], values)
    for name in ("dx", "dy", "dp", "cos", "sin", "turn", "acceleration"):
        column[name] = jnp.where(backwards, -1.0, 1.0) * column[name]
    column["time"] = jnp.where(backwards, 1.0 - column["time"], column["time"])
    for name in ("start", "pause"):
        # What came before a stroke comes after its mirror image.
        column[name] = jnp.where(backwards, jnp.roll(column[name], 1, axis=-1), column[name])

    c, s = jnp.cos(angle), jnp.sin(angle)
    for right, down, centre in (("x", "y", 0.5), ("dx", "dy", 0.0), ("cos", "sin", 0.0)):
        a, b = side * (column[right] - centre), column[down] - centre
        column[right], column[down] = c * a - s * b + centre, s * a + c * b + centre
    column["turn"] = side * column["turn"]
    column["p"], column["dp"] = jnp.where(blunt, 1.0, column["p"]), jnp.where(blunt, 0.0, column["dp"])
    column["pace"] = column["pace"] + tempo
    return jnp.stack([column[name] for name in CHANNELS], axis=-1), style.styled
