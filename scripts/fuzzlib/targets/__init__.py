"""The targets: one file for each, named after it, which holds it as `TARGET`.

Nothing of the project is imported before a target is loaded, so that it can be probed (see `fuzzlib.coverage`).
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fuzzlib.target import Target


def load(name: str) -> Target:
    """Return a target by its name."""
    target: Target = import_module(f"fuzzlib.targets.{name}").TARGET
    return target


def names() -> list[str]:
    """Return the names of all of them."""
    return [module.name for module in iter_modules(__path__)]
