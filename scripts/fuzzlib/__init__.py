"""Fuzzing: bytes that nobody meant, for every parser that touches the outside; see `scripts/fuzz`."""
