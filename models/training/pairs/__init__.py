"""The image pair network: its people, pages, conditions, backbone, hypotheses and evaluation (see `models/pair.md`)."""
