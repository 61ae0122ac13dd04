"""What a driven operation is: the requests that one connection sends, and the check of every answer."""

from base64 import urlsafe_b64decode
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import orjson

from benchmarks.connection import Reply, WrongAnswer

Script = Generator[bytes | None, Reply, None]
"""Yields a request and is sent its answer, for ever; yields None when one operation is complete."""


@dataclass(frozen=True)
class Target:
    """A server with what was registered at it."""

    host: str
    port: int
    issuer: str
    resource: str
    redirect_uri: str
    clients: dict[str, dict[str, str]]
    """Name to client_id and client_secret."""
    browsers: list[dict[str, str]] = field(default_factory=list)
    """For each connection: the session cookie of a browser that is signed in, and a refresh token."""

    @property
    def authority(self) -> str:
        """Value of the Host header."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Operation:
    """An operation of the driver; ``script`` is made once per connection and lives for the whole run."""

    name: str
    title: str
    script: Callable[[Target, int], Script]


def signed_as(token: str, algorithm: str, typ: str) -> dict[str, Any]:
    """Return the claims of a JWT whose header says this; the signature is checked elsewhere (verify_jwt)."""
    parts = token.split(".")
    if len(parts) != 3:
        raise WrongAnswer("not a JWT")
    head, claims = (orjson.loads(urlsafe_b64decode(part + "==")) for part in parts[:2])
    if (head["alg"], head["typ"]) != (algorithm, typ):
        raise WrongAnswer(f"a JWT with the header {head}")
    return dict(claims)


def must(condition: object, complaint: str) -> None:
    """Raise WrongAnswer unless the condition holds."""
    if not condition:
        raise WrongAnswer(complaint)
