"""People and tablets made of numbers, for the demo, tests and training. Nothing of the running daemon imports this."""
