"""The network: residual channel attention, a bidirectional LSTM; frames to align, and one embedding (JAX).

After the BiLSTM-SE dual-task paper: SE blocks on the residual branch (equations 1-4), a bidirectional LSTM (5-10).
Where penlatch departs from it, and why:

- The paper trains one classifier per user on that user's forgeries. A door has no forgeries of its owner, so one
  network serves everybody, people it has never met included.
- Besides the pooled embedding it gives a few dozen frames, which are compared by time warping (after Jiang et al.,
  DsDTW, 2022).

Pure functions over a dictionary of arrays: many networks can be trained side by side (`jax.vmap`), on any processor.
Only what TensorFlow Lite fuses is used: no mask, no dropout inside the LSTM, a fixed length. `training.convert` builds
the same network in Keras.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

if TYPE_CHECKING:
    from jax import Array
    from numpy.typing import NDArray

    Parameters = dict[str, Array]

EMBEDDING: Final = 64
"""Length of the vector that a whole signature becomes."""
FRAME: Final = 32
"""Length of the vector that each frame becomes."""
STRIDE: Final = 4
"""Rows of input per frame."""
HIDDEN: Final = 64
"""Units of the LSTM, in each direction."""
REDUCTION: Final = 8
"""Of the channels inside an attention block."""


class Convolution(NamedTuple):
    """Shape of one convolution along time."""

    width: int
    inputs: int
    outputs: int
    stride: int = 1

    def padding(self, rows: int) -> tuple[int, int]:
        """Return the zeros before and after, as TensorFlow's "same" has them."""
        total = max((-(-rows // self.stride) - 1) * self.stride + self.width - rows, 0)
        return total // 2, total - total // 2


class Block(NamedTuple):
    """Shape of one residual block with attention."""

    first: Convolution
    second: Convolution
    shortcut: Convolution | None


def blocks(channels: int) -> dict[str, Block]:
    """Return the residual blocks, by name, for an input of so many channels."""
    return {
        "b1": Block(Convolution(5, channels, 48, 2), Convolution(3, 48, 48), Convolution(1, channels, 48, 2)),
        "b2": Block(Convolution(3, 48, 64, 2), Convolution(3, 64, 64), Convolution(1, 48, 64, 2)),
        "b3": Block(Convolution(5, 64, 64), Convolution(3, 64, 64), None),
    }


def init(
    seed: int,
    *,
    channels: int,
    features: int,
    scaling: dict[str, NDArray[np.float32]],
) -> dict[str, NDArray[np.float32]]:
    """Draw initial parameters; the same seed gives the same.

    Args:
        seed: of the drawing.
        channels: channels of a sequence.
        features: number of global features.
        scaling: `sequence_mean`, `sequence_deviation` [channels], `features_mean`, `features_deviation` [features]: of
            the training data, kept with the parameters and never trained.
    """
    rng = np.random.default_rng(seed)
    drawn: dict[str, NDArray[np.float32]] = {}

    def dense(name: str, inputs: int, outputs: int, *, gain: float = 1.0) -> None:
        drawn[f"{name}.w"] = rng.normal(0, gain / np.sqrt(inputs), (inputs, outputs)).astype(np.float32)
        drawn[f"{name}.b"] = np.zeros(outputs, np.float32)

    def convolution(name: str, shape: Convolution, *, gain: float = 1.0) -> None:
        fan_in = shape.width * shape.inputs
        size = (shape.width, shape.inputs, shape.outputs)
        drawn[f"{name}.w"] = rng.normal(0, gain / np.sqrt(fan_in), size).astype(np.float32)
        drawn[f"{name}.b"] = np.zeros(shape.outputs, np.float32)

    for name, block in blocks(channels).items():
        convolution(f"{name}.1", block.first, gain=2**0.5)
        convolution(f"{name}.2", block.second)
        if block.shortcut:
            convolution(f"{name}.s", block.shortcut)
        width = block.second.outputs
        dense(f"{name}.squeeze", width, width // REDUCTION, gain=2**0.5)
        dense(f"{name}.excite", width // REDUCTION, width)
    for direction in ("forward", "backward"):
        dense(f"lstm.{direction}.x", 64, 4 * HIDDEN)
        drawn.pop(f"lstm.{direction}.x.b")
        orthogonal = [np.linalg.qr(rng.normal(size=(HIDDEN, HIDDEN)))[0] for _ in range(4)]
        drawn[f"lstm.{direction}.h.w"] = np.concatenate(orthogonal, axis=1).astype(np.float32)
        # Gates i, f, g, o; what is remembered at first is remembered for long.
        drawn[f"lstm.{direction}.b"] = np.repeat(np.array([0, 1, 0, 0], np.float32), HIDDEN)
    dense("frames", 2 * HIDDEN, FRAME, gain=0.5)
    dense("attention.1", 2 * HIDDEN, 32)
    dense("attention.2", 32, 1)
    dense("features", features, 32, gain=2**0.5)
    dense("embedding", 2 * HIDDEN + 32, EMBEDDING)
    return drawn | {f"scaling.{name}": values.astype(np.float32) for name, values in scaling.items()}


def apply(parameters: Parameters, sequences: Array, features: Array) -> tuple[Array, Array]:
    """Run the network.

    Args:
        parameters: as `init` draws them.
        sequences: float32 [n, rows, channels], rows a multiple of `STRIDE`.
        features: float32 [n, features].

    Returns:
        frames, float32 [n, rows / STRIDE, FRAME], and embeddings, float32 [n, EMBEDDING], whose direction counts.
    """
    p = parameters
    scaled = (sequences - p["scaling.sequence_mean"]) / p["scaling.sequence_deviation"]
    x = jnp.clip(scaled, -5.0, 5.0)
    for name, block in blocks(x.shape[-1]).items():
        x = _residual(p, name, block, x)
    both = _bidirectional(p, x)
    frames = _dense(p, "frames", both)
    weight = jax.nn.softmax(_dense(p, "attention.2", jnp.tanh(_dense(p, "attention.1", both))), axis=1)
    pooled = (weight * both).sum(axis=1)
    # One feature far out of its range must not outshout the rest.
    z = jnp.tanh((features - p["scaling.features_mean"]) / p["scaling.features_deviation"] / 3.0)
    z = jax.nn.relu(_dense(p, "features", z))
    return frames, _dense(p, "embedding", jnp.concatenate([pooled, z], axis=-1))


def _dense(p: Parameters, name: str, x: Array) -> Array:
    return x @ p[f"{name}.w"] + p[f"{name}.b"]


def _convolve(p: Parameters, name: str, shape: Convolution, x: Array) -> Array:
    """One matrix product over all taps: faster than a convolution so small, and it batches over models."""
    rows = x.shape[1]
    x = jnp.pad(x, ((0, 0), shape.padding(rows), (0, 0)))
    out = -(-rows // shape.stride)
    taps = [x[:, k : k + (out - 1) * shape.stride + 1 : shape.stride] for k in range(shape.width)]
    stacked = jnp.concatenate(taps, axis=-1)
    return stacked @ p[f"{name}.w"].reshape(-1, shape.outputs) + p[f"{name}.b"]


def _residual(p: Parameters, name: str, block: Block, x: Array) -> Array:
    """Two convolutions with attention, added to a shortcut: equation (4)."""
    u = _convolve(p, f"{name}.2", block.second, jax.nn.relu(_convolve(p, f"{name}.1", block.first, x)))
    # Squeeze and excite, equations (1) to (3): scale each channel by what the whole sequence says of it.
    s = jax.nn.relu(_dense(p, f"{name}.squeeze", u.mean(axis=1)))
    u = u * jax.nn.sigmoid(_dense(p, f"{name}.excite", s))[:, None, :]
    return jax.nn.relu(u + (_convolve(p, f"{name}.s", block.shortcut, x) if block.shortcut else x))


def _bidirectional(p: Parameters, x: Array) -> Array:
    """Equations (5) to (10), in both directions at once: [n, t, c] -> [n, t, 2 HIDDEN]."""
    driven = jnp.stack([x @ p["lstm.forward.x.w"], x[:, ::-1] @ p["lstm.backward.x.w"]])
    bias = jnp.stack([p["lstm.forward.b"], p["lstm.backward.b"]])[:, None]
    recurrent = jnp.stack([p["lstm.forward.h.w"], p["lstm.backward.h.w"]])

    def step(carry: tuple[Array, Array], drive: Array) -> tuple[tuple[Array, Array], Array]:
        h, c = carry
        i, f, g, o = jnp.split(drive + h @ recurrent + bias, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    rest = jnp.zeros((2, x.shape[0], HIDDEN))
    _, hidden = jax.lax.scan(step, (rest, rest), driven.transpose(2, 0, 1, 3))
    forward, backward = hidden[:, 0].transpose(1, 0, 2), hidden[::-1, 1].transpose(1, 0, 2)
    return jnp.concatenate([forward, backward], axis=-1)
