"""What is named in place of a small file neither fills the memory nor hangs: it is refused with the reason."""

import asyncio
import os
import subprocess
import sys

import pytest

from agent.errors import ConfigurationError as AgentConfigurationError
from agent.link.tls import trusting
from agent.settings import load_agent
from connector_host.access.tokens import TokenGate
from connector_host.errors import ConfigurationError
from connector_host.provisioning.errors import SourceFailed
from connector_host.provisioning.settings import CsvSettings
from connector_host.provisioning.sources.files import FileSource
from connector_host.provisioning.web import tls
from connector_host.secret_files import read_secret_file
from connector_host.settings import load
from connector_host.signing.keys import load_public_key
from connector_host.small_files import MOST_BYTES, demand_small, read_small
from connector_host.tls.files import UnusableFile, load_chain, load_key

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="devices and named pipes of POSIX")


@pytest.fixture(params=["endless device", "pipe without a writer"])
def odd(request, tmp_path):
    if request.param == "endless device":
        (file := tmp_path / "odd").symlink_to("/dev/zero")
    else:
        os.mkfifo(file := tmp_path / "odd")
    return file


@pytest.mark.parametrize(
    ("read", "refusal"),
    [
        (lambda file: read_secret_file(file, "password_file"), ConfigurationError),
        (load_key, UnusableFile),
        (load_chain, UnusableFile),
        (tls, ConfigurationError),
        (lambda file: trusting(file, "agent.relay_trust"), AgentConfigurationError),
        (lambda file: load_agent(file, {}), AgentConfigurationError),
        (lambda file: load(file, {}), ConfigurationError),
        (load_public_key, ConfigurationError),
        (lambda file: TokenGate(file=file).demand_readable(), ConfigurationError),
        (lambda file: asyncio.run(FileSource(CsvSettings(type="csv", path=file, key="id")).attributes()), SourceFailed),
    ],
    ids=["secret", "key", "chain", "trust", "anchor", "agent", "host", "signing", "tokens", "source"],
)
def test_what_is_no_small_file_is_refused_wherever_one_is_named(odd, read, refusal):
    with pytest.raises(refusal, match="odd"):
        read(odd)


def test_a_file_that_is_too_large_is_refused(tmp_path):
    (file := tmp_path / "large").touch()
    os.truncate(file, MOST_BYTES)
    demand_small(file)
    assert len(read_small(file)) == MOST_BYTES
    os.truncate(file, MOST_BYTES + 1)
    for refused in (read_small, demand_small):
        with pytest.raises(OSError, match="more than 16 MiB"):
            refused(file)


def test_what_a_program_writes_into_a_pipe_is_read_to_its_end():
    with subprocess.Popen(["/bin/sh", "-c", "printf s3; printf cret"], stdout=subprocess.PIPE) as program:
        assert read_small(f"/dev/fd/{program.stdout.fileno()}") == b"s3cret"
