"""The database: ``authserver db``."""

import click

from authserver.cli.deployment import opened


@click.group()
def db() -> None:
    """Bring the database up to date."""


@db.command()
def upgrade() -> None:
    """Bring the schema to the newest version and make the first signing keys; safe to run again, and by two at once."""
    from authserver.manage import keys

    with opened(upgraded=False) as deployment:
        deployment.store.upgrade()
        sealer, settings = deployment.sealer, deployment.settings
        made = keys.ensure_first(deployment.store, sealer, settings, actor=deployment.actor)
    click.echo("the database is up to date" + (", and the first signing keys are made" if made else ""))
