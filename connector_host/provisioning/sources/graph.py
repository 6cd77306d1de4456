"""Microsoft Graph as a source: `users/delta`, whose delta link is the mark.

Microsoft: get incremental changes for users. `@removed` with the reason `changed` is a soft delete, `deleted` a hard
one; 410 means that the mark is too old, and all must be read again.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode, urlsplit

from connector_host import clock
from connector_host.provisioning.errors import MarkTooOld, SourceFailed
from connector_host.provisioning.expressions.signatures import Kind
from connector_host.provisioning.sources.contract import Batch, Presence, SourceUser
from connector_host.provisioning.sources.files import json_values
from connector_host.provisioning.web import GONE, MISSING, Web

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from connector_host.provisioning.settings import GraphSettings

OK = 200
RENEW_S = 120.0
"""A token is renewed that long before it ends."""

KINDS: Final[Mapping[str, Kind]] = {
    **dict.fromkeys(("accountEnabled", "isResourceAccount", "onPremisesSyncEnabled", "showInAddressList"), Kind.TRUTH),
    **dict.fromkeys(
        (
            "birthday", "createdDateTime", "deletedDateTime", "employeeHireDate", "employeeLeaveDateTime",
            "externalUserStateChangeDateTime", "hireDate", "lastPasswordChangeDateTime",
            "onPremisesLastSyncDateTime", "refreshTokensValidFromDateTime", "signInSessionsValidFromDateTime",
        ),
        Kind.DATE,
    ),
    **dict.fromkeys(
        (
            "assignedLicenses", "assignedPlans", "businessPhones", "identities", "imAddresses", "interests",
            "onPremisesProvisioningErrors", "otherMails", "pastProjects", "provisionedPlans", "proxyAddresses",
            "responsibilities", "schools", "serviceProvisioningErrors", "skills",
        ),
        Kind.MANY,
    ),
}  # fmt: skip
"""The properties of a user that are no text (Microsoft Graph: user resource type)."""

NEXT, DELTA, REMOVED = "@odata.nextLink", "@odata.deltaLink", "@removed"


class GraphSource:
    """The users of one Entra directory."""

    gives_changes = True
    full_every = 0

    def __init__(self, settings: GraphSettings, secret: str | None) -> None:
        if secret is None:
            raise SourceFailed("Microsoft Graph needs the client's secret.")
        self._settings = settings
        self._secret = secret
        self._web = Web(settings.trust)
        self._token, self._token_until_s = "", 0.0

    async def attributes(self) -> Mapping[str, Kind] | None:
        """Return what the job selects."""
        return {name: KINDS.get(name, Kind.ANY) for name in ("id", *self._settings.attributes)}

    async def kinds(self) -> Mapping[str, Kind]:
        """Return the kinds of a user's properties that are no plain text."""
        return {name: KINDS[name] for name in self._settings.attributes if name in KINDS}

    async def count(self) -> int | None:
        """Return the directory's own count, which may be some minutes old; None where it gives none."""
        # An advanced query (Microsoft: advanced query capabilities on directory objects).
        headers = {"ConsistencyLevel": "eventual"}
        status, page = await self._ask(f"{self._settings.url}/users?$count=true&$top=1&$select=id", headers)
        count = page.get("@odata.count")
        return count if status == OK and isinstance(count, int) else None

    async def read(self, mark: str | None) -> AsyncGenerator[Batch, None]:
        """Yield the users of the delta query; a changed user is fetched whole: a delta may name only what changed."""
        url = mark or f"{self._settings.url}/users/delta?{urlencode({'$select': self._select()})}"
        while True:
            page = await self._page(url)
            users = [self._user(item) for item in page.get("value", [])]
            if mark is not None:
                users = [user if user.presence is not Presence.HERE else await self._whole(user) for user in users]
            if DELTA in page:
                yield Batch(tuple(users))
                if mark is None:
                    async for batch in self._soft_deleted():
                        yield batch
                yield Batch((), str(page[DELTA]))
                return
            if NEXT not in page:
                raise SourceFailed("Microsoft Graph answered a page with neither a next nor a delta link.")
            yield Batch(tuple(users))
            url = str(page[NEXT])

    async def fetch(self, key: str) -> SourceUser | None:
        """Return one user by its object id."""
        query = urlencode({"$select": self._select()})
        status, document = await self._ask(f"{self._settings.url}/users/{quote(key, safe='')}?{query}")
        if status == MISSING:
            return await self._deleted(key)
        if status != OK:
            raise SourceFailed(f"Microsoft Graph answered {status}.")
        return self._user(document)

    async def lacks(self, key: str) -> bool:
        """Return whether no user has this key."""
        return await self.fetch(key) is None

    async def _deleted(self, key: str) -> SourceUser | None:
        """Return a user who is not there as soft-deleted while the directory still has it, None where it is gone."""
        status, _ = await self._ask(f"{self._settings.url}/directory/deletedItems/{quote(key, safe='')}?$select=id")
        if status == MISSING:
            return None
        if status != OK:
            raise SourceFailed(f"Microsoft Graph answered {status} about a deleted user.")
        return SourceUser(key, {}, Presence.SOFT_DELETED)

    async def _soft_deleted(self) -> AsyncGenerator[Batch, None]:
        """Yield the soft-deleted users, whom a delta query without a mark leaves out as if they were gone."""
        url = f"{self._settings.url}/directory/deletedItems/microsoft.graph.user?$select=id"
        while url:
            page = await self._page(url)
            yield Batch(tuple(SourceUser(str(item["id"]), {}, Presence.SOFT_DELETED) for item in page["value"]))
            url = str(page.get(NEXT, ""))

    async def close(self) -> None:
        """Close the connections."""
        await self._web.close()

    def _select(self) -> str:
        return ",".join(dict.fromkeys(("id", *self._settings.attributes)))

    async def _whole(self, user: SourceUser) -> SourceUser:
        return await self.fetch(user.key) or SourceUser(user.key, {}, Presence.SOFT_DELETED)

    async def _page(self, url: str) -> dict[str, Any]:
        status, page = await self._ask(url)
        if status == GONE:
            raise MarkTooOld("Microsoft Graph has forgotten the mark: everything must be read again.")
        if status != OK:
            raise SourceFailed(f"Microsoft Graph answered {status}.")
        return page

    async def _ask(self, url: str, headers: Mapping[str, str] = MappingProxyType({})) -> tuple[int, dict[str, Any]]:
        # A link out of an answer must not carry the token to another host.
        if urlsplit(url).netloc != urlsplit(self._settings.url).netloc:
            raise SourceFailed("Microsoft Graph gave a link to another host.")
        return await self._web.ask(url, {**headers, "Authorization": f"Bearer {await self._access_token()}"})

    async def _access_token(self) -> str:
        if clock.monotonic_s() < self._token_until_s:
            return self._token
        form = {
            "client_id": self._settings.client,
            "client_secret": self._secret,
            "scope": f"{urlsplit(self._settings.url).scheme}://{urlsplit(self._settings.url).netloc}/.default",
            "grant_type": "client_credentials",
        }
        status, document = await self._web.ask(
            f"{self._settings.authority}/{quote(self._settings.tenant, safe='')}/oauth2/v2.0/token", {}, form=form
        )
        if status != OK or "access_token" not in document:
            raise SourceFailed(f"Microsoft's token service refused the client ({document.get('error', status)}).")
        self._token = str(document["access_token"])
        self._token_until_s = clock.monotonic_s() + float(document.get("expires_in", 0)) - RENEW_S
        return self._token

    def _user(self, item: Mapping[str, Any]) -> SourceUser:
        if REMOVED in item:
            gone = item[REMOVED].get("reason") == "deleted"
            return SourceUser(str(item["id"]), {}, Presence.GONE if gone else Presence.SOFT_DELETED)
        return SourceUser(str(item["id"]), json_values(item))
