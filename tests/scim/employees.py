"""An object type like the sample table, its mapping, and one entry: what most tests of this room start from."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from connector_host.connectors.contract import Attribute, AttributeType, Entry, Mutability, ObjectType
from connector_host.scim.compilation import compile_flows

ECMA = "urn:ietf:params:scim:schemas:extension:ECMA2Host:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"

EMPLOYEE = ObjectType(
    "User",
    "Login",
    (
        Attribute("Login", AttributeType.STRING, required=True, nullable=False, unique=True, max_length=128),
        Attribute("FirstName", AttributeType.STRING, required=True, nullable=False, max_length=50),
        Attribute("LastName", AttributeType.STRING, max_length=50),
        Attribute("Email", AttributeType.STRING, max_length=128),
        Attribute("HomeEmail", AttributeType.STRING),
        Attribute("Enabled", AttributeType.BOOLEAN, nullable=False),
        Attribute("Department", AttributeType.STRING),
        Attribute("Badge", AttributeType.INTEGER),
        Attribute("Salary", AttributeType.DECIMAL),
        Attribute("HiredAt", AttributeType.DATE_TIME),
        Attribute("Grade", AttributeType.STRING, canonical_values=("junior", "senior")),
        Attribute("FullName", AttributeType.STRING, mutability=Mutability.READ_ONLY),
        Attribute("password", AttributeType.STRING),
    ),
)

MAPPING = {
    "Login": "userName",
    "FirstName": "name.givenName",
    "LastName": "name.familyName",
    "Email": 'emails[type eq "work"].value',
    "HomeEmail": 'emails[type eq "home"].value',
    "Enabled": "active",
    "Department": f"{ENTERPRISE}:department",
}

FLOWS = compile_flows(EMPLOYEE, MAPPING)

BARBARA = Entry(
    "bjensen",
    {
        "Login": "bjensen",
        "FirstName": "Barbara",
        "LastName": "Jensen",
        "Email": "bjensen@example.org",
        "HomeEmail": None,
        "Enabled": True,
        "Department": "Tours",
        "Badge": 7,
        "Salary": Decimal("10.50"),
        "HiredAt": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "Grade": "senior",
        "FullName": "Barbara Jensen",
        "password": "never shown",
    },
)
