"""Everything at once, on this machine: ``authserver demo``."""

import http.client
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from authserver.cli.demonstration import PASSWORD, USER, Demonstration

if TYPE_CHECKING:
    from authserver.cli.deployment import Deployment

_PATIENCE = 120.0  # seconds for all three to answer
_COMMANDS = {
    "authserver": ("authserver.cli:main", ("serve", "--development")),
    "resourceserver": ("resourceserver.cli:main", ("serve",)),
    "bff": ("bff.cli:main", ("serve",)),
}


@click.command()
def demo() -> None:
    """Run authorization server, resource server and web application with demonstration data under var/demo.

    Other ports: AUTHSERVER_PORT, RESOURCESERVER_PORT, BFF_PORT. Ctrl-C ends everything.
    """
    from authserver.cli import demonstration
    from authserver.cli.children import Children
    from authserver.cli.listening import free_addresses

    environ = dict(os.environ)
    plan = demonstration.prepare(environ)
    alone = demonstration.lock(plan)
    ports = dict(zip(_COMMANDS, (plan.authserver, plan.resourceserver, plan.bff), strict=True))
    for name, port in ports.items():
        free_addresses("localhost", port, f"{name.upper()}_PORT")
    environments = demonstration.environments(plan, environ)
    children = Children()
    try:
        with _settled(environments["authserver"]) as deployment:
            # These two need nothing of the database, and start while it is made ready.
            for name in ("resourceserver", "bff"):
                children.start(name, *_COMMANDS[name], environments[name])
            demonstration.fill(plan, deployment)
        children.start("authserver", *_COMMANDS["authserver"], environments["authserver"])
        waiting = list(ports.values())
        if children.until(_answers(waiting), _PATIENCE):
            _welcome(plan)
            children.watch()
    finally:
        children.stop()
        alone.close()


@contextmanager
def _settled(environment: dict[str, str]) -> "Iterator[Deployment]":
    """Open the database under the settings that the server will have."""
    from authserver.cli.deployment import opened

    os.environ.clear()
    os.environ.update(environment)
    with opened(upgraded=False) as deployment:
        yield deployment


def _answers(waiting: list[int]) -> Callable[[], bool]:
    """Return a function that asks those that did not answer yet, and says whether all have."""

    def ask() -> bool:
        waiting[:] = [port for port in waiting if not _is_ready(port)]
        return not waiting

    return ask


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health/ready", headers={"Host": f"localhost:{port}"})
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _welcome(plan: Demonstration) -> None:
    lines = (
        "",
        f"  web application       {plan.web}    <- begin here",
        f"  authorization server  {plan.issuer}",
        f"  resource server       {plan.api}",
        "",
        f"  account               {USER}",
        f"  password              {PASSWORD}",
        "",
        "  Ctrl-C ends everything. The data is under var/demo.",
        "",
    )
    click.echo("\n".join(lines))
    sys.stdout.flush()
