"""What a report draws, with matplotlib (extra `evaluate`): imported only where something is drawn."""
