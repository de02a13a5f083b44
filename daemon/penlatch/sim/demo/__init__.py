"""The demo: a real daemon, a real broker line; people and a tablet made of numbers. `python -m penlatch.sim.demo`."""
