"""Programs as services of the machine: described once, installed, started, stopped and removed where they run.

Used by the agent, too: nothing here may import more than the standard library and connector_host.errors.
"""
