"""Trains networks: writes their parameters, from which `training.convert` makes `bilstm_se.tflite`.

    python -m training.train NETWORK [--work build/train] [--data PATH]

Any number of networks that differ in who is left out, in their seed or in the weights of their objective are trained
side by side (`jax.vmap`), which is what a GPU wants; on a CPU, one in a process is as fast. It can be stopped and
started again: every `CHUNK` steps the state is written down. The same kind of processor gives the same numbers;
another one rounds differently.
"""

from __future__ import annotations

import argparse
import operator
import pickle
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from training import network, objective, synthetic
from training.datasets import load
from training.episodes import draw
from training.objective import Batch, Weights
from training.parameters import keep
from training.plan import DEVELOPMENT, Left, all_networks
from training.samples import CHANNELS, NETWORK_FEATURES, Pool, pool, signatures
from training.style import Style, restyle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jax import Array
    from numpy.typing import NDArray

STEPS: Final = 5000
CHUNK: Final = 250
"""Steps between two writes of the state."""
LEARNING_RATE: Final = 2e-3
"""At its highest; the paper gives none. It rises over `WARM_UP` steps and falls to nothing along a cosine."""
WARM_UP: Final = 200
BETA_1, BETA_2, EPSILON = 0.9, 0.99, 1e-8
"""Adam, as in the BiLSTM-SE dual-task paper (table 1)."""
DECAY: Final = 1e-4
"""Of the weights, per unit of learning rate."""
CLIP: Final = 5.0
"""Greatest length of a gradient."""
AVERAGING: Final = 0.998
"""Share of the running mean of the weights that stays at each step; the mean is what is kept."""


@dataclass(frozen=True)
class Task:
    """One network to train."""

    name: str
    allowed: tuple[int, ...]
    """Places, in the pool, of the writers it may see."""
    seed: int = 1
    learning_rate: float = LEARNING_RATE
    weights: Weights = field(default_factory=Weights)
    style: float = 0.8
    """Share of writers that are drawn in another style; see `training.style`."""
    wild: float = 0.5
    """Share of the styled writers that nobody writes like."""


class _State(NamedTuple):
    parameters: dict[str, Array]
    first: dict[str, Array]
    second: dict[str, Array]
    mean: dict[str, Array]


