"""Where users come from: files, databases, directories, other SCIM services, Microsoft Graph.

Each source says what its users' key and attributes are and whether it can give changes since a mark. Nothing here knows
jobs, mappings or the target.
"""
