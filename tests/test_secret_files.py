"""A file that holds a secret is used as it is meant, or refused by key, cause and mend, and never quoted."""

from pathlib import Path

import pytest

from agent.errors import ConfigurationError as AgentConfigurationError
from agent.outbound.dialling import read_token
from agent.settings import AgentSettings
from connector_host.errors import ConfigurationError
from connector_host.secret_files import read_secret_file


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"s3cret \xc3\xa9\n", "s3cret é"),
        (b"s3cret\r\n", "s3cret"),
        (b" s3cret", " s3cret"),
        (b"\xef\xbb\xbfs3cret\n", "s3cret"),
    ],
)
def test_a_secret_is_what_stands_in_the_file_without_the_end_of_its_line(tmp_path, content, secret):
    (file := tmp_path / "secret").write_bytes(content)
    assert read_secret_file(file, "password_file") == secret


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (b"s3\0cret\n", "has a NUL character in it"),
        ("s3cret".encode("utf-16"), "is no text in UTF-8"),
        (b"s3cret\nand more\n", "has more than one line"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused_and_not_quoted(tmp_path, content, fact):
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError) as failure:
        read_secret_file(file, "password_file")
    text = str(failure.value)
    assert text.startswith(f"password_file: {file} {fact}. ")
    assert ("UTF-8." in text or "Name the file" in text, "s3" in text, "0xff" in text) == (True, False, False)


@pytest.mark.parametrize("content", [b"tok\0en", b"\xff\xfet", "tökén".encode(), b"one\ntwo", b""])
def test_the_agent_refuses_a_token_that_is_none_by_its_key(tmp_path, content):
    (file := tmp_path / "token").write_bytes(content)
    settings = AgentSettings(relay="https://relay", host="https://host", tenant="acme", token_file=Path(file))
    with pytest.raises(AgentConfigurationError, match=r"^agent\.token_file: "):
        read_token(settings)
