"""Another SCIM service as a source: pages of users, whole or by `meta.lastModified` (RFC 7644 §3.4.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from connector_host.provisioning.errors import SourceFailed
from connector_host.provisioning.expressions.signatures import Kind
from connector_host.provisioning.schemas import user_schema
from connector_host.provisioning.sources.contract import Batch, SourceUser, spoilt
from connector_host.provisioning.sources.files import json_values
from connector_host.provisioning.web import MISSING, Web

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from connector_host.provisioning.settings import ScimSettings

OK = 200

TYPES: Final = {
    "string": Kind.TEXT,
    "boolean": Kind.TRUTH,
    "integer": Kind.NUMBER,
    "decimal": Kind.NUMBER,
    "dateTime": Kind.DATE,
    "reference": Kind.REFERENCE,
}
"""The kinds of SCIM's types (RFC 7643 §2.3)."""


class ScimSource:
    """The users of one SCIM service; their attributes are SCIM paths."""

    def __init__(self, settings: ScimSettings, token: str | None) -> None:
        self._settings = settings
        self.gives_changes = settings.changes
        self.full_every = settings.full_every if settings.changes else 0
        self._web = Web(settings.trust)
        self._headers = {"Accept": "application/scim+json"} | ({"Authorization": f"Bearer {token}"} if token else {})

    async def attributes(self) -> Mapping[str, Kind] | None:
        """Return None: extensions make any attribute possible."""
        return None

    async def kinds(self) -> Mapping[str, Kind]:
        """Return what the service's `/Schemas` say; nothing where it has none."""
        status, document = await self._web.ask(f"{self._settings.url}/Schemas", self._headers)
        found = document.get("Resources")
        schema = user_schema(found if status == OK and isinstance(found, list) else ())
        return {
            one.path: Kind.MANY if one.many else TYPES.get(one.type, Kind.ANY) for one in schema.attributes.values()
        }

    async def count(self) -> int | None:
        """Return the total of an answer without any user (RFC 7644 §3.4.2.4), None where the service knows none."""
        total = str((await self._page({"count": "0"}))["totalResults"])
        return int(total) if total.isdecimal() else None

    async def read(self, mark: str | None) -> AsyncGenerator[Batch, None]:
        """Yield the users page by page, overlapping by one; the next mark is the latest change among them."""
        seen, latest, last = 0, mark, None
        query = {"count": str(self._settings.page_size)}
        if mark is not None:
            query["filter"] = f'meta.lastModified ge "{mark}"'
        while True:
            page = await self._page(query | {"startIndex": str(seen + 1 if last is None else seen)})
            total = int(page["totalResults"])
            found = tuple(self._user(resource) for resource in page.get("Resources") or [])
            if len(found) <= (last is not None) and seen < total:
                raise SourceFailed(f"the source says that it has {total} users and stopped before user {seen + 1}.")
            users = found if last is None else _after(last, found)
            latest = max([latest or "", *(str(user.values.get("meta.lastModified") or "") for user in users)]) or None
            seen += len(users)
            if seen >= total:
                yield Batch(users, latest)
                return
            yield Batch(users)
            # Who reads one user a page has none to spare for the overlap.
            last = users[-1].key if len(found) > 1 else None

    async def fetch(self, key: str) -> SourceUser | None:
        """Return one user by its key."""
        if self._settings.key == "id":
            status, document = await self._web.ask(f"{self._settings.url}/Users/{quote(key, safe='')}", self._headers)
            if status == MISSING:
                return None
            if status != OK:
                raise SourceFailed(f"the source answered {status}.")
            return self._user(document)
        literal = key.replace("\\", "\\\\").replace('"', '\\"')
        page = await self._page({"filter": f'{self._settings.key} eq "{literal}"'})
        return next((self._user(resource) for resource in page.get("Resources") or []), None)

    async def lacks(self, key: str) -> bool:
        """Return whether no user has this key."""
        return await self.fetch(key) is None

    async def close(self) -> None:
        """Close the connections."""
        await self._web.close()

    async def _page(self, query: Mapping[str, str]) -> dict[str, Any]:
        status, page = await self._web.ask(f"{self._settings.url}/Users?{urlencode(query)}", self._headers)
        if status != OK or "totalResults" not in page:
            raise SourceFailed(f"the source answered {status} and no list of users.")
        return page

    def _user(self, resource: Mapping[str, Any]) -> SourceUser:
        values = json_values(resource)
        key = values.get(self._settings.key)
        if key in (None, "") or isinstance(key, tuple):
            return spoilt(f"a user of the source has no single {self._settings.key}.")
        return SourceUser(str(key), values)


def _after(last: str, found: tuple[SourceUser, ...]) -> tuple[SourceUser, ...]:
    """Return the users of a page that begins with the last one of the page before.

    Raises SourceFailed where it doesn't: pages are counted from the first user (RFC 7644 §3.4.2.4), so one who is
    deleted meanwhile moves all behind, and whoever moves into the page before would be missed, and look gone.
    """
    if not found or found[0].key != last:
        raise SourceFailed("the source changed while its pages were read, so that users may be missing.")
    return found[1:]
