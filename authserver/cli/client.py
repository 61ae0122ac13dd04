"""Clients: ``authserver client``."""

from typing import IO

import click

from authserver.cli.deployment import minute, opened, print_json, print_record, print_table, read_json

_MOST = 1000
_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")


@click.group()
def client() -> None:
    """Register, show, change and remove clients."""


@client.command()
@click.option(
    "--json",
    "file",
    type=click.File("rb"),
    required=True,
    help="File with the client's metadata; - reads standard input.",
)
@click.option(
    "--profile",
    type=click.Choice(["oauth21", "oidc", "fapi2", "fapi2_message_signing", "legacy"]),
    help="Profile, where the file names none.",
)
def add(file: IO[bytes], profile: str | None) -> None:
    """Register a client and print its registration response, with the secret, as JSON.

    The members are those of RFC 7591, and: client_id, client_secret, profile, trusted, resources, resource_server_for,
    web_origins, access_token_format, require_pkce, refresh_rotation, grace_seconds, id_token_claims.
    """
    from authserver.app import client_members
    from authserver.manage import clients
    from authserver.manage.profiles import DEFAULT

    metadata = read_json(file)
    with opened() as deployment:
        print_json(
            clients.register(
                deployment.store,
                deployment.sealer,
                metadata,
                profile=profile or DEFAULT,
                actor=deployment.actor,
                members=client_members(),
            )
        )


@client.command()
@click.argument("client_id")
@click.option(
    "--json", "file", type=click.File("rb"), required=True, help="File with all its metadata; - reads standard input."
)
def update(client_id: str, file: IO[bytes]) -> None:
    """Replace a client's metadata and print its registration response; what the file leaves out is gone."""
    from authserver.app import client_members
    from authserver.manage import clients

    metadata, members = read_json(file), client_members()
    with opened() as deployment:
        store, sealer, actor = deployment.store, deployment.sealer, deployment.actor
        print_json(clients.update(store, sealer, client_id, metadata, actor=actor, members=members))


@client.command("list")
@_AS_JSON
def list_(as_json: bool) -> None:
    """List the clients."""
    from authserver.manage import clients

    with opened() as deployment:
        found = deployment.store.clients.all()
    if as_json:
        print_json([clients.describe(one) for one in found])
        return
    rows = [("CLIENT_ID", "NAME", "PROFILE", "METHOD", "STATE")]
    for one in found:
        state = "enabled" if one.disabled_at is None else "disabled"
        rows.append((one.client_id, one.client_name, one.profile, one.token_endpoint_auth_method, state))
    print_table(rows)


@client.command()
@click.argument("client_id")
@_AS_JSON
def show(client_id: str, as_json: bool) -> None:
    """Show a client, without its secrets."""
    from authserver.manage import clients

    with opened() as deployment:
        found = clients.describe(clients.existing(deployment.store, client_id))
    (print_json if as_json else print_record)(found)


@client.command()
@click.argument("client_id")
def remove(client_id: str) -> None:
    """Delete a client; everything it was given is revoked."""
    from authserver.manage import clients

    with opened() as deployment:
        clients.remove(deployment.store, client_id, actor=deployment.actor)
    click.echo(f"removed {client_id}")


@client.command()
@click.argument("client_id")
def disable(client_id: str) -> None:
    """Switch a client off; everything it was given is revoked."""
    _set_disabled(client_id, disabled=True)


@client.command()
@click.argument("client_id")
def enable(client_id: str) -> None:
    """Switch a client on again."""
    _set_disabled(client_id, disabled=False)


@client.command("rotate-secret")
@click.argument("client_id")
@click.option(
    "--keep-seconds", type=click.IntRange(0, 90 * 86400), help="Life left to the secrets before; by default a day."
)
def rotate_secret(client_id: str, keep_seconds: int | None) -> None:
    """Give a client another secret and print it, as JSON; it is shown only now."""
    from authserver.manage import clients

    keep = clients.KEEP_SECONDS if keep_seconds is None else keep_seconds
    with opened() as deployment:
        print_json(
            clients.rotate_secret(
                deployment.store, deployment.sealer, client_id, actor=deployment.actor, keep_seconds=keep
            )
        )


@client.command("initial-access-token")
@click.option(
    "--uses", type=click.IntRange(1, 100_000), default=1, show_default=True, help="Clients that it registers."
)
@click.option("--days", type=click.IntRange(1, 366), default=7, show_default=True, help="Days in which it can be used.")
def initial_access_token(uses: int, days: int) -> None:
    """Make a token with which clients can register themselves (RFC 7591), and print it; it is shown only now."""
    from authserver.manage import registration_tokens

    with opened() as deployment:
        click.echo(registration_tokens.make_initial(deployment.store, uses=uses, days=days, actor=deployment.actor))
        if deployment.settings.registration.mode == "closed":
            click.echo("it opens nothing while registration.mode is closed", err=True)


@client.command("initial-access-tokens")
@_AS_JSON
def initial_access_tokens(as_json: bool) -> None:
    """List the tokens with which clients can still register themselves, by their ids; the tokens nobody knows."""
    from authserver.manage import registration_tokens

    with opened() as deployment:
        found = registration_tokens.list_initial(deployment.store, "", _MOST)
    if as_json:
        print_json(found)
        return
    rows = [("ID", "USES LEFT", "UNTIL")]
    rows += [(one["id"], str(one["uses_left"]), minute(one["expires_at"])) for one in found]
    print_table(rows)


@client.command("withdraw-initial-access-token")
@click.argument("token_id")
def withdraw_initial_access_token(token_id: str) -> None:
    """Make such a token useless, by its id; the clients that it has registered stay."""
    from authserver.manage import registration_tokens

    with opened() as deployment:
        registration_tokens.withdraw_initial(deployment.store, token_id, actor=deployment.actor)
    click.echo(f"withdrawn {token_id}")


def _set_disabled(client_id: str, *, disabled: bool) -> None:
    from authserver.manage import clients

    with opened() as deployment:
        clients.set_disabled(deployment.store, client_id, disabled=disabled, actor=deployment.actor)
    click.echo(f"{'disabled' if disabled else 'enabled'} {client_id}")
