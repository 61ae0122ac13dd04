"""Subject identifiers, public and pairwise (OpenID Connect Core 1.0, 8, 8.1; Registration 2, 5).

https://openid.net/specs/openid-connect-core-1_0.html#SubjectIDTypes

A client that is registered for pairwise subjects knows each user by a name that only the clients of its sector know, so
that two sectors cannot put together what they know of a person; ``sid`` is another one in each sector for the same
reason. It is told in ID tokens, by userinfo, and by introspection of its own tokens; and what it names in turn is
looked up among the names of its sector alone. Access tokens speak to resource servers and carry the public subject.

A sector is a host. Who registers itself has to show that it belongs there, by places on that host, or places that a
document there lists; an administrator's word is taken.

Plugs into: SUBJECTS, REGISTRATION_CHECK, INTROSPECTION_RESPOND, METADATA, CLIENT_METADATA.
"""

import hmac
import logging
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from authserver.crypto import b64, new_id
from authserver.jwt import parse_json
from authserver.manage import uris
from authserver.manage.client_metadata import CODE, IMPLICIT, WITH_KEYS, url
from authserver.manage.errors import InvalidMetadata
from authserver.manage.sectors import host_of, sector_of
from authserver.oauth import errors, introspection
from authserver.oauth.request import Answer, Request
from authserver.outbound import OutboundError
from authserver.records import Client, PairwiseSubject
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

logger = logging.getLogger(__name__)

CLIENT_METADATA: Final = {"sector_identifier_uri": url(uris.https)}  # Registration 2
NOBODY: Final = ""
"""In the place of a user whom nobody is called."""
_REDIRECTED: Final = frozenset({CODE, IMPLICIT, "refresh_token", "client_credentials"})
_KEPT: Final = 10_000
_KEY_SIZE: Final = 32
_SID_SIZE: Final = 16
_NOT_LISTED: Final = "must lead to a JSON array of URIs that names all of the client's"
_NO_PROOF: Final = "and a method that proves its keys are needed for pairwise subjects without redirects"
_NOT_OURS: Final = "of pairwise subjects must be on one host of your own, over https, or have a sector_identifier_uri"


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the types of subjects (OpenID Connect Discovery 1.0, 3)."""
    del server, settings
    return {"subject_types_supported": ["public", "pairwise"]}


class Subjects:
    """What clients call users and their sessions; of pairwise clients this process keeps what it has looked up."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._store = server.store
        self._kept: dict[tuple[str, str], PairwiseSubject] = {}

    def of(self, client: Client, sub: str) -> str:
        """Return what the client calls a user (8)."""
        known = self._pairwise(client, sub)
        return sub if known is None else known.pairwise

    def session_of(self, client: Client, sub: str, sid: str) -> str:
        """Return what the client calls a session of this user; one name in two sectors would join them."""
        known = self._pairwise(client, sub)
        return sid if known is None else b64(hmac.digest(known.session_key, sid.encode(), "sha256")[:_SID_SIZE])

    def find(self, client: Client, named: str) -> str:
        """Return the ``sub`` of the user whom the client calls so; of a pairwise client's none but its own names."""
        if not client.pairwise:
            return named
        return self._store.subjects.find(sector_of(client.metadata), named) or NOBODY

    def _pairwise(self, client: Client, sub: str) -> PairwiseSubject | None:
        """Return how a user is called; None where that is the public way, or this is no user but a client.

        Whoever is gone (a logout may still have to be told) is called as nobody knows them, never by the public name.
        """
        if not client.pairwise or sub == client.client_id:
            return None
        place = sector_of(client.metadata), sub
        known = self._kept.get(place)
        if known is None:
            drawn = PairwiseSubject(new_id(), secrets.token_bytes(_KEY_SIZE))
            known = self._store.subjects.of(*place, drawn)
            if known is None:
                return None if self._server.query_client(sub) else drawn
            self._kept = {} if len(self._kept) >= _KEPT else self._kept
            self._kept[place] = known
        return known


def introspected(server: "Server", request: Request, answer: Answer) -> Answer:
    """Tell a pairwise client of its own tokens as it calls their users, unless it asks as the resource server."""
    client = request.client
    if not client.pairwise:
        return answer
    told = orjson.loads(answer.body)
    serves = introspection.is_meant_for(server, client, "", told.get("aud", ""))
    if told.get("client_id") != client.client_id or serves:
        return answer
    return answer._replace(body=orjson.dumps(_as_called(server, client, told)))


def check_sector(server: "Server", registered: Mapping[str, Any]) -> None:
    """Let a client that nobody vouches for into no sector but its own (8.1, Registration 5); raises InvalidMetadata."""
    named, pairwise = registered.get("sector_identifier_uri"), registered.get("subject_type") == "pairwise"
    places = _shown(registered) if pairwise else list(registered.get("redirect_uris", ()))
    if named is not None:
        # Registration 5: "The values of the registered redirect_uris MUST be included in the elements of the array".
        if not set(places) <= _listed(server, named):
            raise InvalidMetadata("sector_identifier_uri", _NOT_LISTED)
    elif pairwise and {host_of(place) for place in places} != {sector_of(registered)}:
        raise InvalidMetadata("redirect_uris", _NOT_OURS)


def _as_called(server: "Server", client: Client, told: dict[str, Any]) -> dict[str, Any]:
    """Return what is told of a user, or of who acts for one (RFC 8693 4.1), with the client's names for them."""
    sub: str = told["sub"]
    called = {**told, "sub": server.subjects.of(client, sub)}
    if "sid" in told:
        called["sid"] = server.subjects.session_of(client, sub, told["sid"])
    if "act" in told:
        called["act"] = _as_called(server, client, told["act"])
    return called


def _shown(registered: Mapping[str, Any]) -> list[str]:
    """Return the places that have to be in the sector: where codes are sent, and where the client's keys are.

    The keys count where a client learns of users without a redirect (CIBA 4, and so for devices): whoever registers the
    redirect URI of somebody else gets no code, but would get those tokens.
    """
    places = list(registered.get("redirect_uris", ()))
    if not places or not _REDIRECTED.issuperset(registered["grant_types"]):
        if "jwks_uri" not in registered or registered["token_endpoint_auth_method"] not in WITH_KEYS:
            raise InvalidMetadata("jwks_uri", _NO_PROOF)
        places.append(registered["jwks_uri"])
    # On a loopback address or a private-use scheme anybody's program can be (RFC 8252 8.6).
    if any(not place.startswith("https://") or host_of(place) in uris.LOOPBACK for place in places):
        raise InvalidMetadata("redirect_uris", _NOT_OURS)
    return places


def _listed(server: "Server", named: str) -> frozenset[str]:
    """Return the URIs that a sector's document lists; few at once are read, because strangers say where."""
    readers = server.outbound.sector_documents
    if not readers.acquire(blocking=False):
        raise errors.TooManyRequests(errors.CHANGED_AT_ONCE)
    try:
        listed = parse_json(server.outbound.fetch(named))
    except OutboundError as problem:
        logger.warning("document of a sector not read", extra={"uri": named, "reason": str(problem)})
        listed = None
    finally:
        readers.release()
    if not isinstance(listed, list) or not all(isinstance(entry, str) for entry in listed):
        raise InvalidMetadata("sector_identifier_uri", _NOT_LISTED)
    return frozenset(listed)
