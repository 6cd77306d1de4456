"""What the host tells about itself: log events, request ids, metrics, health."""
