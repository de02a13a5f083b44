"""Registry: who runs which protocol. A protocol's module is imported when somebody asks for it, not before.

Such a module has a function `run(options)`. What the protocols of verification return is a `verification.Run`; the
others print and write what they find themselves, as `options.json` says.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

from training.evaluation.protocols import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from training.evaluation.options import Options

VERIFICATION: Final = "training.evaluation.verification"

MODULES: Final[Mapping[str, str]] = {
    "first": VERIFICATION,
    "sittings": VERIFICATION,
    "official": VERIFICATION,
    "fusion": VERIFICATION,
    "dependent": "training.seeds.dependent",
    "pair": "training.pairs.evaluate",
}
"""Module of each protocol."""


def runner(protocol: str) -> Callable[[Options], object]:
    """Return what runs a protocol.

    Raises:
        ProtocolError: if this checkout lacks it.
    """
    module = MODULES[protocol]
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise ProtocolError(f"protocol {protocol} needs {error.name}, which this environment lacks") from error
        raise ProtocolError(f"protocol {protocol} is not part of this checkout: there is no {module}") from error
    run: Callable[[Options], object] = found.run
    return run
