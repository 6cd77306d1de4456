"""Relay nodes that share work: each reaches the agents of all others, over NATS."""
