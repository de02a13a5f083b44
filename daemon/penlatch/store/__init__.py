"""What the terminal remembers: people, decisions and the outbox, in one SQLite file; secrets sealed by the vault."""
