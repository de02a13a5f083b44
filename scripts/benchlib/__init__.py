"""The measurements behind `scripts/bench`: one module each, all of the same form (see `figures.Measurement`)."""
