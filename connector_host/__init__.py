"""The connector host: SCIM 2.0 on one side, a SQL database on the other."""

__version__ = "0.1.0"
