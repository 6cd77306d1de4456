"""The OpenAPI document is true: schemathesis fuzzes every operation of it, and the answers are as it says."""

from __future__ import annotations

import asyncio
from functools import partial

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks, openapi

from tests.endpoint.service import TOKEN

CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
"""Left out: rejecting whatever the document does not describe, since sloppy clients are accepted on purpose."""
TOLD_OFF = {"/Groups", "/Me"}
"""501 is a server error by its number, and what writing groups and /Me are answered with on purpose."""
EXAMPLES = 25


def cases(operation):
    """Requests that fit the document and requests that do not; for an id also of a user there is."""
    anybody = operation.as_strategy() | operation.as_strategy(schemathesis.GenerationMode.NEGATIVE)
    if "/Users/{id}" not in operation.path:
        return anybody
    return anybody | operation.as_strategy(path_parameters={"id": "bjensen"})


def fuzz(operation, base, authority):
    """Send generated requests, some of them wrong on purpose, to one operation; raise what its answers break."""
    demanded = [one for one in CHECKS if operation.path not in TOLD_OFF or one is not checks.not_a_server_error]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases(operation))
    def send(case):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        response = case.call(base_url=base, headers=headers, verify=str(authority))
        case.validate_response(response, checks=demanded)

    send()


async def test_every_operation_answers_as_the_document_says(scim, barbara):
    document = (await scim.get("/openapi.json")).body
    schema = openapi.from_dict(document)
    operations = [result.ok() for result in schema.get_all_operations()]
    assert {operation.path for operation in operations} == document["paths"].keys()
    for operation in operations:
        run = partial(fuzz, operation, scim.origin + scim.base, scim.authority)
        await asyncio.to_thread(run)
    assert (await scim.get("/Users")).status == 200
