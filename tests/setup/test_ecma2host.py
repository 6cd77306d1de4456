"""An export of the replaced product keeps its name, port, anchor, attributes and flows; the rest is told."""

from pathlib import Path

import pytest

from connector_host.errors import ConfigurationError
from connector_host.settings import CONNECTOR_NAME
from connector_host.setup.ecma2host import choose, read_export
from connector_host.setup.ecma2host.procedures import text_for

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


@pytest.mark.parametrize(
    "words",
    [
        "DSN file C:\\dsn",
        "login CONTOSO\\scim",
        "Photo is left out",
        "Set Password SP Name: password procedures",
        "token was exported empty",
        "autosync timer (120 min)",
        "certificate 0123456789ABCDEF",
    ],
)
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


def test_a_query_and_a_composite_anchor_are_told(write):
    [found] = read_export(write(changed("<Value>Table<", "<Value>SQL Query<")))
    assert any("read by SQL Query: make a view" in note for note in found.notes)
    text = changed("<Name>FirstName</Name><IsAnchor>false", "<Name>FirstName</Name><IsAnchor>true")
    [found] = read_export(write(text))
    assert found.anchor == ""
    assert any("ContosoLogin, FirstName" in note for note in found.notes)


def with_parameters(*given, run="", kind="String"):
    """Return the sample with these settings, of the connector or of its export."""
    text = "".join(
        f"<Parameter><Name>{name}</Name><Type>{kind}</Type><Value>{value}</Value></Parameter>" for name, value in given
    )
    if run:
        return changed("<Name>Export</Name><Type>Export</Type>", f"<Name>Export</Name><Parameters>{text}</Parameters>")
    return changed("<Parameters>", f"<Parameters>{text}")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("Delta Strategy", "Watermark", "Delta strategy Watermark: say it with each delta import"),
        ("Water Mark Query", "SELECT GETDATE()", "Water Mark Query SELECT GETDATE() is not taken over"),
        ("Command Timeout", "90", "write statement_s = 90"),
        ("Data Source Time Zone", "Europe/Berlin", "[connectors.SQL.column.COLUMN]"),
        ("Export Type:Object Replace", "1", "wrote the whole row"),
        ("User:Name of Multi-Values Table/Views", "Phones", "Multi-valued tables (Phones)"),
        ("Anything New_Global", "a value", "Not taken over, look whether you need it: Anything New_Global = a value."),
        ("Connection", "Driver=x;Pwd=s3cret", "Connection = (withheld)"),
        ("PageSizeExport", "5000", "Not needed here: PageSizeExport = 5000."),
    ],
)
def test_each_setting_that_says_something_is_told(write, name, value, told):
    [found] = read_export(write(with_parameters((name, value))))
    assert [note for note in choose((found,), None).notes if told in note]
    assert not [note for note in found.notes if "s3cret" in note]


def test_a_secret_in_an_element_that_nobody_knows_is_not_shown(write):
    [found] = read_export(write(changed("<AutosyncTimer>", "<ApiPassword>s3cret</ApiPassword><AutosyncTimer>")))
    assert any("ECMAConfig ApiPassword = (withheld)" in note for note in found.notes)
    assert not any("s3cret" in note for note in found.notes)


@pytest.mark.parametrize(
    ("kind", "value"), [("String", ""), ("CheckBox", "0"), ("DropDown", "None"), ("CheckBox", "False")]
)
def test_a_setting_that_says_nothing_is_not_told(write, kind, value):
    [found] = read_export(write(with_parameters(("Anything New", value), kind=kind)))
    assert not [note for note in found.notes if "Anything New" in note]


def test_what_is_encrypted_is_named_without_its_value(write):
    [found] = read_export(write(with_parameters(("Anything New", "s3cret"), kind="EncryptedString")))
    assert [note for note in found.notes if "Anything New = (withheld)" in note]
    assert not [note for note in found.notes if "s3cret" in note]


def test_elements_that_nobody_knows_are_told(write):
    [found] = read_export(write(changed("<SecretToken />", "<SecretToken>t0ken</SecretToken><Zone>west</Zone>")))
    assert any("ECMAConfig Zone = west" in note for note in found.notes)
    assert any("stands in the export" in note and "t0ken" not in note for note in found.notes)


@pytest.mark.parametrize(
    ("backend", "create"),
    [
        ("mssql", "EXEC dbo.AddUser @Login = :ContosoLogin, @First = :FirstName"),
        ("oracle", "BEGIN dbo.AddUser(Login => :ContosoLogin, First => :FirstName); END;"),
        ("postgresql", "CALL dbo.AddUser(:ContosoLogin, :FirstName)"),
    ],
)
def test_procedures_that_write_are_kept(write, backend, create):
    lines = "@Login: INPUT: ContosoLogin&#10;First:input:FirstName"
    given = [("Operation Method", "Stored Procedure"), ("Add SP Name", "dbo.AddUser"), ("Add SP Parameters", lines)]
    [found] = read_export(write(with_parameters(*given, run="Export")))
    assert text_for(found.exports["create"], backend) == create
    assert any("created by the procedure dbo.AddUser" in note for note in found.notes)


def test_queries_that_write_are_kept(write):
    query = "UPDATE Employees SET FirstName = @FirstName WHERE ContosoLogin = @ContosoLogin"
    given = [("Operation Method", "SQL Query"), ("Update Query", query)]
    assert read_export(write(with_parameters(*given, run="Export")))[0].exports == {"update": query}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([("Add SP Name", "dbo.Add"), ("Add SP Parameters", "Id:OUTPUT:x")], "Export Add SP Name = dbo.Add: its param"),
        ([("Operation Method", "Stored Procedure")], "written by Stored Procedure: write the statements into"),
        ([("Table/View/SP", "Staff")], "Several tables were read and written ([dbo].[Employees], Staff)"),
    ],
)
def test_ways_of_writing_that_cannot_be_kept_are_told(write, given, told):
    [found] = read_export(write(with_parameters(*given, run="Export")))
    assert (found.exports, found.table) == ({}, "Employees")
    assert [note for note in found.notes if told in note]


def test_other_connectors_of_the_export_are_told(write):
    body = SAMPLE.read_text().partition("<Connectors>")[2].partition("</Connectors>")[0]
    ldap = body.replace(">SQL<", ">AD<").replace("GenericSql", "GenericLdap")
    more = body.replace(">SQL<", ">CRM<")
    found = choose(read_export(write(changed("</Connectors>", f"{ldap}{more}</Connectors>"))), "SQL")
    assert [note for note in found.notes if "AD (Microsoft.IAM.Connector.GenericLdap.dll) is no SQL connector" in note]
    assert [note for note in found.notes if "--add --name CRM" in note]
    with pytest.raises(ConfigurationError, match=r"AD .* is no SQL connector"):
        read_export(write(changed("GenericSql", "GenericLdap").replace(">SQL<", ">AD<")))


def test_a_port_that_is_none_is_told(write):
    [found] = read_export(write(changed("<Port>8586", "<Port>99999")))
    assert found.port is None
    assert any("The port 99999 is none" in note for note in found.notes)


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
