"""The relay's side: accepts agents and SCIM clients, and matches the two; keeps no user data."""
