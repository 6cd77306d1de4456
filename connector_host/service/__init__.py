"""Living as a service: start, serve, stop in order, and tell the service manager about it.

Knows no room that it serves: `app` hands it a web application and what to close at the end.
"""
