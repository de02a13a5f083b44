"""The daemon: one state machine that wires pen, models, database, broker and local socket together."""
