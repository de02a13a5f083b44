"""The command `penlatch`."""
