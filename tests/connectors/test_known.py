"""What keeps the known types of columns from being read is told with the mend that mends it."""

import pytest

from connector_host.connectors.registry import accept_types
from connector_host.connectors.sql.known import KnownTypes, file_of
from connector_host.errors import ConfigurationError


def test_a_file_that_this_account_cannot_read_is_not_to_be_made_anew(tmp_path):
    (file := file_of(tmp_path, "HR")).mkdir(parents=True)  # a folder, which even root cannot read as a file
    with pytest.raises(ConfigurationError, match="Let the account that runs the host read it") as refused:
        KnownTypes(file, "Employees", "sqlite").load()
    assert "--accept-types" not in str(refused.value)
    with pytest.raises(ConfigurationError, match="cannot be taken away"):
        accept_types("HR", tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"table": "Employees"}', '{"table": "Employees", "columns": {"a": 1}}'])
def test_a_file_that_holds_something_else_is_made_anew_once_that_is_accepted(tmp_path, text):
    (file := file_of(tmp_path, "HR")).parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(ConfigurationError, match="--accept-types"):
        KnownTypes(file, "Employees", "sqlite").load()
    accept_types("HR", tmp_path)
    assert KnownTypes(file, "Employees", "sqlite").load() == {}
