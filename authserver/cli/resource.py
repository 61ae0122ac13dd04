"""Protected resources: ``authserver resource``."""

from collections.abc import Mapping
from typing import IO, Any, Final

import click

from authserver.cli.deployment import Deployment, opened, print_json, print_record, print_table, read_json
from authserver.cli.failure import Failure

_MEMBERS: Final = ("name", "token_format", "access_token_seconds", "signing_alg", "status_list")
_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")


@click.group()
def resource() -> None:
    """Add, show, change and remove protected resources and their scopes."""


@resource.command()
@click.argument("identifier", required=False)
@click.option(
    "--json", "file", type=click.File("rb"), help="File with the members in place of options; - reads standard input."
)
@click.option("--name", help="What people call it.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="NAME=SENTENCE",
    help="A scope and what it allows, for people; repeatable.",
)
@click.option(
    "--format", "token_format", type=click.Choice(["opaque", "jwt"]), help="What its access tokens look like."
)
@click.option("--seconds", "access_token_seconds", type=click.IntRange(1), help="Life of its access tokens.")
@click.option("--signing-alg", type=click.Choice(["ES256", "RS256"]), help="How its JWT access tokens are signed.")
@click.option("--status-list", is_flag=True, default=None, help="Its JWT access tokens have an entry in a status list.")
@click.option(
    "--encryption-alg",
    "alg",
    type=click.Choice(["RSA-OAEP-256", "ECDH-ES"]),
    help="How its JWT access tokens are encrypted to its key.",
)
@click.option(
    "--encryption-enc",
    "enc",
    type=click.Choice(["A256GCM", "A128CBC-HS256"]),
    help="How their content is encrypted; A256GCM when left out.",
)
@click.option(
    "--encryption-keys",
    "keys",
    type=click.File("rb"),
    help="File with its public keys, a JWK Set; with --from those that it publishes.",
)
@click.option(
    "--introspected-by",
    "servers",
    multiple=True,
    metavar="CLIENT_ID",
    help="A client that may introspect its tokens; repeatable.",
)
@click.option(
    "--from",
    "origin",
    metavar="IDENTIFIER",
    help="The resource's identifier, from which its own metadata document is read (RFC 9728).",
)
@click.option("--with-client", is_flag=True, help="Register a client for the API as well, which may introspect.")
def add(identifier: str | None, origin: str | None, with_client: bool, **options: Any) -> None:
    """Add the resource IDENTIFIER (an absolute URI) and print it as JSON.

    With --from, name and scopes are those of the metadata document that the API publishes about itself; its host has to
    be public, or named in AUTHSERVER_OUTBOUND_ALLOW. With --with-client a client and its secret are printed, too.
    """
    from authserver.app import client_members
    from authserver.manage import joining, resources

    if origin is not None and (identifier is not None or options["file"]):
        raise Failure("--from takes the place of IDENTIFIER and --json")
    with opened() as deployment:
        given = _given(deployment, identifier, origin, options)
        store, actor = deployment.store, deployment.actor
        if with_client:
            sealer = deployment.sealer
            print_json(joining.add_with_client(store, sealer, given, actor=actor, known=client_members()))
            return
        print_json(resources.described(store, resources.add(store, given, actor=actor)))


@resource.command()
@click.option(
    "--json", "file", type=click.File("rb"), required=True, help="File with all its members; - reads standard input."
)
def update(file: IO[bytes]) -> None:
    """Replace all but the identifier of a resource and print it as JSON."""
    from authserver.manage import resources

    given = read_json(file)
    with opened() as deployment:
        changed = resources.update(deployment.store, given, actor=deployment.actor)
        print_json(resources.described(deployment.store, changed))


@resource.command("list")
@_AS_JSON
def list_(as_json: bool) -> None:
    """List the resources."""
    from authserver.manage import resources

    with opened() as deployment:
        found = deployment.store.resources.all()
    if as_json:
        print_json([resources.describe(one) for one in found])
        return
    rows = [("IDENTIFIER", "NAME", "FORMAT", "SCOPES")]
    rows += [(one.identifier, one.name, one.token_format, " ".join(sorted(one.scope_names))) for one in found]
    print_table(rows)


@resource.command()
@click.argument("identifier")
@_AS_JSON
def show(identifier: str, as_json: bool) -> None:
    """Show a resource."""
    from authserver.manage import resources

    with opened() as deployment:
        found = resources.described(deployment.store, resources.existing(deployment.store, identifier))
    (print_json if as_json else print_record)(found)


@resource.command()
@click.argument("identifier")
def remove(identifier: str) -> None:
    """Delete a resource, and every client's right to introspect for it."""
    from authserver.manage import resources

    with opened() as deployment:
        resources.remove(deployment.store, identifier, actor=deployment.actor)
    click.echo(f"removed {identifier}")


def _given(
    deployment: Deployment, identifier: str | None, origin: str | None, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the members of the resource: from a file or its own metadata document, and then from the options."""
    scopes, document = dict(map(_scope, options["scopes"])), None
    given = read_json(options["file"]) if options["file"] else {}
    if origin is not None:
        from authserver.manage import joining
        from authserver.outbound import Outbound

        document = joining.fetch(Outbound(deployment.settings), origin, deployment.settings.issuer)
        given = joining.members(document, scopes)
    elif scopes:
        given["scopes"] = scopes
    given |= {name: options[name] for name in _MEMBERS if options[name] is not None}
    if identifier is not None:
        given["identifier"] = identifier
    if "identifier" not in given:
        raise Failure("name the resource's identifier, or give --json or --from")
    if options["servers"]:
        given["introspection_clients"] = list(options["servers"])
    if any(options[name] for name in ("alg", "enc", "keys")):
        given["encryption"] = _encryption(deployment, document, options)
    return given


def _encryption(
    deployment: Deployment, document: Mapping[str, Any] | None, options: Mapping[str, Any]
) -> dict[str, Any]:
    from authserver.manage import joining
    from authserver.manage.resources import DEFAULT_METHOD
    from authserver.outbound import Outbound

    alg, enc, keys = options["alg"], options["enc"] or DEFAULT_METHOD, options["keys"]
    if alg is None or (keys is None and document is None):
        raise Failure("encryption needs --encryption-alg, and --encryption-keys or --from")
    if keys is not None:
        return {"alg": alg, "enc": enc, "jwks": read_json(keys)}
    return joining.encryption(Outbound(deployment.settings), document or {}, alg, enc)


def _scope(entry: str) -> tuple[str, str]:
    name, sign, sentence = entry.partition("=")
    return name, sentence if sign else name
