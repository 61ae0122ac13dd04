"""A look over the deployment: ``authserver doctor``."""

import click

from authserver.cli.deployment import opened, print_json


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")
@click.option("--development", is_flag=True, help="Look as 'serve --development' would.")
def doctor(as_json: bool, development: bool) -> None:
    """Say what keeps this deployment from serving, and what could be better; status 1 if anything keeps it."""
    from authserver.manage import overview

    with opened(upgraded=False) as deployment:
        problems = [*_of_settings(development=development), *overview.obstacles(deployment.store, deployment.settings)]
        sealer = deployment.sealer
        hints = [] if problems else overview.advice(deployment.store, deployment.settings, sealer)
        counts = {} if problems else overview.overview(deployment.store)
    if as_json:
        print_json({"problems": problems, "advice": hints, "overview": counts})
    else:
        for text in problems:
            click.echo(f"problem: {text}")
        for text in hints:
            click.echo(f"advice: {text}")
        for name, value in counts.items():
            click.echo(f"{name}: {value}")
        if not problems:
            click.echo("nothing keeps this deployment from serving")
    raise SystemExit(1 if problems else 0)


def _of_settings(*, development: bool) -> list[str]:
    """Return what 'serve' would refuse of the settings; other commands are content with less."""
    from authserver.settings import SettingsError, load_settings

    try:
        load_settings(**({"development": True} if development else {}))
    except SettingsError as error:
        return str(error).splitlines()
    return []
