"""What a hostile client can write costs milliseconds: it is refused before anything is built out of it."""

from __future__ import annotations

import gc
import json
import time
import tracemalloc
from contextlib import suppress

import pytest

from connector_host.connectors.contract import RefusalKind
from connector_host.connectors.errors import InvalidValue
from connector_host.scim.bodies import read_body
from connector_host.scim.errors import ScimError
from connector_host.scim.patches import read_patch
from connector_host.scim.projection import read_projection
from connector_host.scim.queries import read_listing
from connector_host.scim.resources import read_create
from connector_host.settings import LimitSettings
from tests.growth import is_linear
from tests.scim.employees import ECMA, FLOWS

MEMORY_MAX = 64 * 1_048_576
SECONDS_MAX = 20
"""More than a slow machine takes while memory is counted; what this is to find ends in minutes, or never."""


@pytest.fixture(autouse=True)
def bounded():
    # What other tests left behind is not to be looked through by the collector on this test's account.
    gc.freeze()
    tracemalloc.start()
    started_s = time.thread_time()
    yield
    took_s = time.thread_time() - started_s
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    gc.unfreeze()
    assert most < MEMORY_MAX
    assert took_s < SECONDS_MAX


def create(members):
    user = f'{{"userName": "a", "name": {{"givenName": "A"}}, {members}}}'
    return read_create(FLOWS, read_body(user.encode()))


def patch(path, value='"x"'):
    body = f'{{"Operations": [{{"op": "replace", "path": {json.dumps(path)}, "value": {value}}}]}}'
    return read_patch(FLOWS, read_body(body.encode()), operations_max=100)


@pytest.mark.parametrize("exponent", ["-99999999", "99999999", "-999999999999999999", "999999999999999999"])
@pytest.mark.parametrize(
    "place", ["emails", "active", "id", "unknown", *(f"{ECMA}:{name}" for name in ("Badge", "Salary", "HiredAt"))]
)
def test_an_exponent_costs_nothing(place, exponent):
    number = f"1e{exponent}"
    value = f'[{{"type": "work", "value": {number}, "primary": {number}}}]' if place == "emails" else number
    with suppress(InvalidValue):
        create(f'"{place}": {value}')


def test_a_number_in_a_column_of_text_without_limit_stays_short():
    add = create('"emails": [{"type": "home", "value": 1e-99999999}]')
    assert len(str(add.values["HomeEmail"])) < 20


@pytest.mark.parametrize(
    ("members", "scim_type"),
    [
        (f'"active": {"9" * 100_000}', "invalidSyntax"),
        (f'"active": 0.{"1" * 1_000_000}', "invalidSyntax"),
        (f'"active": 1e{"9" * 1_000}', "invalidSyntax"),
        ('"active": 1e9999999999999999999999', "invalidSyntax"),
        (f'"x": {"[" * 10_000}{"]" * 10_000}', "invalidSyntax"),
        (f'"x": {"[" * 33}1{"]" * 33}', "invalidSyntax"),
        (f'"{"a" * 1_000_000}": 1', "invalidSyntax"),
        (f'"urn:x:y": {{"{"a" * 1_000_000}": 1}}', "invalidSyntax"),
        (f'"urn:x:y": {{"a": {{"{"a" * 1_000_000}": 1}}}}', "invalidSyntax"),
        (f'"{"a eq 1 and " * 90_000}": 1', "invalidSyntax"),
        (",".join(f'"emails[value eq \\"{number}\\"].value": 1' for number in range(20_000)), "invalidSyntax"),
        (
            f'"{ECMA}": {{{",".join(f"""{chr(34)}k{number}{chr(34)}: 1""" for number in range(80_000))}}}',
            "invalidSyntax",
        ),
    ],
    ids=lambda text: text[:20],
)
def test_a_document_beyond_all_reason_is_refused(members, scim_type):
    with pytest.raises(ScimError) as refused:
        create(members)
    assert (refused.value.status, refused.value.scim_type) == (400, scim_type)
    assert len(refused.value.detail) < 200


def test_a_time_of_a_megabyte_is_none():
    with pytest.raises(InvalidValue, match="date and time"):
        create(f'"{ECMA}:HiredAt": "2026-11-23T08:30:00.{"1" * 1_000_000}Z"')


@pytest.mark.parametrize(
    "path",
    [
        "a" * 1_000_000,
        "a." * 500_000,
        "(" * 1_000_000,
        f"emails[{'not (' * 200_000}",
        f"emails[{'value eq 1 and ' * 60_000}value eq 1]",
        f'emails[value eq "{"x" * 1_000_000}"].value',
        f"urn:{'a:' * 500_000}",
    ],
    ids=lambda text: text[:20],
)
def test_a_path_beyond_all_reason_is_refused(path):
    with pytest.raises(ScimError) as refused:
        patch(path)
    assert (refused.value.status, refused.value.scim_type) == (400, "invalidPath")
    with pytest.raises(ScimError):
        read_listing(FLOWS, {"sortBy": path}, LimitSettings())


@pytest.mark.parametrize("number", ["1e9999999", "1e-9999999", "9" * 4_000, "9" * 8_000, "0." + "1" * 8_000])
@pytest.mark.parametrize("attribute", ["userName", f"{ECMA}:Badge", f"{ECMA}:Salary", "active", "id", "unknown"])
def test_a_number_in_a_filter_costs_nothing(attribute, number):
    with suppress(ScimError):
        read_listing(FLOWS, {"filter": f"{attribute} eq {number}"}, LimitSettings())


@pytest.mark.parametrize(
    ("piece", "pieces", "end"),
    [('"\\', 4_000, ""), ('\\"', 4_000, '\\q"'), ("eq ", 2_700, ""), ("(", 8_000, ""), ("not (", 1_600, "")],
)
def test_a_filter_that_cannot_be_read_is_looked_at_once(piece, pieces, end):
    def refused(count):
        with pytest.raises(ScimError):
            read_listing(FLOWS, {"filter": '"' * bool(end) + piece * count + end}, LimitSettings())

    assert is_linear(refused, pieces)


def test_values_without_number_are_refused_in_few_words():
    elements = ",".join(f'{{"type": "x{number}", "value": 1}}' for number in range(20_000))
    add = create(f'"emails": [{elements}], "unknown": [{elements}]')
    assert {refusal.kind for refusal in add.refusals} == {RefusalKind.MULTI_VALUED}
    assert len(add.refusals) == 2


def test_a_list_of_attributes_is_bounded():
    with pytest.raises(ScimError) as refused:
        read_projection(",".join(f"urn:a:b{number}" for number in range(70_000)), "")
    assert (refused.value.status, refused.value.scim_type) == (400, "invalidValue")
