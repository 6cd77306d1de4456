"""The SCIM 2.0 protocol as pure functions over the connector contract: no I/O, no SQL, no HTTP."""
