"""How Alembic runs the migrations: over the connection that the state hands to it, in one transaction."""

from alembic import context

from connector_host.provisioning.state.tables import metadata

with (
    context.begin_transaction() if context.is_offline_mode() else context.config.attributes["connection"].begin_nested()
):
    context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
    context.run_migrations()
