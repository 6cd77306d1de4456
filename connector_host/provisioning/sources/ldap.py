"""LDAP and Active Directory as a source: a paged search, whole or from a mark on (RFC 4511, RFC 2696).

Uses bonsai, the binding to OpenLDAP's library that is kept up; the pure-Python one has not seen a release since 2021.
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any, Final

import bonsai

from connector_host.provisioning.errors import SourceFailed
from connector_host.provisioning.expressions.signatures import Kind
from connector_host.provisioning.sources.contract import SourceUser, spoilt
from connector_host.provisioning.sources.threads import batches, in_thread
from connector_host.provisioning.values import to_number

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping

    from connector_host.provisioning.settings import LdapSettings
    from connector_host.provisioning.sources.contract import Batch
    from connector_host.provisioning.values import Value

TIMEOUT_S: Final = 60.0
BINARY_IDS: Final = frozenset({"objectguid"})
"""Active Directory's ids that are bytes; their text is the one that its own tools show."""

GUID_BYTES: Final = 16

CONTROL: Final = "userAccountControl"
"""Active Directory's attribute of flags; the bit ACCOUNTDISABLE among them disables (Microsoft: UserAccountControl)."""

ACCOUNT_DISABLE: Final = 0x2
ENABLED: Final = "accountEnabled"
"""What these flags say of the account, by the name that Microsoft Graph has for it."""

SYNTAXES: Final = {
    "1.3.6.1.4.1.1466.115.121.1.24": Kind.DATE,
    "1.3.6.1.4.1.1466.115.121.1.53": Kind.DATE,
    "1.3.6.1.4.1.1466.115.121.1.12": Kind.REFERENCE,
    "1.3.6.1.4.1.1466.115.121.1.34": Kind.REFERENCE,
    "1.3.6.1.4.1.1466.115.121.1.7": Kind.TRUTH,
    "1.3.6.1.4.1.1466.115.121.1.27": Kind.NUMBER,
}
"""The syntaxes that are no plain text (RFC 4517 §3.3): times, names of other entries, truth values, integers."""

_NAMES = re.compile(r"\bNAME\s+(?:'[^']+'|\(\s*(?:'[^']+'\s*)+\))")
_SYNTAX = re.compile(r"\bSYNTAX\s+'?([0-9.]+)")
_PARENT = re.compile(r"\bSUP\s+([A-Za-z][\w-]*)")


class LdapSource:
    """The entries below one base that a filter lets through."""

    def __init__(self, settings: LdapSettings, password: str | None) -> None:
        self._settings = settings
        self.gives_changes = settings.mark is not None
        self.full_every = settings.full_every if settings.mark else 0
        self._mark: str | None = None
        named = (settings.key, settings.mark, *settings.attributes)
        self._spelled = {name.lower(): name for name in named if name}
        self._enabled = self._spelled.get(ENABLED.lower(), ENABLED)
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
        names = (self._settings.key, "dn", *self._settings.attributes)
        derived = [self._enabled] if CONTROL.lower() in self._spelled else []
        return dict.fromkeys((*names, *derived), Kind.ANY)

    async def kinds(self) -> Mapping[str, Kind]:
        """Return which attributes are dates, references, truth values or numbers by the directory's own schema.

        Whether an attribute has several values is left to the entries: LDAP's schemas allow that nearly everywhere.
        """
        kinds = await in_thread(self._schema) | {ENABLED: Kind.TRUTH, ENABLED.lower(): Kind.TRUTH}
        names = self._settings.attributes
        return {name: kinds[name.lower()] for name in names if name.lower() in kinds} if names else kinds

    async def count(self) -> int | None:
        """Return None: only reading all users would tell."""
        return None

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
            try:
                value = "".join(f"\\{byte:02x}" for byte in uuid.UUID(key).bytes_le)
            except ValueError:
                return None  # no user has what is no GUID
        text = f"(&{self._settings.filter}({self._settings.key}={value}))"
        return await in_thread(lambda: next(self._users(text), None))

    async def lacks(self, key: str) -> bool:
        """Return whether no user has this key."""
        return await self.fetch(key) is None

    async def close(self) -> None:
        """Do nothing: a connection lives as long as a search."""

    def _schema(self) -> dict[str, Kind]:
        try:
            with self._client.connect(timeout=TIMEOUT_S) as connection:
                where = connection.search("", bonsai.LDAPSearchScope.BASE, attrlist=["subschemaSubentry"])[0]
                found = connection.search(
                    str(where["subschemaSubentry"][0]),
                    bonsai.LDAPSearchScope.BASE,
                    "(objectClass=*)",
                    ["attributeTypes"],
                    timeout=TIMEOUT_S,
                )[0]
        except (bonsai.LDAPError, LookupError):
            return {}  # not every login may read the schema
        return attribute_kinds(map(str, found["attributeTypes"]))

    def _users(self, text: str) -> Iterator[SourceUser]:
        settings = self._settings
        wanted = [*settings.attributes] or ["*"]
        derived_from = CONTROL if ENABLED.lower() in self._spelled else None
        wanted += [name for name in (settings.key, settings.mark, derived_from) if name and name not in wanted]
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
        # Names have no case in LDAP (RFC 4512 §2.5): those that the job spells keep its spelling.
        held = {self._spelled.get(str(name).lower(), str(name)): list(values) for name, values in entry.items()}
        values = {name: _value(name, items) for name, items in held.items() if name.lower() != "dn"}
        values["dn"] = str(entry.dn)
        enabled = _is_enabled(values.get(self._spelled.get(CONTROL.lower(), CONTROL)))
        if enabled is not None:
            values.setdefault(self._enabled, enabled)
        if self._settings.mark is not None and (mark := values.get(self._settings.mark)) is not None:
            self._mark = _later(self._mark, str(mark))
        key = values.get(self._settings.key)
        if key in (None, "") or isinstance(key, tuple):
            return spoilt(f"an entry has no single {self._settings.key} (leave such entries out by the filter).")
        return SourceUser(str(key), values)


def attribute_kinds(definitions: Iterable[str]) -> dict[str, Kind]:
    """Return the kinds of attributes by their names as they are defined and in lower case (RFC 4512 §4.1.2)."""
    syntaxes: dict[str, str] = {}
    parents: dict[str, str] = {}
    names: dict[str, list[str]] = {}
    for text in definitions:
        own = _NAMES.search(text)
        if own is None:
            continue
        spelled = re.findall(r"'([^']+)'", own[0])
        names[spelled[0].lower()] = spelled
        if syntax := _SYNTAX.search(text):
            syntaxes[spelled[0].lower()] = syntax[1]
        if parent := _PARENT.search(text):
            parents[spelled[0].lower()] = parent[1].lower()
    first = {name.lower(): key for key, spelled in names.items() for name in spelled}
    kinds: dict[str, Kind] = {}
    for key, spelled in names.items():
        at, steps = key, 0
        while at not in syntaxes and at in parents and steps < len(parents):
            at, steps = first.get(parents[at], parents[at]), steps + 1
        if kind := SYNTAXES.get(syntaxes.get(at, "")):
            kinds |= dict.fromkeys((spelling for name in spelled for spelling in (name, name.lower())), kind)
    return kinds


def _is_enabled(control: Value) -> bool | None:
    """Return whether Active Directory's flags leave the account enabled; None where there are no flags."""
    number = None if control is None or isinstance(control, tuple) else to_number(control)
    return None if number is None else not int(number) & ACCOUNT_DISABLE


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
