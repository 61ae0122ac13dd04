"""Signing and encryption keys: ``authserver key``."""

from typing import Any

import click

from authserver.cli.deployment import minute, opened, print_json, print_table

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")


@click.group()
def key() -> None:
    """Show and rotate signing and encryption keys; encrypt anew after a change of the secret key."""


@key.command("list")
@_AS_JSON
def list_(as_json: bool) -> None:
    """List the keys with their states."""
    from authserver.manage import keys

    with opened() as deployment:
        _print(keys.list_keys(deployment.store), as_json=as_json)


@key.command()
@click.option("--now", "soon", is_flag=True, help="Sign with the new keys after 10 minutes.")
@click.option(
    "--compromised", is_flag=True, help="Sign with the new keys at once and drop the ones before: their tokens die."
)
@_AS_JSON
def rotate(soon: bool, compromised: bool, as_json: bool) -> None:
    """Make the next keys and publish them."""
    from authserver.manage import keys

    with opened() as deployment:
        made = keys.rotate(
            deployment.store,
            deployment.sealer,
            deployment.settings,
            soon=soon,
            compromised=compromised,
            actor=deployment.actor,
        )
    _print(made, as_json=as_json)


@key.command()
def reseal() -> None:
    """Encrypt with the current secret key what a former one sealed."""
    from authserver.manage import keys

    with opened() as deployment:
        click.echo(f"sealed {keys.reseal(deployment.store, deployment.sealer, actor=deployment.actor)} values anew")


def _print(found: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    rows = [("KID", "ALGORITHM", "USE", "STATE", "FROM", "RETIRES")]
    rows += [
        (one["kid"], one["algorithm"], one["use"], one["state"], minute(one["signs_at"]), minute(one["retires_at"]))
        for one in found
    ]
    print_table(rows)
