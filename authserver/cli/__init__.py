"""The command ``authserver``: one file per noun; a command imports what it needs when it runs."""

import click

from authserver import __version__
from authserver.cli.client import client
from authserver.cli.db import db
from authserver.cli.demo import demo
from authserver.cli.doctor import doctor
from authserver.cli.failure import Commands
from authserver.cli.grant import grant
from authserver.cli.job import job
from authserver.cli.key import key
from authserver.cli.resource import resource
from authserver.cli.serve import serve
from authserver.cli.session import session
from authserver.cli.settings import settings
from authserver.cli.token import token
from authserver.cli.user import user
from authserver.cli.worker import worker


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="authserver")
def cli() -> None:
    """Run and manage an OAuth 2.1 authorization server and OpenID provider.

    Settings come from AUTHSERVER_* and from the TOML file that AUTHSERVER_CONFIG names.
    """


for _command in (serve, demo, db, user, client, resource, key, grant, session, job, token, settings, doctor, worker):
    cli.add_command(_command)


def main() -> None:
    """Run the command line."""
    cli(prog_name="authserver")
