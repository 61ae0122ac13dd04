"""Consent (OpenID Connect Core 1.0, 3.1.2.4; offline access 11): when it is asked for, what it covers, when it is kept.

https://openid.net/specs/openid-connect-core-1_0.html#Consent

Remembered per user, client, origin of the redirect URI, resource and scope set. Never remembered for public clients
whose redirect another program can claim (RFC 8252 8.6), nor what is allowed by authorization details (RFC 9396); for
self-registered clients only within one session.

Plugs into: ``oidc/interaction.py``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import orjson

from authserver.clock import now
from authserver.language import Language
from authserver.oauth import rar
from authserver.oauth.request import AuthorizationRequest
from authserver.oidc import claims_request, sentences
from authserver.oidc.sentences import Words
from authserver.records import Client, Consent, Session
from authserver.redirects import origin_of

if TYPE_CHECKING:
    from authserver.oauth.server import Server

_DAY: Final = 86_400


class Shown(NamedTuple):
    """A scope or claim as people read it; ``new`` where something was allowed before, and this was not."""

    title: str
    description: str
    new: bool


@dataclass(frozen=True, slots=True)
class Part:
    """What is asked for at one resource, or about the person (``name`` None)."""

    identifier: str
    name: str | None
    scopes: tuple[Shown, ...]
    details: tuple[rar.Words, ...] = ()
    new: bool = False  # the resource itself was never allowed, and something else was


@dataclass(frozen=True, slots=True)
class Asked:
    """What the consent page shows."""

    parts: tuple[Part, ...]
    offline: bool
    offline_new: bool
    days: int  # for which it holds at the most; 0 where it ends with a single token
    since: int | None  # when the user last allowed this client something here, as far as that is remembered

    @property
    def known(self) -> Literal["all", "some", "nothing"] | None:
        """Say how much of it was allowed before, where anything was; authorization details never were (RFC 9396 4)."""
        if self.since is None:
            return None
        news = [scope.new for part in self.parts for scope in part.scopes]
        news += [part.new for part in self.parts if part.identifier]
        news += [self.offline_new] if self.offline else []
        news += [True for part in self.parts if part.details]
        if not any(news):
            return "all"
        return "nothing" if all(news) else "some"


def is_needed(server: "Server", client: Client, request: AuthorizationRequest, session: Session) -> bool:
    """Say whether the user has to be asked."""
    if "consent" in request.prompt:
        return True
    if client.trusted:
        return False
    # RFC 9396 4: what is allowed by authorization details is this one thing, this one time.
    if request.authorization_details is not None:
        return True
    remembered = _remembered(server, client, request, session)
    wanted = _by_resource(server, request, _wanted(server, client, request, remembered))
    # Nothing at all at a resource is something to be asked for, too: it is a token in the user's name.
    return any(
        resource not in remembered or not remembered[resource].issuperset(scopes) for resource, scopes in wanted.items()
    )


def granted_scope(server: "Server", client: Client, request: AuthorizationRequest, session: Session) -> str:
    """Return the scope of the grant: what was asked for, offline access only where the user knows of it (11)."""
    if "offline_access" not in request.scope.split():
        return request.scope
    return " ".join(_without_offline(client, request, _remembered(server, client, request, session)))


def remember(server: "Server", client: Client, request: AuthorizationRequest, session: Session) -> None:
    """Remember what the user has just allowed, where it may be remembered."""
    if not _may_be_remembered(server, client, request.redirect_uri):
        return
    before = _remembered(server, client, request, session)
    wanted = _by_resource(server, request, _wanted(server, client, request, before))
    moment = now()
    sid = None if client.origin == "administrator" else session.sid
    server.store.consents.allow(
        tuple(
            Consent(
                sub=session.sub,
                client_id=client.client_id,
                redirect_origin=origin_of(request.redirect_uri),
                resource=resource,
                scope=" ".join(sorted(before.get(resource, set()) | set(scopes))),
                sid=sid,
                created_at=moment,
                updated_at=moment,
            )
            for resource, scopes in wanted.items()
            # Nor does who has allowed one payment let the client use the bank in their name from now on.
            if scopes or request.authorization_details is None
        )
    )


def asked(
    server: "Server", client: Client, request: AuthorizationRequest, session: Session, language: Language
) -> Asked:
    """Return what the consent page shows, and what of it is new since the user last allowed this client something."""
    rows = _rows(server, client, request, session)
    before = {row.resource: set(row.scope.split()) for row in rows}
    scopes, parts = _wanted(server, client, request, before), []
    details = _details(server, client, request)
    for identifier, names in _by_resource(server, request, scopes).items():
        resource = server.resource(identifier) if identifier else None
        words = sentences.of_resource(resource, language) if resource else sentences.of_all(server, language)
        shown = _shown(names, words, before.get(identifier, set()) if before else None)
        if shown or identifier:
            name = resource.name if resource else None
            new = bool(before) and bool(identifier) and identifier not in before
            parts.append(Part(identifier, name, shown, tuple(details.pop(identifier, ())), new))
    # What can be sorted to no resource any more is shown all the same.
    parts += [Part("", None, (), tuple(words)) for words in details.values()]
    offline = "offline_access" in scopes
    return Asked(
        parts=tuple(parts),
        offline=offline,
        offline_new=offline and bool(before) and "offline_access" not in before.get("", set()),
        days=_days(server, client),
        since=max((row.updated_at for row in rows), default=None),
    )


def _shown(names: tuple[str, ...], words: Mapping[str, Words], before: set[str] | None) -> tuple[Shown, ...]:
    """Return scope values as people read them; what several of them say is said once, under each of their titles."""
    said: dict[Words, bool] = {}
    for name in names:
        if name != "offline_access":  # how long it holds is said beside the list
            here = words.get(name, Words("", name))
            if not here.title:
                here = next((other for other in said if other.description == here.description), here)
            said[here] = said.get(here, False) or (before is not None and name not in before)
    return tuple(Shown(*here, new) for here, new in said.items())


def _days(server: "Server", client: Client) -> int:
    seconds = server.settings.tokens.refresh_token_absolute_seconds
    return -(-seconds // _DAY) if client.check_grant_type("refresh_token") else 0


def _rows(server: "Server", client: Client, request: AuthorizationRequest, session: Session) -> tuple[Consent, ...]:
    rows = server.store.consents.find(session.sub, client.client_id, origin_of(request.redirect_uri))
    return tuple(row for row in rows if row.sid is None or row.sid == session.sid)


def _remembered(
    server: "Server", client: Client, request: AuthorizationRequest, session: Session
) -> dict[str, set[str]]:
    return {row.resource: set(row.scope.split()) for row in _rows(server, client, request, session)}


def _details(server: "Server", client: Client, request: AuthorizationRequest) -> dict[str, list[rar.Words]]:
    """Return authorization details in words, by the resources that they are about."""
    found: dict[str, list[rar.Words]] = {}
    for detail in orjson.loads(request.authorization_details or "[]"):
        for identifier in rar.concerned(server, client, detail) or ("",):
            found.setdefault(identifier, []).append(rar.in_words(server, detail))
    return found


def _without_offline(client: Client, request: AuthorizationRequest, remembered: dict[str, set[str]]) -> list[str]:
    """Drop ``offline_access`` unless the user is asked for it now, was asked before, or the client is trusted (11)."""
    known = "consent" in request.prompt or client.trusted or "offline_access" in remembered.get("", set())
    keep = known and client.check_grant_type("refresh_token")
    return [value for value in request.scope.split() if value != "offline_access" or keep]


def _wanted(
    server: "Server", client: Client, request: AuthorizationRequest, remembered: dict[str, set[str]]
) -> list[str]:
    """Return all that the user has to know of, single claims included (5.5)."""
    single = claims_request.values(server, request.scope, request.claims)
    return [*_without_offline(client, request, remembered), *single]


def _by_resource(server: "Server", request: AuthorizationRequest, scopes: list[str]) -> dict[str, tuple[str, ...]]:
    """Sort the scope values to the resources that know them; the rest is about the person."""
    sorted_out: dict[str, tuple[str, ...]] = {}
    left = dict.fromkeys(scopes)
    for identifier in request.resources:
        resource = server.resource(identifier)
        names = resource.scope_names if resource else frozenset()
        sorted_out[identifier] = tuple(value for value in scopes if value in names)
        for value in sorted_out[identifier]:
            left.pop(value, None)
    return {"": tuple(left), **sorted_out} if left or not sorted_out else sorted_out


def _may_be_remembered(server: "Server", client: Client, redirect_uri: str) -> bool:
    # What the browser itself brings (Core 3.2, 3.3) goes to whoever sits at the redirect URI, without any secret.
    proven = not client.public and client.response_types <= {"code"}
    if proven or redirect_uri.startswith("https:"):
        return True
    # A loopback URI with a fixed port, registered by an administrator, counts as ordinary while the issuer is, too.
    port = redirect_uri.removeprefix("http://").partition("/")[0].rpartition(":")[2]
    fixed = redirect_uri in client.redirect_uris and redirect_uri.startswith("http://") and port.isdigit()
    return fixed and client.origin == "administrator" and server.settings.loopback
