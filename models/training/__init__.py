"""How the files in `models/` are made and measured; never part of a terminal."""
