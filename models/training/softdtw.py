"""Soft dynamic time warping (Cuturi and Blondel, 2017), differentiable and batched: learned alignment trains with it.

The minimum over the three predecessors of a cell is replaced by ``-gamma log sum exp(-. / gamma)``; with gamma -> 0
it becomes the warping that the terminal computes (`penlatch.verify.warping`), without its band. Cells of one
antidiagonal do not depend on each other, so a whole antidiagonal of every pair is one vector operation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from jax import Array

_FAR: Final = 1e6
"""Cost of what lies outside the table: far above any path, far below float32's end."""


def soft_dtw(cost: Array, gamma: Array | float) -> Array:
    """Return the soft cost of the cheapest monotone path from corner to corner, per step of the longest one.

    Args:
        cost: float32 [pairs, n, n], cost of aligning row i of one with row j of the other.
        gamma: softness, in units of cost, > 0.

    Returns:
        float32 [pairs], divided by 2 n as the terminal does.
    """
    pairs, n, _ = cost.shape

    def step(carry: tuple[Array, Array], diagonal: Array) -> tuple[tuple[Array, Array], None]:
        last, before = carry
        # Place i + 1 holds row i; place 0 is the wall above the first row.
        ways = jnp.stack([last[:, :-1], last[:, 1:], before[:, :-1]])
        least = ways.min(axis=0)
        soft = least - gamma * jnp.log(jnp.exp((least - ways) / gamma).sum(axis=0))
        here = jnp.minimum(diagonal + soft, _FAR)
        return (jnp.pad(here, ((0, 0), (1, 0)), constant_values=_FAR), last), None

    wall = jnp.full((pairs, n + 1), _FAR)
    (last, _), _ = jax.lax.scan(step, (wall, wall.at[:, 0].set(0.0)), _antidiagonals(cost))
    return last[:, n] / (2 * n)


def _antidiagonals(cost: Array) -> Array:
    """Return [2 n - 1, pairs, n]: entry (k, pair, i) is cost(i, k - i), `_FAR` outside the table."""
    pairs, n, _ = cost.shape
    # Rows padded to 2 n and cut to 2 n - 1 slide by one from row to row: a skewed table without a gather.
    padded = jnp.pad(cost, ((0, 0), (0, 0), (0, n)), constant_values=_FAR).reshape(pairs, 2 * n * n)
    return padded[:, : n * (2 * n - 1)].reshape(pairs, n, 2 * n - 1).transpose(2, 0, 1)


def squared_distances(a: Array, b: Array) -> Array:
    """Return the squared Euclidean distances between the frames of a and of b: [pairs, n, d] each -> [pairs, n, n]."""
    inner = jnp.einsum("pid,pjd->pij", a, b)
    return jnp.maximum((a * a).sum(-1)[:, :, None] + (b * b).sum(-1)[:, None, :] - 2.0 * inner, 0.0)
