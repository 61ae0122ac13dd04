"""Writes docs/endpoints.md: the protocol endpoints, as the registry lists them."""

import importlib
import inspect
from collections.abc import Iterator
from typing import NamedTuple

from tools.pages import NOTICE, Pages, write

PAGE = "docs/endpoints.md"


class Endpoint(NamedTuple):
    """One row of the registry's ENDPOINTS, with the first sentence of the file that answers."""

    name: str
    path: str
    methods: tuple[str, ...]
    summary: str
    cors: str


def endpoints() -> Iterator[Endpoint]:
    """Go through the endpoints in the registry's order."""
    registry = importlib.import_module("authserver.registry")
    for name, path, methods, respond in registry.ENDPOINTS:
        module = inspect.getmodule(respond)
        summary = " ".join((inspect.getdoc(module) or "").partition("\n\n")[0].split())
        own = "registered origins" if name in registry.CORS_REGISTERED else "none"
        yield Endpoint(name, path, methods, summary, "any origin" if name in registry.CORS_ANY else own)


def operations() -> Iterator[str]:
    """Go through the rows of the management API's table."""
    endpoint = importlib.import_module("authserver.api.endpoint")
    for each in endpoint.OPERATIONS:
        needs = [f"`{name}`" for name in each.needs]
        takes = [f"`{name}`?" for name in each.takes]
        given = ", ".join([*needs, *takes, *(["the whole object"] if each.document else [])])
        yield f"| {each.method} | `{endpoint.PATH}{each.path}` | `{each.scope}` | {given} | {each.summary} |"


def pages() -> Pages:
    """Write the page that is to be stored."""
    rows = "\n".join(
        f"| {each.name} | `{each.path}` | {', '.join(each.methods)} | {each.cors} | {each.summary} |"
        for each in endpoints()
    )
    table = "\n".join(operations())
    return {
        PAGE: f"""{NOTICE}

# Endpoints

Paths are below the issuer; clients find them by discovery. "Other origins" says from where a browser script may call.

| endpoint | path | methods | other origins | what it is |
|---|---|---|---|---|
{rows}

People meet these pages: `/authorize` (where clients send the browser), `/login`, `/consent`, `/device`, `/logout`,
`/account` and what is below them. Monitors ask `/health/live`, `/health/ready` and `/metrics`.

## The management API

[How it is used](management-api.md); off unless `features.management_api` is on. What an operation is given is in
the query of GET, PUT and DELETE and in the body of POST; a question mark stands behind what may be left out.

| method | path | scope | given | what it does |
|---|---|---|---|---|
{table}
"""
    }


if __name__ == "__main__":
    write(pages)
