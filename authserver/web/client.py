"""How pages speak of a client: its name, its logo, where it is, and whether anybody vouches for it."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from authserver import tagged
from authserver.language import N_
from authserver.oauth import client_logo
from authserver.records import Client
from authserver.web import context, language

# Translators: stands where a host name stands otherwise: "to continue to Photos at an app on this device (photos:)",
# and alone: "The answer goes to: an app on this device (photos:)". Where one form cannot serve both, "at %(place)s" may
# become "(%(place)s)".
_APP = N_("an app on this device (%(scheme)s:)")


@dataclass(frozen=True, slots=True)
class ClientView:
    """What people are told about an application, in the language of the page."""

    name: str
    place: str  # the host that gets the answer, or a program on this device
    host: str | None  # the host of the document that describes it, where it has one
    verified: bool
    logo: str | None  # an address of ours
    client_uri: str | None
    policy_uri: str | None
    tos_uri: str | None


def client_view(client: Client, redirect_uri: str) -> ClientView:
    """Return what this page shows of a client whose answer goes to ``redirect_uri``."""
    return ClientView(
        name=name_of(client),
        place=place_of(redirect_uri),
        host=urlsplit(client.client_id).netloc if client.origin == "document" else None,
        verified=client.origin == "administrator",
        logo=client_logo.address(context.server(), client, language.spoken().tag),
        client_uri=_link(client, "client_uri"),
        policy_uri=_link(client, "policy_uri"),
        tos_uri=_link(client, "tos_uri"),
    )


def name_of(client: Client) -> str:
    """Return what the client is called in the language of this page (OpenID Connect Registration 1.0, 2.1)."""
    name = tagged.in_language(client.metadata, "client_name", language.spoken().tag)
    return name if isinstance(name, str) else client.client_id


def place_of(redirect_uri: str) -> str:
    """Return the host of a redirect URI in words that fit into a sentence (RFC 8252 8.6, 8.7)."""
    parts = urlsplit(redirect_uri)
    if parts.scheme not in {"http", "https"}:
        return language.gettext(_APP, scheme=parts.scheme)
    return parts.netloc


def _link(client: Client, member: str) -> str | None:
    """Return a link that leads to a web page and does nothing else (OpenID Connect Registration 1.0, 2)."""
    uri = tagged.in_language(client.metadata, member, language.spoken().tag)
    return uri if isinstance(uri, str) and uri.startswith(("https://", "http://")) else None
