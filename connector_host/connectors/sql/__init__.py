"""The generic SQL connector: one table or view of users, in any database that SQLAlchemy or ODBC reaches."""
