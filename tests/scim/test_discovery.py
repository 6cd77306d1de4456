"""The discovery documents are generated from the table, and say what is so."""

from __future__ import annotations

from scim2_models import Resource, ResourceType, Schema, ServiceProviderConfig

from connector_host.scim import discovery
from connector_host.scim.rendering import Renderer, encode
from connector_host.settings import LimitSettings
from tests.scim.employees import BARBARA, CORE, ECMA, ENTERPRISE, FLOWS

ROOT = "https://host/ecma2host_HR/scim"


def attributes(urn):
    document = next(schema for schema in discovery.schemas(FLOWS, ROOT) if schema["id"] == urn)
    return {attribute["name"]: attribute for attribute in document["attributes"]}


def test_each_schema_that_has_a_column_is_published():
    assert [schema["id"] for schema in discovery.schemas(FLOWS, ROOT)] == [CORE, ENTERPRISE, ECMA]


def test_an_attribute_has_the_facts_of_its_column():
    login = attributes(CORE)["userName"]
    facts = {key: login[key] for key in ("type", "required", "mutability", "uniqueness", "caseExact", "multiValued")}
    assert facts == {
        "type": "string",
        "required": True,
        "mutability": "immutable",
        "uniqueness": "server",
        "caseExact": False,
        "multiValued": False,
    }
    assert attributes(ECMA)["Badge"]["type"] == "integer"
    assert attributes(ECMA)["HiredAt"]["type"] == "dateTime"
    assert attributes(ECMA)["FullName"]["mutability"] == "readOnly"
    assert attributes(ECMA)["Grade"]["canonicalValues"] == ["junior", "senior"]


def test_a_multi_valued_attribute_has_the_types_that_have_a_column():
    emails = attributes(CORE)["emails"]
    assert emails["multiValued"] is True
    types = next(sub for sub in emails["subAttributes"] if sub["name"] == "type")
    assert types["canonicalValues"] == ["work", "home"]


def test_no_document_holds_a_null_or_a_password():
    for document in (*discovery.schemas(FLOWS, ROOT), *discovery.resource_types(FLOWS, ROOT)):
        text = encode(document).decode()
        assert "null" not in text
        assert "password" not in text


def test_the_library_reads_every_document():
    """scim2-models is the judge: it knows the RFC's own schemas of these documents."""
    for schema in discovery.schemas(FLOWS, ROOT):
        Schema.model_validate(schema)
    ResourceType.model_validate(discovery.resource_types(FLOWS, ROOT)[0])
    ServiceProviderConfig.model_validate(discovery.service_provider_config(ROOT, LimitSettings(page_size_max=7)))


def test_a_rendered_user_is_valid_by_the_published_schemas():
    core, *extensions = [
        Resource.from_schema(Schema.model_validate(schema)) for schema in discovery.schemas(FLOWS, ROOT)[:1]
    ]
    assert not extensions
    resource = Renderer(FLOWS).content(BARBARA)
    resource = {key: value for key, value in resource.items() if not key.startswith("urn:")}
    resource["schemas"] = [CORE]
    user = core.model_validate(resource)
    assert user.user_name == "bjensen"


def test_what_is_off_is_said_to_be_off():
    config = discovery.service_provider_config(ROOT, LimitSettings(page_size_max=7))
    assert config["changePassword"] == {"supported": False}
    assert config["filter"] == {"supported": True, "maxResults": 7}
