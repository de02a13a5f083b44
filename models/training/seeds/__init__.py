"""The seed systems, trained and tested as their papers describe, so that our figures stand beside theirs."""
