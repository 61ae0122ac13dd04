"""Accounts: ``authserver user``."""

import sys
from typing import IO

import click

from authserver.cli.deployment import opened, print_json, print_record, read_json
from authserver.cli.failure import Failure

_LONGEST = 4096


@click.group()
def user() -> None:
    """Add accounts, show them, switch them off and on."""


@user.command()
@click.argument("name")
@click.option("--email", help="E-mail address; it is a name to sign in with, too.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input (one line).")
@click.option(
    "--claims", type=click.File("rb"), help="JSON file with claims about the person (OpenID Connect Core 5.1)."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")
def add(name: str, email: str | None, password_stdin: bool, claims: IO[bytes] | None, as_json: bool) -> None:
    """Add the account NAME; without a password nobody can sign in to it."""
    from authserver.manage import users

    given = read_json(claims) if claims else None
    password = _read_password() if password_stdin else None
    with opened() as deployment:
        account = users.make_user(name, email=email, claims=given)
        hashed = None if password is None else users.hash_password(deployment.passwords, account, password)
        users.add(deployment.store, account, hashed, actor=deployment.actor)
    if as_json:
        print_json(users.describe(account))
    else:
        click.echo(f"added {name}, sub {account.sub}")


@user.command("set-password")
@click.argument("name")
def set_password(name: str) -> None:
    """Give an account the password on standard input (one line); its sessions end and its grants are revoked."""
    from authserver.manage import users

    password = _read_password()
    with opened() as deployment:
        account = users.existing(deployment.store, name)
        hashed = users.hash_password(deployment.passwords, account, password)
        users.set_password(deployment.store, account, hashed, actor=deployment.actor)
    click.echo(f"set the password of {name}")


@user.command("confirm-email")
@click.argument("name")
def confirm_email(name: str) -> None:
    """Give an account the address that its owner wrote on the sign-up page, once you know that it is theirs."""
    from authserver.manage import users

    with opened() as deployment:
        account = users.existing(deployment.store, name)
        users.confirm_email(deployment.store, account, actor=deployment.actor)
    click.echo(f"confirmed {account.unconfirmed_email}")


@user.command("reset-second-factor")
@click.argument("name")
def reset_second_factor(name: str) -> None:
    """Take the second factor from an account whose owner has lost it; its sessions end, the password stays."""
    from authserver.manage import users

    with opened() as deployment:
        account = users.existing(deployment.store, name)
        users.reset_second_factor(deployment.store, account, actor=deployment.actor)
    click.echo(f"removed the second factor of {name}")


@user.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")
def show(name: str, as_json: bool) -> None:
    """Show an account by its name, e-mail address or sub."""
    from authserver.manage import users

    with opened() as deployment:
        found = users.describe(users.existing(deployment.store, name))
    (print_json if as_json else print_record)(found)


@user.command()
@click.argument("name")
def disable(name: str) -> None:
    """Switch an account off; its sessions end and its grants are revoked."""
    _set_disabled(name, disabled=True)


@user.command()
@click.argument("name")
def enable(name: str) -> None:
    """Switch an account on again."""
    _set_disabled(name, disabled=False)


def _set_disabled(name: str, *, disabled: bool) -> None:
    from authserver.manage import users

    with opened() as deployment:
        account = users.existing(deployment.store, name)
        users.set_disabled(deployment.store, account, disabled=disabled, actor=deployment.actor)
    click.echo(f"{'disabled' if disabled else 'enabled'} {name}")


def _read_password() -> str:
    try:
        text = sys.stdin.buffer.read(_LONGEST + 1).decode()
    except UnicodeDecodeError:
        raise Failure("the password is not UTF-8") from None
    line, _, rest = text.partition("\n")
    if rest.strip("\r\n"):
        raise Failure("the password is one line")
    return line.removesuffix("\r")
