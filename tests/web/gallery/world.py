"""The servers that the pages are of, who lives around them, and the steps that several ways have in common."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any

from flask import Flask

from authserver.records import User
from pytest_authserver import AuthServer, Browser, Page, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.authenticator import Authenticator, enrol
from tests.backchannel import GRANT_TYPE as CIBA
from tests.backchannel import PLENTY
from tests.described import Web, client_at, document
from tests.devices import device_client
from tests.registering import register

API = "https://api.example"
BANK = "https://bank.example"
HOME = "https://accounts.example"
CALLBACK = "https://photos.example/callback"
DOCUMENT = "https://frames.example/client"
SCOPE = "openid profile email offline_access photos:read photos:write"
LINKS: Mapping[str, Any] = MappingProxyType(
    {
        "client_uri": "https://photos.example/",
        "logo_uri": "https://photos.example/logo.png",
        "policy_uri": "https://photos.example/privacy",
        "tos_uri": "https://photos.example/terms",
    }
)
PROFILE: Mapping[str, Any] = MappingProxyType(
    {
        "given_name": "Alice",
        "family_name": "Example",
        "nickname": "al",
        "phone_number": "+31 20 555 0100",
        "website": "https://alice.example/" + "a-long-path-without-any-place-to-break/" * 2,
        "birthdate": "1990-01-31",
        "zoneinfo": "Europe/Amsterdam",
        "locale": "en-NL",
        "address": {"formatted": "Keizersgracht 1\n1015 AA Amsterdam\nThe Netherlands"},
    }
)


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": [*properties], "properties": properties}


DETAILS = {
    "payment": {
        "description": "Pay {amount.value} {amount.currency} to {creditor}",
        "resources": [BANK],
        "json_schema": _object(
            amount=_object(value={"type": "string"}, currency={"enum": ["EUR"]}),
            creditor={"type": "string"},
            creditorAccount=_object(iban={"type": "string"}),
            reference={"type": "string"},
        ),
    },
    "folder": {
        "description": "Work on a folder: {actions}",
        "resources": [API],
        "json_schema": _object(actions={"type": "array", "items": {"type": "string"}}, identifier={"type": "string"}),
    },
    "call": {"description": "Call you by telephone", "resources": [API], "json_schema": _object()},
}
SETTINGS: Mapping[str, Any] = MappingProxyType(
    {
        "features": dict.fromkeys(("ciba", "client_id_metadata", "signup"), True),
        "signup": {"terms_uri": f"{HOME}/terms", "policy_uri": f"{HOME}/privacy"},
        "registration": {"mode": "open", "scopes": SCOPE},
        "ciba": {"fresh_seconds": 60},
        "authorization_details_types": DETAILS,
        "limits": PLENTY,
    }
)

Way = Callable[["Gallery"], Page]
PAGES: dict[str, Way] = {}


def shown(way: Way) -> Way:
    """List a way to a page; the name of the function is the name of the page."""
    PAGES[way.__name__] = way
    return way


class Gallery:
    """A server full of people and applications; ``language`` is what the browsers of the people prefer."""

    def __init__(self, folder: Path, language: str = "en", watch: Callable[[Flask], None] | None = None) -> None:
        self._folder, self._watch, self.language = folder, watch, language
        self._servers: list[AuthServer] = []
        self._numbers = count()
        self.at = self.server()
        self.at.resource(
            API,
            name="Photo archive",
            scopes={"photos:read": "See your photos and albums", "photos:write": "Add photos to your albums"},
        )
        self.at.resource(BANK, name="First Bank of the Pacific", scopes={})
        self.alice = self.at.user("alice", name="Alice Example", email_verified=True, **PROFILE)
        self.photos = self.client("photos", client_name="Holiday Photos", **LINKS)
        self.notes = self.client("notes", client_name="Notes", trusted=True)
        self.till = self.client(
            "till",
            client_name="Corner shop",
            grant_types=[CIBA, "refresh_token"],
            redirect_uris=None,
            backchannel_token_delivery_mode="poll",
            **LINKS,
        )
        self.frame = device_client(self.at, client_id="frame", client_name="Kitchen picture frame", scope=SCOPE)
        # Registered by itself, and described by a document of its own.
        gifts = register(self.at, client_name="Free Gifts", redirect_uris=[CALLBACK], **LINKS)
        self.gifts = RegisteredClient(gifts["client_id"], "", CALLBACK, gifts)
        web = Web()
        web.pages[DOCUMENT] = document(DOCUMENT, client_name="Slow Notes", redirect_uris=[DOCUMENT], **LINKS)
        vars(self.at.server.outbound)["fetch_document"] = web.fetch_document
        self.described = client_at(DOCUMENT, DOCUMENT)

    def close(self) -> None:
        """Close the servers."""
        for server in self._servers:
            server.close()

    def server(self, **settings: Any) -> AuthServer:
        """Make another server, with these settings on top."""
        folder = self._folder / str(len(self._servers))
        folder.mkdir()
        made = AuthServer(folder, **{**SETTINGS, **settings})
        self._servers.append(made)
        if self._watch is not None:
            self._watch(made.app)
        return made

    def client(self, name: str | None = None, **members: Any) -> RegisteredClient:
        """Register an application."""
        given = {"redirect_uris": [CALLBACK], "scope": SCOPE, "authorization_details_types": [*DETAILS], **members}
        return self.at.client(client_id=name or f"client-{next(self._numbers)}", **given)

    def person(self, username: str = "dora", **claims: Any) -> User:
        """Add an account, for a way that changes it."""
        return self.at.user(f"{username}{next(self._numbers)}", **claims)

    def browser(self, user: User | None = None, at: AuthServer | None = None) -> Browser:
        """Return a new browser, in which nobody is signed in, or this user."""
        browser = (at or self.at).browser(user)
        browser.http.headers["Accept-Language"] = self.language
        return browser

    def request(self, client: RegisteredClient | None = None, **parameters: Any) -> dict[str, Any]:
        """Return an authorization request for much, that asks the person in any case."""
        asked = {"scope": SCOPE, "resource": API, "prompt": "consent", "state": "s", **parameters}
        return self.at.request(client or self.photos, self.at.pkce(), **asked)

    def start(self, browser: Browser, client: RegisteredClient | None = None, **parameters: Any) -> Page:
        """Make an authorization request and stop at the first page."""
        return browser.visit_request(self.request(client, **parameters))

    def signed_in(self, *users: User) -> Browser:
        """Return a browser in which these have signed in by the page, the last one latest."""
        browser = self.browser()
        for user in users or (self.alice,):
            page = browser.visit("/login?switch=1")
            browser.log_in(page, user.username, PASSWORD)
        return browser

    def with_app(self) -> tuple[User, Authenticator]:
        """Add somebody who signs in with an authenticator app."""
        person = self.person()
        return person, enrol(self.at, self.signed_in(person))


@contextmanager
def replaced(thing: object, name: str, stand_in: Any) -> Iterator[None]:
    """Have something fail, or answer otherwise, inside."""
    before = getattr(thing, name)
    setattr(thing, name, stand_in)
    try:
        yield
    finally:
        setattr(thing, name, before)


def raising(error: Exception) -> Callable[..., Any]:
    """Return a function that fails in this way."""

    def fail(*_: object, **__: object) -> None:
        raise error

    return fail
