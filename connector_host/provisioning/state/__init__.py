"""What the engine remembers between cycles: links, marks, failures, staged deletes, quarantine, provisioning log.

SQLite by default, PostgreSQL where several engines share the work. Knows nothing of sources, mappings or SCIM.
"""
