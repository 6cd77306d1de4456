"""An export of the replaced product keeps its name, port, anchor, attributes and flows; the rest is told."""

from pathlib import Path

import pytest

from connector_host.errors import ConfigurationError
from connector_host.settings import CONNECTOR_NAME
from connector_host.setup.ecma2host import choose, read_export

SAMPLE = Path(__file__).parent / "samples" / "ecma2host.xml"


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "export.xml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def changed(old, new):
    return SAMPLE.read_text().replace(old, new)


def test_what_has_an_equivalent_is_kept():
    [found] = read_export(SAMPLE)
    assert (found.name, found.port, found.table, found.schema) == ("SQL", 8586, "Employees", "dbo")
    assert found.anchor == "ContosoLogin"
    assert found.columns == ("ContosoLogin", "FirstName", "LastName", "Email", "Active")
    assert found.flows == {
        "disable": {"action": "set", "column": "Active", "inactive": False, "active": True},
        "delete": {"action": "delete"},
    }


@pytest.mark.parametrize("words", ["DSN file C:\\dsn", "Photo is left out", "Password procedures", "token", "autosync"])
def test_what_has_none_is_told(words):
    assert any(words in note for note in read_export(SAMPLE)[0].notes)


@pytest.mark.parametrize(
    ("old", "new", "flow", "expected"),
    [
        ("<HardDelete>TreatAsHard", "<HardDelete>None", "delete", {"action": "none"}),
        ("<SoftDeleteStatusAttribute>Active<", "<SoftDeleteStatusAttribute><", "disable", None),
        ("<HardDeleteStatusAttribute />", "<HardDeleteStatusAttribute>Here</HardDeleteStatusAttribute>", "delete",
         {"action": "set", "column": "Here", "deleted": False, "present": True}),
    ],
)  # fmt: skip
def test_flows_are_kept(write, old, new, flow, expected):
    assert read_export(write(changed(old, new)))[0].flows.get(flow) == expected


def test_procedures_and_composite_anchors_are_told(write):
    [found] = read_export(write(changed("<Value>Table<", "<Value>Stored Procedure<")))
    assert any("make a view" in note for note in found.notes)
    text = changed("<Name>FirstName</Name><IsAnchor>false", "<Name>FirstName</Name><IsAnchor>true")
    [found] = read_export(write(text))
    assert found.anchor == ""
    assert any("ContosoLogin, FirstName" in note for note in found.notes)


def test_namespaces_do_not_matter(write):
    assert read_export(write(changed("<Configuration>", '<Configuration xmlns="urn:x">')))[0].name == "SQL"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "<Configuration>",
        "<Configuration/>",
        changed("<Value>[dbo].[Employees]<", "<Value><"),
        '<!DOCTYPE a [<!ENTITY b "c">]><Configuration/>',
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><Configuration/>'.encode("utf-16"),
    ],
)
def test_what_is_no_export_is_refused(write, text):
    with pytest.raises(ConfigurationError):
        read_export(write(text))


def test_one_of_several_is_chosen_by_name(write):
    body = SAMPLE.read_text().partition("<Connectors>")[2].partition("</Connectors>")[0]
    both = read_export(write(changed("</Connectors>", body.replace(">SQL<", ">CRM<") + "</Connectors>")))
    assert choose(both, "CRM").name == "CRM"
    with pytest.raises(ConfigurationError, match="SQL, CRM"):
        choose(both, None)


@pytest.mark.parametrize(
    ("name", "wanted", "got"),
    [
        ("HR_1", None, "HR_1"),
        ("HR Contoso", None, "HR_Contoso"),
        ("Größe", None, "Grosse"),
        ("人事", None, "connector"),
        ("HR Contoso", "HR", "HR"),
    ],
)
def test_a_name_that_fits_into_no_url_is_changed_and_that_is_told(write, name, wanted, got):
    found = choose(read_export(write(changed(">SQL<", f">{name}<"))), wanted)
    assert CONNECTOR_NAME.fullmatch(found.name)
    told = [note for note in found.notes if f"/ecma2host_{got}/scim, into Entra" in note]
    assert (found.name, bool(told)) == (got, name != got)
