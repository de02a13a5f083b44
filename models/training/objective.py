"""The objective: what the network is asked for, on one batch of writers.

1. Alignment, episodic: every signature of a writer is a query against the writer's other genuine ones, as at a door.
   Its warping distances, measured by the references' own, must tell genuine from forged at **one threshold for
   everybody**.
2. Alignment, triplets: a reference is nearer to genuine signatures than to forgeries, by a margin (DsDTW's loss, on
   logarithms: no scale).
3. The same two for the angle between embeddings.
4. Both tasks of the BiLSTM-SE dual-task paper on the embedding: cross-entropy over writers, each once genuine and once
   forged (equation 11), and center loss (12), with its weights alpha and beta (15).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from training.network import EMBEDDING, apply
from training.softdtw import soft_dtw, squared_distances

if TYPE_CHECKING:
    from collections.abc import Callable

    from jax import Array
    from numpy.typing import NDArray

    from training.network import Parameters

GENUINE: Final = 5
"""Genuine signatures of each writer in a batch."""
FORGED: Final = 5
"""Forgeries of each writer in a batch."""
STRANGERS: Final = 2
"""Signatures of other writers that each writer is compared with."""


class Weights(NamedTuple):
    """What each part of the objective counts."""

    alignment_episodes: float = 1.0
    alignment_triplets: float = 1.0
    embedding_episodes: float = 0.5
    embedding_triplets: float = 0.5
    entropy: float = 0.3
    """The paper's alpha = 1, against the other parts."""
    center: float = 0.03
    """The paper's beta = 0.1 of alpha."""
    synthetic: float = 0.5
    """Of a synthetic forgery, against a real one."""
    strangers: float = 0.4
    """Of another writer's signature, against a forgery."""
    gamma: float = 0.3
    """Softness of the warping."""
    margin: float = 0.5
    """Of triplets, as a difference of logarithms."""


class Batch(NamedTuple):
    """Writers x (GENUINE + FORGED) signatures."""

    sequences: Array
    """float32 [writers, GENUINE + FORGED, rows, channels]."""
    features: Array
    """float32 [writers, GENUINE + FORGED, features]."""
    synthetic: Array
    """bool [writers, FORGED]: this forgery was made by `training.augment.forge`."""
    writers: Array
    """int32 [writers]: which writer, as the table of classes counts."""


def heads(writers: int, seed: int) -> dict[str, NDArray[np.float32]]:
    """Draw what only training has: directions and centers of classes, and the threshold of each kind of episode."""
    rng = np.random.default_rng((seed, 1))
    return {
        "heads.directions": rng.normal(0, EMBEDDING**-0.5, (2 * writers, EMBEDDING)).astype(np.float32),
        "heads.centers": np.zeros((2 * writers, EMBEDDING), np.float32),
        # Threshold, logarithm of sharpness, and how much of the references' own distance is divided by.
        "heads.alignment": np.array([0.0, 1.0, 0.5], np.float32),
        "heads.embedding": np.array([0.0, 1.0, 0.5], np.float32),
    }


def loss(parameters: Parameters, batch: Batch, weights: Weights) -> tuple[Array, dict[str, Array]]:
    """Return the objective and its parts."""
    count, each = batch.sequences.shape[:2]
    flat = (batch.sequences.reshape(-1, *batch.sequences.shape[2:]), batch.features.reshape(count * each, -1))
    frames, embeddings = apply(parameters, *flat)
    embeddings = embeddings / jnp.sqrt((embeddings**2).sum(-1, keepdims=True) + 1e-8)
    frames = frames.reshape(count, each, *frames.shape[1:])
    embeddings = embeddings.reshape(count, each, -1)

    warped = _Distances.of(frames, lambda a, b: soft_dtw(squared_distances(a, b), weights.gamma))
    angles = _Distances.of(embeddings, lambda a, b: 1.0 - (a * b).sum(-1))
    kind = jnp.where(batch.synthetic, weights.synthetic, 1.0)
    parts = {
        "alignment_episodes": _episodes(warped, parameters["heads.alignment"], kind, weights.strangers, floor=0.02),
        "alignment_triplets": _triplets(warped, kind, weights.strangers, weights.margin, floor=0.02),
        "embedding_episodes": _episodes(angles, parameters["heads.embedding"], kind, weights.strangers, floor=0.02),
        "embedding_triplets": _triplets(angles, kind, weights.strangers, weights.margin, floor=0.02),
    }
    parts["entropy"], parts["center"] = _dual_task(parameters, embeddings, batch, kind)
    total = sum(getattr(weights, name) * part for name, part in parts.items())
    return jnp.asarray(total), parts


_PAIRS = np.array([(a, b) for a in range(GENUINE) for b in range(a + 1, GENUINE)])
_NOT_SELF = ~np.eye(GENUINE, dtype=np.bool_)


