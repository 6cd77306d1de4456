"""Signs requests for a client that cannot: loopback in, TLS that is verified out."""
