"""Connectors that are watched: every operation is measured, and every export is recorded before it is answered.

Both are connectors themselves, laid around the real one, so that nothing between client and database knows of them.
"""
