"""The expression language of attribute mappings: compiled once with every mistake named, evaluated for each user.

    text ──syntax──▶ tree ──checking──▶ Expression ──evaluation──▶ value
                             │
                          catalogue ── functions, by what they work on

Knows nothing of jobs, sources or targets, and has no I/O.
"""

from connector_host.provisioning.expressions.checking import Expression, compile_expression
from connector_host.provisioning.expressions.evaluation import IGNORED, Candidates, Result

__all__ = ["IGNORED", "Candidates", "Expression", "Result", "compile_expression"]
