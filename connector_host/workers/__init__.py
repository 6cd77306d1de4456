"""Several processes that serve as one: what they share, how connections come to them, and who replaces one that ends.

The parent owns what there may be only one of: the port, the audit trail, the record of outcomes, the lock-out.
"""