class _Distances(NamedTuple):
    """Distances within a batch."""

    genuine: Array
    """[writers, GENUINE, GENUINE]: between the genuine signatures of one writer; 0 on the diagonal."""
    forged: Array
    """[writers, GENUINE, FORGED]."""
    strangers: Array
    """[writers, GENUINE, STRANGERS]: to signatures of the next writers of the batch."""

    @classmethod
    def of(cls, what: Array, distance: Callable[[Array, Array], Array]) -> _Distances:
        """Compare what each signature became, [writers, GENUINE + FORGED, ...]; `distance` compares many with many."""
        own, forged = what[:, :GENUINE], what[:, GENUINE:]
        others = jnp.stack([jnp.roll(own[:, k], -1 - k, axis=0) for k in range(STRANGERS)], axis=1)
        groups = [(own[:, _PAIRS[:, 0]], own[:, _PAIRS[:, 1]])]
        for against in (forged, others):
            wide = (own.shape[0], GENUINE, against.shape[1], *own.shape[2:])
            left, right = jnp.broadcast_to(own[:, :, None], wide), jnp.broadcast_to(against[:, None], wide)
            groups.append(tuple(side.reshape(own.shape[0], -1, *own.shape[2:]) for side in (left, right)))
        left, right = (jnp.concatenate([group[side] for group in groups], axis=1) for side in (0, 1))
        found = distance(left.reshape(-1, *left.shape[2:]), right.reshape(-1, *right.shape[2:]))
        within, forged_, strangers = jnp.split(
            found.reshape(own.shape[0], -1), [len(_PAIRS), len(_PAIRS) + GENUINE * FORGED], axis=1
        )
        table = jnp.zeros((own.shape[0], GENUINE, GENUINE)).at[:, _PAIRS[:, 0], _PAIRS[:, 1]].set(within)
        return cls(
            table + table.transpose(0, 2, 1),
            forged_.reshape(-1, GENUINE, FORGED),
            strangers.reshape(-1, GENUINE, STRANGERS),
        )


def _log(distance: Array, floor: float) -> Array:
    # Soft warping may fall below zero.
    return jnp.log(jax.nn.softplus(distance / floor) * floor + floor)


def _episodes(d: _Distances, head: Array, kind: Array, strangers: float, *, floor: float) -> Array:
    """Cross-entropy of genuine against not, each query measured by the references' own distances."""
    threshold, sharpness, share = head[0], jnp.exp(head[1]), jnp.clip(head[2], 0.0, 1.0)

    def surprise(to: Array, own: Array) -> Array:
        """Distances to references [..., references], own mean distance [...] -> how unlike."""
        near = -jax.nn.logsumexp(-8.0 * to, axis=-1) / 8.0
        return 0.5 * (to.mean(-1) + near) - share * own

    log = _Distances(*(_log(part, floor) for part in d))
    g = GENUINE
    pairs = log.genuine.sum((1, 2)) - jnp.trace(log.genuine, axis1=1, axis2=2)
    row = log.genuine.sum(2) - jnp.diagonal(log.genuine, axis1=1, axis2=2)
    # A genuine query is not among its references, nor are its distances among theirs.
    apart = log.genuine[:, _NOT_SELF].reshape(-1, g, g - 1)
    own = surprise(apart, (pairs[:, None] - 2 * row) / ((g - 1) * (g - 2)))
    mean = (pairs / (g * (g - 1)))[:, None]
    forged = surprise(log.forged.transpose(0, 2, 1), mean)
    other = surprise(log.strangers.transpose(0, 2, 1), mean)
    cost = jax.nn.softplus(sharpness * (own - threshold)).mean()
    cost += (kind * jax.nn.softplus(-sharpness * (forged - threshold))).sum() / kind.sum()
    return cost + strangers * jax.nn.softplus(-sharpness * (other - threshold)).mean()


def _triplets(d: _Distances, kind: Array, strangers: float, margin: float, *, floor: float) -> Array:
    """Hinge over (reference, genuine, not genuine), over those that are not yet told apart."""
    log = _Distances(*(_log(part, floor) for part in d))
    total = jnp.zeros(())
    for against, weight in ((log.forged, kind), (log.strangers, jnp.full((1, STRANGERS), strangers))):
        gap = jax.nn.relu(margin + log.genuine[:, :, :, None] - against[:, :, None, :])
        gap = gap * _NOT_SELF[None, :, :, None] * weight[:, None, None, :]
        total += gap.sum() / ((gap > 0).sum() + 1.0)
    return total


_SCALE: Final = 16.0
"""Sharpness of the softmax over cosines."""
_AHEAD: Final = 0.15
"""What a class must be ahead of every other by, as a cosine."""


def _dual_task(parameters: Parameters, embeddings: Array, batch: Batch, kind: Array) -> tuple[Array, Array]:
    """Cross-entropy over classes and center loss of unit embeddings."""
    classes = parameters["heads.directions"].shape[0]
    forged = jnp.arange(GENUINE + FORGED) >= GENUINE
    label = (2 * batch.writers[:, None] + forged).reshape(-1)
    weight = jnp.concatenate([jnp.ones((kind.shape[0], GENUINE)), kind], axis=1).reshape(-1)
    x = embeddings.reshape(-1, EMBEDDING)
    directions = parameters["heads.directions"]
    directions = directions / jnp.sqrt((directions**2).sum(-1, keepdims=True) + 1e-8)
    target = jax.nn.one_hot(label, classes)
    logits = _SCALE * (x @ directions.T - _AHEAD * target)
    entropy = -(target * jax.nn.log_softmax(logits)).sum(-1)
    gap = ((x - parameters["heads.centers"][label]) ** 2).sum(-1)
    return (weight * entropy).sum() / weight.sum(), 0.5 * (weight * gap).sum() / weight.sum()
