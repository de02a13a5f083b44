"""penlatch: opens for the person who signs on a pen tablet, verified on the device."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("penlatch")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+source"
