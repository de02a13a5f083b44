"""The bolt: what a terminal opens by itself, where it owns one. It knows decisions, and neither pens nor people."""
