"""JSON Web Token (JWT) Response for OAuth Token Introspection (RFC 9701).

https://www.rfc-editor.org/rfc/rfc9701

A resource server that has to prove later what it was told, or that does not trust everything between it and this
server, asks for the introspection answer as a signed JWT. Who may see what is decided before, by ``introspection``.

Plugs into: INTROSPECTION_RESPOND, METADATA, CLIENT_METADATA.
"""

import re
from typing import TYPE_CHECKING, Any, Final

import orjson

from authserver.clock import SECOND, now
from authserver.keys import SIGNING
from authserver.manage.client_metadata import words
from authserver.oauth import encryption, errors
from authserver.oauth.request import NO_STORE, Answer, Request
from authserver.records import Client
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

FEATURE: Final = "introspection_jwt"
TYP: Final = "token-introspection+jwt"  # 5
MEDIA_TYPE: Final = "application/" + TYP
CLIENT_METADATA: Final = {  # 6
    "introspection_signed_response_alg": words(*SIGNING),
    "introspection_encrypted_response_alg": words(*encryption.ALGORITHMS),
    "introspection_encrypted_response_enc": words(*encryption.METHODS),
}
_HEADERS: Final = [("Content-Type", MEDIA_TYPE), NO_STORE, ("Pragma", "no-cache")]
_WEIGHT: Final = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?", re.ASCII)  # RFC 9110 12.4.2


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the algorithms (7)."""
    del server, settings
    return {
        "introspection_signing_alg_values_supported": list(SIGNING),
        "introspection_encryption_alg_values_supported": list(encryption.ALGORITHMS),
        "introspection_encryption_enc_values_supported": list(encryption.METHODS),
    }


def sign(server: "Server", request: Request, answer: Answer) -> Answer:
    """Write the answer as a JWT for a caller that asks for one (4, 5)."""
    accept = request.headers.get("Accept")
    if accept is None or not _is_wanted(accept):
        return answer
    client = request.client
    # 5 and 8.1: the answer is a member of its own, and there is no sub and no exp, so that nobody takes this JWT for
    # the token that it speaks of.
    claims = {
        "iss": server.settings.issuer,
        "aud": client.client_id,
        "iat": now() // SECOND,
        "token_introspection": orjson.Fragment(answer.body),
    }
    algorithm = client.metadata.get("introspection_signed_response_alg", "RS256")
    token = _encrypted(server, client, server.keys.sign(algorithm, TYP, claims))
    return Answer(200, token.encode(), _HEADERS)


def _encrypted(server: "Server", client: Client, token: str) -> str:
    try:
        return encryption.as_registered(server, client, token, "introspection")
    except encryption.NoKey:
        raise errors.InvalidRequest(errors.ENCRYPTION_KEY) from None


def _is_wanted(accept: str) -> bool:
    """Say whether the header names the JWT itself, with no less weight than it gives to JSON (RFC 9110 12.5.1)."""
    accept = accept.lower()
    if MEDIA_TYPE not in accept:
        return False
    weights = dict(map(_weighted, accept.split(",")))
    json = next((weights[name] for name in ("application/json", "application/*", "*/*") if name in weights), 0.0)
    return weights.get(MEDIA_TYPE, 0.0) >= max(json, 0.001)


def _weighted(entry: str) -> tuple[str, float]:
    name, *parameters = (part.strip() for part in entry.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            weight = parameter.removeprefix("q=")
            return name, float(weight) if _WEIGHT.fullmatch(weight) else 0.0
    return name, 1.0
