"""A TLS context stays in step with its files, however they are exchanged."""

from __future__ import annotations

import os
import ssl

import pytest

from agent.errors import ConfigurationError
from agent.link.followed import FollowedContext


@pytest.fixture
def followed(tmp_path):
    file = tmp_path / "trust.pem"
    file.write_text("whole")

    def load():
        if not file.exists() or file.read_text() not in {"whole", "whole again"}:
            raise ConfigurationError("it is half")
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    return file, FollowedContext(load, file)


def test_a_file_that_grows_within_one_tick_of_the_clock_is_read_again_when_it_is_whole(followed):
    file, context = followed
    first = context.context()
    file.write_text("wh")
    stamp = file.stat()
    assert context.context() is first, "what cannot be used leaves what was there before in force"
    with file.open("a") as rest:
        rest.write("ole again")
    # Two writes in one tick leave one time.
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert file.read_text() == "whole again"
    assert context.context() is not first


def test_a_file_that_is_gone_for_a_moment_changes_nothing(followed):
    file, context = followed
    first, away = context.context(), file.with_name("away")
    file.replace(away)
    assert context.context() is first
    away.replace(file)
    assert context.context() is not first
