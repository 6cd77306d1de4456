"""Secrets at rest: sealed with a key that lives somewhere else, and refused where that key is not the right one.

Knows no configuration and no connector: names and texts in, sealed files out.
"""
