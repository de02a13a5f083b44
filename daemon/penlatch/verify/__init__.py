"""From numbers to a probability: one file per scorer, templates, calibration and the Verifier over them."""
