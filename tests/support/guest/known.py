"""On the host: the states of terminals that know somebody, whom to learn takes an emulated processor a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from support.door import know
from support.signing import ADA, LEANING, PIA, leaning, without_pressure
from support.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from penlatch.ink import Trace

TERMINALS: Final[Mapping[str, Mapping[str, Callable[[np.random.Generator], Trace]]]] = {
    "ada": {"ada": ADA.genuine},
    "leaning ada, pia without pressure": {
        "ada": lambda rng: leaning(ADA.genuine(rng), LEANING),
        "pia": lambda rng: without_pressure(PIA.genuine(rng)),
    },
}
"""By the name that `support.signing.acquaint` is asked with: who is enrolled, and how they signed."""


def enrol(folder: Path) -> None:
    """Make a folder of each of these terminals below `folder`."""
    for name, people in TERMINALS.items():
        terminal = Terminal(folder / name, device="evdev:")
        for person, signs in people.items():
            rng = np.random.default_rng(0)
            know(terminal, person, [signs(rng) for _ in range(5)])
        terminal.config.unlink()
