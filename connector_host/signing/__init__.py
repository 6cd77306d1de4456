"""Signed requests, from whoever asks to the host that carries them out: a taken-over relay cannot forge one.

HTTP Message Signatures (RFC 9421) with Ed25519, and Content-Digest (RFC 9530). Knows nothing of SCIM, keeps nothing.
"""
