"""Commands that a person types. No logic of its own; rooms are imported when a command runs, so that help is quick."""

from __future__ import annotations

import click

from connector_host import __version__
from connector_host.cli.audit import audit
from connector_host.cli.certificates import cert
from connector_host.cli.checking import check, discover
from connector_host.cli.configuration import configuration, reload
from connector_host.cli.doctor import doctor
from connector_host.cli.exporting import export_user, grants
from connector_host.cli.importing import change_log, import_users
from connector_host.cli.init import init
from connector_host.cli.provision import provision
from connector_host.cli.services import service
from connector_host.cli.serving import serve
from connector_host.cli.signing import signing
from connector_host.cli.speaking import speaking
from connector_host.cli.tokens import secret, token


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, message="%(prog)s %(version)s")
def main() -> None:
    """Provision users from a cloud directory into a SQL database.

    \b
    First time:
      connector-host init                      describe your table, step by step
      connector-host serve                     start; then paste URL and token into your directory
    When something is wrong:
      connector-host check                     says what, and what to do about it
    """


for command in (
    init,
    check,
    discover,
    serve,
    token,
    secret,
    signing,
    cert,
    configuration,
    reload,
    audit,
    service,
    doctor,
    provision,
    import_users,
    change_log,
    export_user,
    grants,
):
    main.add_command(speaking(command))
