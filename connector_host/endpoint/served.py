"""One connector as it is served: its name, its token gate, its settings, and its flows as the table is now."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from connector_host.errors import ConfigurationError
from connector_host.scim.compilation import compile_flows
from connector_host.scim.flows import Policies
from connector_host.scim.rendering import Renderer

if TYPE_CHECKING:
    from connector_host.access.tokens import TokenGate
    from connector_host.connectors.contract import Connector, ObjectType
    from connector_host.scim.flows import Flows
    from connector_host.settings import SqlSettings
    from connector_host.signing.requests import Demand


@dataclass(slots=True)
class Served:
    """Joins what one `/ecma2host_NAME/scim` needs."""

    connector: Connector
    settings: SqlSettings
    gate: TokenGate
    signing: Demand | None = None
    """Which requests must be signed, and by whom; None demands no signature."""
    _renderer: Renderer | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        """The name in the configuration and in the URL."""
        return self.connector.name

    async def renderer(self) -> Renderer:
        """Return the renderer for the object type as it is now; compiled again only where the table has changed.

        Raises what `Connector.describe` raises, and ConfigurationError for a mapping that cannot exist.
        """
        object_type = await self.connector.describe()
        known = self._renderer
        if known is not None and (known.flows.object_type is object_type or known.flows.object_type == object_type):
            return known
        self._renderer = self._compile(object_type)
        return self._renderer

    def _compile(self, object_type: ObjectType) -> Renderer:
        settings = self.settings
        flows = compile_flows(object_type, settings.attributes, Policies.of(settings))
        column = settings.version_column
        if column is not None and column not in object_type.by_name:
            raise ConfigurationError(f"version_column: there is no column {column} among the columns that are exposed.")
        return Renderer(flows, strong=settings.etag == "strong", version_column=column)

    async def flows(self) -> Flows:
        """Return the attribute flows as they are now."""
        return (await self.renderer()).flows
