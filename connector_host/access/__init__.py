"""Who is calling: bearer tokens."""
