"""Grants: ``authserver grant``."""

from datetime import UTC, datetime

import click

from authserver.cli.deployment import opened, print_json, print_table


@click.group()
def grant() -> None:
    """Show and revoke what users have granted to clients."""


@grant.command("list")
@click.argument("user")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")
def list_(user: str, as_json: bool) -> None:
    """List the grants of USER (name, e-mail address or sub) that are in force."""
    from authserver.manage import grants, users

    with opened() as deployment:
        found = [
            grants.describe(one) for one in grants.of_user(deployment.store, users.existing(deployment.store, user).sub)
        ]
    if as_json:
        print_json(found)
        return
    rows = [("GRANT", "CLIENT_ID", "SCOPE", "UNTIL")]
    for one in found:
        until = datetime.fromtimestamp(one["expires_at"], UTC).strftime("%Y-%m-%d")
        rows.append((one["grant_id"], one["client_id"], one["scope"], until))
    print_table(rows)


@grant.command()
@click.argument("grant_id", required=False)
@click.option("--user", help="Revoke every grant of this user.")
@click.option("--client", "client_id", help="Revoke every grant of this client; with --user, of the pair.")
def revoke(grant_id: str | None, user: str | None, client_id: str | None) -> None:
    """Revoke one grant, or all of a user or client, with every token of it."""
    from authserver.manage import grants, users

    if (grant_id is None) == (user is None and client_id is None):
        raise click.UsageError("name a grant, or --user or --client")
    with opened() as deployment:
        if grant_id is not None:
            grants.revoke(deployment.store, grant_id, actor=deployment.actor)
            click.echo(f"revoked {grant_id}")
            return
        sub = None if user is None else users.existing(deployment.store, user).sub
        count = grants.revoke_all(deployment.store, sub=sub, client_id=client_id, actor=deployment.actor)
        click.echo(f"revoked {count} grants")
