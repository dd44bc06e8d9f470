"""SQLite as a provider: one file for each schema."""
