"""The agent's side: dials the relay and carries its requests to the one connector host, and nothing else."""
