"""The facts about each database, one module each."""
