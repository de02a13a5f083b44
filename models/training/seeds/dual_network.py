"""The BiLSTM-SE dual-task network of the paper, one per user, trained in one compiled call (JAX).

Equations are those of the paper. A sequence passes two residual blocks with channel attention (1-4) and a bidirectional
LSTM (5-10); what comes out is joined by the global features and becomes x, the features before the fully connected
layer. On x stand the supervised task, cross-entropy of a softmax (11), and the metric task, center loss (12), summed
with alpha = 1 and beta = 0.1 (15). The paper's ablation:

* model 1: no BiLSTM (the mean over time instead), metric task only
* model 2: BiLSTM, metric task only
* model 3: BiLSTM, both tasks

What the paper leaves open, and what is chosen here:

* Its widths, the length of a sequence and the learning rate: `FILTERS`, `HIDDEN`, `FEATURES`, 256 rows, Keras' 1e-3.
* Center loss alone is least where x is constant, so it cannot be all of the metric task; section 2.5 calls the task
  joint training of Softmax Loss and Center Loss. Models 1 and 2 have no fully connected layer; their softmax is over
  -|x - c|^2 / 2, c the two centers: its posterior is the score, and only distances are learned.
* Equations 13 and 14 did not survive print. Centers follow the rule that the text around them quotes: a center moves
  towards the features of its own class in the batch, c_j -= rate * sum(c_j - x_i) / (1 + n_j), and by nothing else.
* 30 signatures do not make whole batches of 4: epochs follow each other without a seam, 100 of them in 750 steps.
* Batch normalisation as in the residual networks that the paper builds on. When scoring, its moments are those of the
  30 training signatures.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ModelNumber = Literal[1, 2, 3]
MODELS: Final[tuple[ModelNumber, ...]] = (1, 2, 3)

ALPHA: Final = 1.0
"""Weight of the supervised task."""
BETA: Final = 0.1
"""Weight of center loss."""
EPOCHS: Final = 100
BATCH: Final = 4
BETA_1, BETA_2, EPSILON, DECAY = 0.9, 0.99, 1e-8, 1e-5
"""Adam, by the paper's table 1; the learning rate at step n is LEARNING_RATE / (1 + DECAY n)."""
LEARNING_RATE: Final = 1e-3

FILTERS: Final = 32
HIDDEN: Final = 32
"""Units of the LSTM in each direction."""
FEATURES: Final = 32
"""Length of x."""
CENTER_RATE: Final = 0.5
_WIDTHS: Final = (5, 3)
"""Of the convolutions of the two blocks; each halves the sequence."""
_REDUCTION: Final = 4
_VARIANCE_FLOOR: Final = 1e-3
_CLASSES: Final = 2
GENUINE: Final = 0
"""Class of genuine signatures; forgeries are class 1."""

Parameters = dict[str, Any]


class Signatures(NamedTuple):
    """Signatures of one user as the network takes them."""

    sequences: NDArray[np.float32]
    """float32 [signatures, rows, channels]; rows a multiple of 4."""
    features: NDArray[np.float32]
    """Global features, standardised, float32 [signatures, features]."""
    classes: NDArray[np.int32]
    """int32 [signatures]: 0 genuine, 1 forged."""


class _Moments(NamedTuple):
    mean: Any
    variance: Any


