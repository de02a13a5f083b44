"""`python -m penlatch` is the command `penlatch`."""

from penlatch.cli import main

main()
