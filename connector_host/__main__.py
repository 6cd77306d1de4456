"""`python -m connector_host`: the same as the command `connector-host`."""

from connector_host.cli import main

main()
