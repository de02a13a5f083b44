"""penlatch: opens for the person who signs on a pen tablet, verified on the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name: str) -> str:
        """Find `__version__` out when it is asked for: what looks it up costs half the start of a short command."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - see above

        try:
            return version("penlatch")
        except PackageNotFoundError:  # run from a source tree that was never installed
            return "0+source"
