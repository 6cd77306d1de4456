"""Describing a new connector: from a surveyed table to a configuration file that explains itself.

Asks nobody and prints nothing: the command line does that, and hands over what was decided.
"""