def train(
    of: Pool, tasks: Sequence[Task], *, steps: int = STEPS, checkpoint: Path | None = None
) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Train networks side by side.

    Args:
        of: what may be seen.
        tasks: one for each network.
        steps: batches that each network sees.
        checkpoint: file that keeps the state between chunks and is taken up where it exists; it is removed at the end.

    Returns:
        By name of the task: the averaged parameters, `heads.` left out.
    """
    data = (jnp.asarray(of.sequences), jnp.asarray(of.features))
    episodes = [draw(of.writers, allowed=task.allowed, steps=steps, seed=task.seed) for task in tasks]
    stacked = jax.tree.map(lambda *columns: np.stack(columns, axis=1), *episodes)
    settings = jax.tree.map(
        lambda *values: jnp.array(values, jnp.float32), *[(t.learning_rate, t.weights, t.style, t.wild) for t in tasks]
    )
    keys = jnp.stack([jax.random.PRNGKey(task.seed) for task in tasks])
    state = _begin(of, tasks)
    done = 0
    if checkpoint and checkpoint.exists():
        done, state = _resume(checkpoint, state)
    begun = time.monotonic()
    while done < steps:
        count = min(CHUNK, steps - done)
        part = jax.tree.map(operator.itemgetter(slice(done, done + count)), stacked)
        state, told = _chunks(state, settings, keys, part, data, done, steps)
        done += count
        if checkpoint:
            _keep(checkpoint, done, state)
        _say(done, steps, {k: np.asarray(v) for k, v in told.items()}, time.monotonic() - begun)
    if checkpoint:
        checkpoint.unlink(missing_ok=True)
    return {
        task.name: {k: np.asarray(v[place]) for k, v in state.mean.items() if not k.startswith("heads.")}
        for place, task in enumerate(tasks)
    }


def _begin(of: Pool, tasks: Sequence[Task]) -> _State:
    drawn = [
        network.init(task.seed, channels=len(CHANNELS), features=len(NETWORK_FEATURES), scaling=of.scaling())
        | objective.heads(len(of.writers), task.seed)
        for task in tasks
    ]
    parameters = jax.tree.map(lambda *values: jnp.stack(values), *drawn)
    nothing = jax.tree.map(jnp.zeros_like, parameters)
    return _State(parameters, nothing, nothing, parameters)


def _chunk(
    state: _State, settings: Any, key: Array, episodes: Any, data: tuple[Array, Array], begin: Array, steps: int
) -> tuple[_State, dict[str, Array]]:
    highest, weights, style, wild = settings

    def step(carry: tuple[_State, Array], drawn: Any) -> tuple[tuple[_State, Array], dict[str, Array]]:
        state, number = carry
        random = jax.random.split(jax.random.fold_in(key, number))[0]
        rows = data[0][drawn.rows].astype(jnp.float32)
        sequences, styled = restyle(rows, Style.draw(random, rows.shape[0], share=style, wild=wild))
        # The global features of a style are not known: they say nothing then.
        usual = state.parameters["scaling.features_mean"]
        features = jnp.where(styled[:, None, None], usual, data[1][drawn.rows])
        batch = Batch(sequences, features, drawn.synthetic, drawn.writers)
        gradient, parts = jax.grad(objective.loss, has_aux=True)(state.parameters, batch, weights)
        rate = highest * jnp.minimum(1.0, (number + 1) / WARM_UP) * 0.5 * (1 + jnp.cos(jnp.pi * number / steps))
        return (_adam(state, gradient, rate, number), number + 1), parts

    (state, _), told = jax.lax.scan(step, (state, begin), episodes)
    return state, jax.tree.map(jnp.mean, told)


_chunks = jax.jit(jax.vmap(_chunk, in_axes=(0, 0, 0, 1, None, None, None)))
"""The same for many networks at once."""


def _adam(state: _State, gradient: dict[str, Array], rate: Array, number: Array) -> _State:
    """One step of Adam with decoupled weight decay, and of the running mean."""
    gradient = {k: jnp.zeros_like(g) if k.startswith("scaling.") else g for k, g in gradient.items()}
    length = jnp.sqrt(sum((g**2).sum() for g in gradient.values()))
    shrink = jnp.minimum(1.0, CLIP / (length + 1e-6))
    first = {k: BETA_1 * state.first[k] + (1 - BETA_1) * shrink * g for k, g in gradient.items()}
    second = {k: BETA_2 * state.second[k] + (1 - BETA_2) * (shrink * g) ** 2 for k, g in gradient.items()}
    a, b = 1 - BETA_1 ** (number + 1), 1 - BETA_2 ** (number + 1)

    def moved(k: str, value: Array) -> Array:
        change = (first[k] / a) / (jnp.sqrt(second[k] / b) + EPSILON)
        decay = DECAY * value if k.endswith(".w") else 0.0
        return value - rate * (change + decay)

    parameters = {k: v if k.startswith("scaling.") else moved(k, v) for k, v in state.parameters.items()}
    stays = jnp.minimum(AVERAGING, (1.0 + number) / (10.0 + number))
    mean = {k: stays * state.mean[k] + (1 - stays) * v for k, v in parameters.items()}
    return _State(parameters, first, second, mean)


def _keep(path: Path, done: int, state: _State) -> None:
    flat: dict[str, Any] = {
        f"{part}:{k}": np.asarray(v) for part, values in state._asdict().items() for k, v in values.items()
    }
    draft = path.with_suffix(".draft.npz")
    np.savez(draft, done=done, **flat)
    draft.replace(path)


def _resume(path: Path, like: _State) -> tuple[int, _State]:
    with np.load(path) as kept:
        parts = {part: {k: jnp.asarray(kept[f"{part}:{k}"]) for k in values} for part, values in like._asdict().items()}
        return int(kept["done"]), _State(**parts)


def _say(done: int, steps: int, told: dict[str, NDArray[np.float32]], seconds: float) -> None:
    parts = "  ".join(f"{name} {values.mean():.3f}" for name, values in told.items())
    print(f"step {done:5d}/{steps}  {parts}  {seconds:.0f} s", flush=True)


# --- From the command line --------------------------------------------------------------------------------

SYNTHETIC: Final = 600
"""Synthetic writers in the pool."""


def make_pool(work: Path, data: Path | None) -> Pool:
    """Make the pool that all networks are trained from, or read it where it was made before."""
    path = work / "pool"
    if not (path / "writers.pickle").exists():
        records = [record for database in DEVELOPMENT for record in load(database, data)]
        made = pool([*signatures(records), *synthetic.people(SYNTHETIC)])
        path.mkdir(parents=True, exist_ok=True)
        np.save(path / "sequences.npy", made.sequences)
        np.save(path / "features.npy", made.features)
        (path / "writers.pickle").write_bytes(pickle.dumps(made.writers))
        print(f"pool: {len(made.features)} versions of signatures by {len(made.writers)} writers", flush=True)
    return Pool(
        sequences=np.load(path / "sequences.npy"),
        features=np.load(path / "features.npy"),
        writers=pickle.loads((path / "writers.pickle").read_bytes()),  # noqa: S301 - our own file, in build/
    )


def task(of: Pool, left: Left) -> Task:
    """Return what to train where somebody is left out; synthetic writers never are."""
    allowed = tuple(
        place
        for place, writer in enumerate(of.writers)
        if writer.database == synthetic.DATABASE or left.allows(writer.database, writer.user)
    )
    return Task(left.name, allowed)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("network", nargs="?", choices=[left.name for left in all_networks()], metavar="NETWORK")
    parser.add_argument("--pool", action="store_true", help="only make the pool of signatures")
    parser.add_argument("--data", type=Path, help="folder of the databases (default: $PENLATCH_DATA or ../shared/data)")
    parser.add_argument("--work", type=Path, default=Path("build/train"), help="working folder")
    parser.add_argument("--steps", type=int, default=STEPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    made = make_pool(options.work, options.data)
    if options.pool or options.network is None:
        return
    left = next(left for left in all_networks() if left.name == options.network)
    path = options.work / "networks" / f"{left.name}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    trained = train(made, [task(made, left)], steps=options.steps, checkpoint=path.with_suffix(".state.npz"))
    keep(path, trained[left.name], made_with=f"jax {jax.__version__} on {jax.devices()[0].device_kind}")
    print(f"{path}: {sum(v.size for v in trained[left.name].values())} parameters", flush=True)


if __name__ == "__main__":
    main()