def initial(key: Any, *, channels: int, features: int, model: ModelNumber) -> Parameters:
    """Draw the weights (Glorot uniform; LSTM forget gates begin open) and centers."""
    keys = iter(jax.random.split(key, 24))

    def weights(*shape: int) -> Any:
        return jax.nn.initializers.glorot_uniform()(next(keys), shape)

    parameters: Parameters = {}
    wide = channels
    for block, width in enumerate(_WIDTHS):
        parameters[f"block{block}"] = {
            "first": weights(width * wide, FILTERS),
            "second": weights(width * FILTERS, FILTERS),
            "shortcut": weights(wide, FILTERS),
            "scale": jnp.ones((3, FILTERS)),
            "shift": jnp.zeros((3, FILTERS)),
            "w1": weights(FILTERS, FILTERS // _REDUCTION),
            "w2": weights(FILTERS // _REDUCTION, FILTERS),
        }
        wide = FILTERS
    if model > 1:
        gates = jnp.zeros(4 * HIDDEN).at[HIDDEN : 2 * HIDDEN].set(1.0)
        for way in ("forward", "backward"):
            parameters[way] = {"w": weights(wide, 4 * HIDDEN), "u": weights(HIDDEN, 4 * HIDDEN), "b": gates}
        wide = 2 * HIDDEN
    parameters["globals"] = {"w": weights(features, FEATURES), "b": jnp.zeros(FEATURES)}
    parameters["features"] = {"w": weights(wide + FEATURES, FEATURES), "b": jnp.zeros(FEATURES)}
    if model == 3:
        parameters["classes"] = {"w": weights(FEATURES, _CLASSES), "b": jnp.zeros(_CLASSES)}
    return parameters


def embed(
    parameters: Parameters, sequences: Any, features: Any, moments: list[_Moments] | None = None
) -> tuple[Any, list[_Moments]]:
    """Compute x of a batch.

    Args:
        parameters: Of any of the three models.
        sequences: [batch, rows, channels].
        features: [batch, features].
        moments: What to normalise by; None for the batch's own.

    Returns:
        x [batch, FEATURES], and the moments that were used.
    """
    used: list[_Moments] = []

    def normalise(values: Any, scale: Any, shift: Any) -> Any:
        own = _Moments(values.mean((0, 1)), values.var((0, 1)))
        mean, variance = own if moments is None else moments[len(used)]
        used.append(_Moments(mean, variance))
        return (values - mean) * jax.lax.rsqrt(variance + _VARIANCE_FLOOR) * scale + shift

    u = sequences
    for block, width in enumerate(_WIDTHS):
        u = _residual(parameters[f"block{block}"], u, width=width, normalise=normalise)
    pooled = _bilstm(parameters["forward"], parameters["backward"], u) if "forward" in parameters else u.mean(1)
    known = jax.nn.relu(_dense(parameters["globals"], features))
    return _dense(parameters["features"], jnp.concatenate([pooled, known], axis=-1)), used


def _dense(layer: Parameters, values: Any) -> Any:
    return values @ layer["w"] + layer["b"]


def _convolve(values: Any, weights: Any, *, width: int, stride: int) -> Any:
    """Convolve along time, as one matrix product: much faster on a CPU than its convolutions of so few channels."""
    batch, rows, _ = values.shape
    padded = jnp.pad(values, ((0, 0), (width // 2, width // 2), (0, 0)))
    windows = jnp.concatenate([padded[:, k : k + rows : stride] for k in range(width)], axis=-1)
    return (windows.reshape(batch * rows // stride, -1) @ weights).reshape(batch, rows // stride, -1)


def _residual(block: Parameters, x: Any, *, width: int, normalise: Any) -> Any:
    """Two convolutions whose channels are weighed by attention (1-3), added to a shortcut (4)."""
    scale, shift = block["scale"], block["shift"]
    u = jax.nn.relu(normalise(_convolve(x, block["first"], width=width, stride=2), scale[0], shift[0]))
    u = normalise(_convolve(u, block["second"], width=width, stride=1), scale[1], shift[1])
    z = u.mean(1)
    s = jax.nn.sigmoid(jax.nn.relu(z @ block["w1"]) @ block["w2"])
    shortcut = normalise(_convolve(x, block["shortcut"], width=1, stride=2), scale[2], shift[2])
    return jax.nn.relu(u * s[:, None] + shortcut)


def _bilstm(forward: Parameters, backward: Parameters, x: Any) -> Any:
    """Return the last hidden states of both directions, equations (5) to (10)."""
    batch, rows, channels = x.shape

    def gates(way: Parameters, values: Any) -> Any:
        every = values.reshape(batch * rows, channels) @ way["w"] + way["b"]
        return every.reshape(batch, rows, -1).swapaxes(0, 1)

    def cell(way: Parameters, state: Any, given: Any) -> Any:
        h, c = state
        i, f, g, o = jnp.split(given + h @ way["u"], 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c

    def step(states: Any, given: Any) -> Any:
        return (cell(forward, states[0], given[0]), cell(backward, states[1], given[1])), None

    rest = (jnp.zeros((batch, HIDDEN)), jnp.zeros((batch, HIDDEN)))
    states, _ = jax.lax.scan(step, (rest, rest), (gates(forward, x), gates(backward, x[:, ::-1])), unroll=4)
    return jnp.concatenate([states[0][0], states[1][0]], axis=-1)


def log_posterior(parameters: Parameters, centers: Any, x: Any) -> Any:
    """Return ln P(class) [batch, 2]: of the fully connected layer, or without one of the distances to the centers."""
    if "classes" in parameters:
        return jax.nn.log_softmax(_dense(parameters["classes"], x))
    return jax.nn.log_softmax(-0.5 * ((x[:, None] - centers[None]) ** 2).sum(-1))


def loss(parameters: Parameters, centers: Any, batch: tuple[Any, Any, Any]) -> tuple[Any, Any]:
    """Return alpha J1 + beta J2 (15) of a batch of (sequences, features, classes), and x."""
    sequences, features, classes = batch
    x, _ = embed(parameters, sequences, features)
    entropy = -(log_posterior(parameters, centers, x) * jax.nn.one_hot(classes, _CLASSES)).sum(-1).mean()
    center = 0.5 * ((x - centers[classes]) ** 2).sum()
    return ALPHA * entropy + BETA * center, x


def moved_centers(centers: Any, x: Any, classes: Any) -> Any:
    """Return the centers after a batch: each a little nearer to the features of its own class in it."""
    own = jax.nn.one_hot(classes, _CLASSES).T
    away = own.sum(-1)[:, None] * centers - own @ x
    return centers - CENTER_RATE * away / (1.0 + own.sum(-1)[:, None])


def _descend(state: Any, batch: Any) -> Any:
    """One step of Adam."""
    parameters, centers, first, second, n = state
    gradient, x = jax.grad(loss, has_aux=True)(parameters, centers, batch)
    first = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, first, gradient)
    second = jax.tree.map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, second, gradient)
    rate = LEARNING_RATE / (1 + DECAY * n) * jnp.sqrt(1 - BETA_2 ** (n + 1)) / (1 - BETA_1 ** (n + 1))
    parameters = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + EPSILON), parameters, first, second)
    return (parameters, moved_centers(centers, x, batch[2]), first, second, n + 1), None


@partial(jax.jit, static_argnames=("model",))
def _trained(key: Any, training: Signatures, tested: tuple[Any, Any], order: Any, *, model: ModelNumber) -> Any:
    """Train on `order` [stages, steps, BATCH] and return P(genuine) of the tested ones after each stage."""
    weights, places = jax.random.split(key)
    shape = {"channels": training.sequences.shape[-1], "features": training.features.shape[-1]}
    parameters = initial(weights, **shape, model=model)
    centers = jax.random.normal(places, (_CLASSES, FEATURES))
    still = jax.tree.map(jnp.zeros_like, parameters)

    def stage(state: Any, steps: Any) -> Any:
        state, _ = jax.lax.scan(lambda s, rows: _descend(s, tuple(part[rows] for part in training)), state, steps)
        _, moments = embed(state[0], training.sequences, training.features)
        x, _ = embed(state[0], *tested, moments)
        return state, jnp.exp(log_posterior(state[0], state[1], x)[:, GENUINE])

    return jax.lax.scan(stage, (parameters, centers, still, still, 0.0), order)[1]


def train_and_score(
    training: Signatures,
    tested: Signatures,
    *,
    model: ModelNumber,
    seed: int,
    user: int,
    stages: int,
    epochs: int = EPOCHS,
) -> list[list[float]]:
    """Train one user's network and score signatures with it.

    Args:
        training: Of that user. The classes of `tested` are not looked at.
        tested: Likewise.
        model: Of the ablation.
        seed: Of the weights and of the order of signatures, with `user`.
        user: Number of the user.
        stages: After each of so many equal parts of the training, scores are taken.
        epochs: How often every signature is seen.

    Returns:
        P(genuine), [stages][tested signatures]; the last row is that of the finished network.

    Raises:
        ValueError: if the stages cannot be equal.
    """
    count = len(training.classes)
    if epochs * count % (BATCH * stages):
        raise ValueError(f"{epochs} epochs of {count} signatures are not {stages} stages of whole batches of {BATCH}")
    rng = np.random.default_rng((seed, user))
    order = np.concatenate([rng.permutation(count) for _ in range(epochs)]).reshape(stages, -1, BATCH)
    key = jax.random.fold_in(jax.random.PRNGKey(seed), user)
    scores = _trained(key, training, (tested.sequences, tested.features), order, model=model)
    found: list[list[float]] = np.asarray(scores, dtype=np.float64).tolist()
    return found
