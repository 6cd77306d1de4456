"""A name says whether it is a password's, in any convention; a secret of another kind is only not proposed."""

import pytest

from connector_host.connectors.contract import RefusalKind
from connector_host.scim.names import holds_secret, words
from connector_host.scim.vocabulary import refused_kind


@pytest.mark.parametrize(
    "name", ["password", "PassWord", "pass_word", "PasswordHash", "pwd", "set_password", "NewPassword", "USERPASSWORD"]
)
def test_a_passwords_name_is_refused_however_it_is_written(name):
    assert refused_kind(name) is RefusalKind.PASSWORD
    assert holds_secret(words(name))


@pytest.mark.parametrize("name", ["MfaPhone", "PinCode", "tokenRing", "ssn"])
def test_another_secret_is_not_proposed_and_not_refused(name):
    assert refused_kind(name) is None
    assert holds_secret(words(name))


@pytest.mark.parametrize("name", ["Passport", "Compass", "department", "bypass"])
def test_an_innocent_name_is_neither(name):
    assert refused_kind(name) is None
    assert not holds_secret(words(name))
