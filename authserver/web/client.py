"""How pages speak of a client: its name, where it is, and whether anybody vouches for it."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from authserver.records import Client


@dataclass(frozen=True, slots=True)
class ClientView:
    """What people are told about an application."""

    name: str
    place: str  # the host that gets the answer, or a program on this device
    host: str | None  # the host of the document that describes it, where it has one
    verified: bool
    policy_uri: str | None
    tos_uri: str | None


def client_view(client: Client, redirect_uri: str) -> ClientView:
    """Return what is shown of a client whose answer goes to ``redirect_uri``."""
    return ClientView(
        name=client.client_name or client.client_id,
        place=place_of(redirect_uri),
        host=urlsplit(client.client_id).netloc if client.origin == "document" else None,
        verified=client.origin == "administrator",
        policy_uri=_link(client, "policy_uri"),
        tos_uri=_link(client, "tos_uri"),
    )


def place_of(redirect_uri: str) -> str:
    """Return the host of a redirect URI in words that fit into a sentence (RFC 8252 8.6, 8.7)."""
    parts = urlsplit(redirect_uri)
    if parts.scheme not in {"http", "https"}:
        return f"an app on this device ({parts.scheme}:)"
    return parts.netloc


def _link(client: Client, member: str) -> str | None:
    """Return a link that leads to a web page and does nothing else (OpenID Connect Registration 1.0, 2)."""
    uri = client.metadata.get(member)
    return uri if isinstance(uri, str) and uri.startswith(("https://", "http://")) else None
