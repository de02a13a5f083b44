"""Pens: from bytes and events of a device to frames, and from frames to one signature."""
