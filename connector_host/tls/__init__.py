"""TLS identity: whose certificate this is, whether it may be believed, and where it comes from.

Used by the agent, too: nothing here may import more than cryptography, service-identity and connector_host.errors.
"""
