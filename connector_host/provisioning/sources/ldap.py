"""LDAP and Active Directory as a source: a paged search, whole or from a mark on (RFC 4511, RFC 2696).

Uses bonsai, the binding to OpenLDAP's library that is kept up; the pure-Python one has not seen a release since 2021.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

import bonsai

from connector_host.provisioning.errors import SourceFailed
from connector_host.provisioning.expressions.signatures import Kind
from connector_host.provisioning.sources.contract import SourceUser
from connector_host.provisioning.sources.threads import batches, in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping

    from connector_host.provisioning.settings import LdapSettings
    from connector_host.provisioning.sources.contract import Batch
    from connector_host.provisioning.values import Value

TIMEOUT_S: Final = 60.0
BINARY_IDS: Final = frozenset({"objectguid"})
"""Active Directory's ids that are bytes; their text is the one that its own tools show."""

GUID_BYTES: Final = 16


class LdapSource:
    """The entries below one base that a filter lets through."""

    def __init__(self, settings: LdapSettings, password: str | None) -> None:
        self._settings = settings
        self.gives_changes = settings.mark is not None
        self.full_every = settings.full_every if settings.mark else 0
        self._mark: str | None = None
        self._client = bonsai.LDAPClient(settings.url, tls=settings.start_tls)
        self._client.set_cert_policy("demand")
        if settings.trust is not None:
            self._client.set_ca_cert(str(settings.trust))
        if settings.login is not None:
            self._client.set_credentials("SIMPLE", user=settings.login, password=password or "")

    async def attributes(self) -> Mapping[str, Kind] | None:
        """Return what the job reads; None where it reads all that there is."""
        if not self._settings.attributes:
            return None
        return dict.fromkeys((self._settings.key, *self._settings.attributes), Kind.ANY)

    def read(self, mark: str | None) -> AsyncGenerator[Batch, None]:
        """Yield the entries, those at or after the mark where there is one."""
        self._mark = mark
        text = self._settings.filter
        if mark is not None and self._settings.mark is not None:
            text = f"(&{text}({self._settings.mark}>={bonsai.escape_filter_exp(mark)}))"
        return batches(lambda: self._users(text), lambda: self._mark)

    async def fetch(self, key: str) -> SourceUser | None:
        """Return one entry by its key."""
        value = bonsai.escape_filter_exp(key)
        if self._settings.key.lower() in BINARY_IDS:
            value = "".join(f"\\{byte:02x}" for byte in uuid.UUID(key).bytes_le)
        text = f"(&{self._settings.filter}({self._settings.key}={value}))"
        return await in_thread(lambda: next(self._users(text), None))

    async def close(self) -> None:
        """Do nothing: a connection lives as long as a search."""

    def _users(self, text: str) -> Iterator[SourceUser]:
        settings = self._settings
        wanted = [*settings.attributes] or ["*"]
        wanted += [name for name in (settings.key, settings.mark) if name and name not in wanted]
        try:
            with self._client.connect(timeout=TIMEOUT_S) as connection:
                found = connection.paged_search(
                    settings.search_base,
                    bonsai.LDAPSearchScope.SUBTREE,
                    text,
                    wanted,
                    timeout=TIMEOUT_S,
                    page_size=settings.page_size,
                )
                for entry in found:
                    yield self._user(entry)
        except bonsai.LDAPError as failure:
            raise SourceFailed(
                f"the directory refused or broke off the search ({type(failure).__name__})."
            ) from failure

    def _user(self, entry: bonsai.LDAPEntry) -> SourceUser:
        values = {str(name): _value(str(name), list(held)) for name, held in entry.items() if str(name).lower() != "dn"}
        values["dn"] = str(entry.dn)
        key = values.get(self._settings.key)
        if key is None or isinstance(key, tuple):
            raise SourceFailed(f"an entry has no single {self._settings.key}.")
        if self._settings.mark is not None and (mark := values.get(self._settings.mark)) is not None:
            self._mark = _later(self._mark, str(mark))
        return SourceUser(str(key), values)


def _value(name: str, held: list[Any]) -> Value:
    texts = tuple(_text(name, item) for item in held)
    return texts if len(texts) > 1 else texts[0] if texts else None


def _text(name: str, item: Any) -> str | bool | int:  # noqa: ANN401 - the library's value
    if isinstance(item, bytes):
        if name.lower() in BINARY_IDS and len(item) == GUID_BYTES:
            return str(uuid.UUID(bytes_le=item))
        return item.hex()
    return item if isinstance(item, bool | int) else str(item)


def _later(one: str | None, other: str) -> str:
    """Return the later of two marks: numbers (`uSNChanged`) by value, times (`20260101120000Z`) by their text."""
    if one is None:
        return other
    if one.isdigit() and other.isdigit():
        return max(one, other, key=int)
    return max(one, other)
