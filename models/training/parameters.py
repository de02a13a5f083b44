"""Parameters of a network as a file, with what it makes of the golden inputs and who made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import jax.numpy as jnp
import numpy as np

from penlatch.verify.bilstm_se import golden_input
from training import network
from training.samples import CHANNELS, LENGTH, NETWORK_FEATURES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

GOLDEN: Final = 8
"""Golden inputs whose embeddings are kept."""
_PREFIX: Final = "p:"


def golden_inputs() -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return the golden inputs of our networks: sequences and features."""
    return [
        golden_input(number, length=LENGTH, channels=len(CHANNELS), features=len(NETWORK_FEATURES))
        for number in range(GOLDEN)
    ]


def keep(path: Path, parameters: Mapping[str, NDArray[np.float32]], *, made_with: str) -> None:
    """Write the parameters of a network, and its embeddings of the golden inputs."""
    rows, features = (jnp.asarray(np.stack(column)) for column in zip(*golden_inputs(), strict=True))
    _, golden = network.apply({name: jnp.asarray(values) for name, values in parameters.items()}, rows, features)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft.npz")
    kept: dict[str, Any] = {f"{_PREFIX}{name}": values for name, values in parameters.items()}
    np.savez(draft, golden=np.asarray(golden), made_with=made_with, **kept)
    draft.replace(path)


def read(path: Path) -> dict[str, NDArray[np.float32]]:
    """Read the parameters that `keep` wrote."""
    with np.load(path) as kept:
        return {name.removeprefix(_PREFIX): kept[name] for name in kept.files if name.startswith(_PREFIX)}


def made_with(path: Path) -> str:
    """Return who made them: the program, its version and the processor."""
    with np.load(path) as kept:
        return str(kept["made_with"])


def golden_embeddings(path: Path) -> list[NDArray[np.float32]]:
    """Return the embeddings of the golden inputs before quantization."""
    with np.load(path) as kept:
        return list(kept["golden"])
