"""The settings: ``authserver settings``."""

import click

from authserver.cli.deployment import print_json, print_record


@click.group()
def settings() -> None:
    """Show and check the settings."""


@settings.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")
def show(as_json: bool) -> None:
    """Show every setting as it applies; secrets and passwords in URLs are left out."""
    from authserver.cli.deployment import read_settings

    found = read_settings().redacted()
    (print_json if as_json else print_record)(found)


@settings.command()
@click.option("--development", is_flag=True, help="Check for 'serve --development'.")
def check(development: bool) -> None:
    """Check the settings as 'serve' would; status 2 when they are wrong."""
    from authserver.outbound import Outbound
    from authserver.settings import load_settings

    found = load_settings(**({"development": True} if development else {}))
    found.secret()
    Outbound(found)  # refuses certificates that cannot be read
    click.echo("the settings are in order")
