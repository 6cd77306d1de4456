"""Run profiles: full imports and delta imports, what they deliver, and the history of their runs."""
