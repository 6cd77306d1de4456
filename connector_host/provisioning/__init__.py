"""The provisioning engine: keeps one SCIM target in step with one source, where no cloud directory does.

    source ──import──▶ scope ──▶ match ──▶ compare ──▶ act ──SCIM──▶ target
                  (expressions, mappings)      state: links, marks, failures, log

Speaks nothing but SCIM to its target, so it must not know connectors, the endpoint, or how a SCIM server is built.
"""
