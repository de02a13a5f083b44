"""penlatch: opens for the person who signs on a pen tablet, verified on the device."""

__version__ = "0.1.0"
