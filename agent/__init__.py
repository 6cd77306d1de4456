"""The outbound path: an agent on premises and the relay that it dials."""
