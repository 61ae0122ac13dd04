"""Tokens: ``authserver token``."""

import sys

import click

from authserver.cli.deployment import opened

_LONGEST = 16 * 1024


@click.group()
def token() -> None:
    """Revoke tokens."""


@token.command()
@click.argument("token", metavar="TOKEN|-", default="-")
def revoke(token: str) -> None:
    """Revoke a token; - (the default) reads it from standard input, out of sight of the process list."""
    from authserver.manage import grants

    text = sys.stdin.read(_LONGEST).strip() if token == "-" else token
    with opened() as deployment:
        click.echo(f"revoked: {grants.revoke_token(deployment.store, text, actor=deployment.actor)}")
