"""Protected resources: ``authserver resource``."""

from typing import IO, Any

import click

from authserver.cli.deployment import opened, print_json, print_record, print_table, read_json
from authserver.cli.failure import Failure

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
def add(identifier: str | None, file: IO[bytes] | None, scopes: tuple[str, ...], **options: Any) -> None:
    """Add the resource IDENTIFIER (an absolute URI) and print it as JSON."""
    from authserver.manage import resources

    given = read_json(file) if file else {}
    given |= {name: value for name, value in options.items() if value is not None}
    if identifier is not None:
        given["identifier"] = identifier
    if scopes:
        given["scopes"] = dict(_scope(entry) for entry in scopes)
    if "identifier" not in given:
        raise Failure("name the resource's identifier, or give --json")
    with opened() as deployment:
        print_json(resources.describe(resources.add(deployment.store, given, actor=deployment.actor)))


@resource.command()
@click.option(
    "--json", "file", type=click.File("rb"), required=True, help="File with all its members; - reads standard input."
)
def update(file: IO[bytes]) -> None:
    """Replace all but the identifier of a resource and print it as JSON."""
    from authserver.manage import resources

    given = read_json(file)
    with opened() as deployment:
        print_json(resources.describe(resources.update(deployment.store, given, actor=deployment.actor)))


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
        found = resources.describe(resources.existing(deployment.store, identifier))
    (print_json if as_json else print_record)(found)


@resource.command()
@click.argument("identifier")
def remove(identifier: str) -> None:
    """Delete a resource."""
    from authserver.manage import resources

    with opened() as deployment:
        resources.remove(deployment.store, identifier, actor=deployment.actor)
    click.echo(f"removed {identifier}")


def _scope(entry: str) -> tuple[str, str]:
    name, sign, sentence = entry.partition("=")
    return name, sentence if sign else name
