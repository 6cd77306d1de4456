"""`python -m agent`: the same as the command `provisioning-agent`."""

import sys

from agent.cli import main

sys.exit(main())
