"""Recordings of pens: what they send, written so that `capture.replay` reads the very same frames from it."""
