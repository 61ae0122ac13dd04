"""Tokens: ``authserver token``."""

import sys

import click

from authserver.cli.deployment import opened

_LONGEST = 16 * 1024


@click.group()
def token() -> None:
    """Revoke tokens."""


@token.command()
@click.argument("token", metavar="TOKEN|-", required=False)
@click.option("--user", help="Revoke every token of this user; the sessions go on.")
@click.option("--client", "client_id", help="Revoke every token of this client, also those that it got for itself.")
def revoke(token: str | None, user: str | None, client_id: str | None) -> None:
    """Revoke a token; - (the default) reads it from standard input, out of sight of the process list."""
    from authserver.manage import grants, users

    if sum(named is not None for named in (token, user, client_id)) > 1:
        raise click.UsageError("name a token, or --user, or --client")
    with opened() as deployment:
        if user is not None:
            sub = users.existing(deployment.store, user).sub
            count = grants.revoke_all_of_user(deployment.store, sub, actor=deployment.actor)
            click.echo(f"revoked: every token of {user} ({count} grants)")
            return
        if client_id is not None:
            count = grants.revoke_all_of_client(deployment.store, client_id, actor=deployment.actor)
            click.echo(f"revoked: every token of {client_id} ({count} grants)")
            return
        text = sys.stdin.read(_LONGEST).strip() if token is None or token == "-" else token
        click.echo(f"revoked: {grants.revoke_token(deployment.store, text, actor=deployment.actor)}")
