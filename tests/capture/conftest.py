"""Hypothesis without deadlines: on a machine that does other things too, a slow example is no fault."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
